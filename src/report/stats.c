/* Purpose: stats.h: the figures. stats_print.c shows them. */
#include "report/stats.h"

#include "cache/common.h"
#include "check/locks.h"
#include "heap/heap.h"
#include "large/large.h"
#include "large/view.h"
#include "os/metadata.h"
#include "report/breakdown.h"
#include "report/diagnosis.h"
#include "report/kept.h"
#include "slab/depot.h"
#include "slab/zone.h"

_Static_assert(SLM_CLASS_COUNT == CLASS_COUNT, "the public header counts the classes");

static bool visit_slab(struct slab *slab, void *context) {
    struct slm_stats *stats = context;
    struct slm_zone_stats *zone =
        load_relaxed(&slab->zone) == ZONE_TINY ? &stats->tiny : &stats->small;
    uint8_t state = load_relaxed(&slab->state);
    stats->metadata_bytes += sizeof *slab + SLAB_REMOTE_BYTES;
    if (state == SLAB_EMPTY || state == SLAB_CLAIMED) {
        zone->slabs_empty++;
        return true;
    }
    struct slm_class_stats *class_stats = &stats->classes[load_relaxed(&slab->cls)];
    size_t free_slots = 0;
    size_t pending = 0;
    for (unsigned w = 0; w < slab_words(slab); w++) {
        uint64_t remote = load_relaxed(&slab_remote_bits(slab)[w]);
        free_slots += bit_count(load_relaxed(&slab->bits[w]) | remote);
        pending += bit_count(remote);
    }
    class_stats->slabs++;
    size_t slots = load_relaxed(&slab->slots);
    class_stats->slots += slots;
    struct slab_view view, kept_view;
    size_t kept = kept_any() && slab_look(slab, &view) ? kept_take(&view, &kept_view) : 0;
    if (kept > slots - free_slots)
        kept = slots - free_slots;
    class_stats->live += slots - free_slots - kept;
    class_stats->frees += slab_frees_since_set(slab) + pending + kept;
    stats->quarantine.blocks += kept;
    stats->quarantine.bytes += kept * load_relaxed(&slab->slot_bytes);
    return true;
}

static void add_lock(struct slm_stats *stats, enum slm_lock_kind kind, const struct lock *lock) {
    stats->locks[kind].acquired += load_relaxed(&lock->acquired);
    stats->locks[kind].contended += load_relaxed(&lock->contended);
}

static void visit_cache(struct cache *cache, void *context) {
    struct slm_stats *stats = context;
    add_lock(stats, SLM_LOCK_QUEUE, &cache->lock);
    for (unsigned cls = cache->first_class; cls < cache->end_class; cls++)
        stats->classes[cls].frees += load_relaxed(&cache_bin(cache, cls)->frees);
    stats->caches += !cache_is_common(cache);
}

static void sum_zone(struct slm_zone_stats *sums, enum zone_kind kind, struct slm_stats *stats) {
    struct zone *zone = &zones[kind];
    sums->slab_bytes = (size_t)1 << slab_shift_of(kind);
    sums->slabs = load_relaxed(&zone->used);
    sums->slabs_peak = load_relaxed(&zone->used_peak);
    sums->slabs_dirty = load_relaxed(&zone->dirty);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slm_class_stats *c = &stats->classes[cls];
        if (size_classes[cls].zone != kind)
            continue;
        c->slot_bytes = size_classes[cls].slot_bytes;
        c->allocations = c->frees + c->live;
        sums->live_bytes += c->live * c->slot_bytes;
        sums->allocations += c->allocations;
        sums->frees += c->frees;
    }
}

static void add_shared_lock(struct lock *lock, void *context) {
    add_lock(context, SLM_LOCK_SHARED, lock);
}

/* All but the caches'. */
static void sum_locks(struct slm_stats *stats) {
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        add_lock(stats, SLM_LOCK_CLASS, &depots[cls].lock);
    for (struct common *c = NULL; (c = common_next(c)) != NULL;)
        add_lock(stats, SLM_LOCK_CLASS, &c->lock);
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        add_lock(stats, SLM_LOCK_ZONE, &zones[kind].lock);
    add_lock(stats, SLM_LOCK_LARGE, large_lock());
    add_lock(stats, SLM_LOCK_THREADS, cache_registry_lock());
    add_lock(stats, SLM_LOCK_SHARED, &heap_shared_lock);
    check_visit_locks(add_shared_lock, stats);
    add_lock(stats, SLM_LOCK_METADATA, metadata_lock());
}

/* What is kept back has been freed, for the program. */
static void visit_large(const struct large_view *view, void *context) {
    struct slm_stats *stats = context;
    if (!view->is_live || !kept_has(view->block) || stats->large.live == 0 ||
        stats->large.live_bytes < view->bytes)
        return;
    stats->large.live--;
    stats->large.live_bytes -= view->bytes;
    stats->large.frees++;
    stats->quarantine.blocks++;
    stats->quarantine.bytes += view->bytes;
}

void stats_collect(struct slm_stats *stats) {
    struct large_stats large;
    *stats = (struct slm_stats){0};
    zone_walk(visit_slab, stats);
    cache_walk(visit_cache, stats);
    sum_locks(stats);
    sum_zone(&stats->tiny, ZONE_TINY, stats);
    sum_zone(&stats->small, ZONE_SMALL, stats);
    large_stats(&large);
    stats->large = (struct slm_large_stats){
        .live = large.live_count,
        .live_bytes = large.live_bytes,
        .peak_bytes = large.peak_bytes,
        .cached_bytes = large.cached_bytes,
        .allocations = large.allocations,
        .frees = large.frees,
        .mappings = large.mappings,
        .unmappings = large.unmappings,
    };
    if (kept_any())
        large_walk(visit_large, stats);
    stats->metadata_bytes += metadata_bytes();
    stats->faults = diagnosis_count();
}

void figures_take(struct figures *figures) {
    stats_collect(&figures->stats);
    figures->knows_resident = breakdown_collect(&figures->breakdown) == 0;
}

int figures_print(const struct figures *figures, struct out *out, enum emit_format format) {
    struct emitter emitter;
    emit_begin(&emitter, out, format);
    stats_emit(&emitter, &figures->stats, &figures->breakdown, figures->knows_resident);
    emit_end(&emitter);
    return out_end(out);
}
