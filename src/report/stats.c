/* Purpose: stats.h. */
#include "report/stats.h"

#include <errno.h>

#include "base/syscall.h"
#include "cache/cache.h"
#include "large/large.h"
#include "os/metadata.h"
#include "report/diagnosis.h"
#include "slab/zone.h"

_Static_assert(SLM_CLASS_COUNT == CLASS_COUNT, "the public header counts the classes");

static bool visit_slab(struct slab *slab, void *context) {
    struct slm_stats *stats = context;
    struct slm_zone_stats *zone = slab->zone == ZONE_TINY ? &stats->tiny : &stats->small;
    uint8_t state = load_relaxed(&slab->state);
    stats->metadata_bytes += sizeof *slab;
    if (state == SLAB_EMPTY || state == SLAB_CLAIMED) {
        zone->slabs_empty++;
        return true;
    }
    struct slm_class_stats *class_stats = &stats->classes[load_relaxed(&slab->cls)];
    size_t free_slots = 0;
    size_t pending = 0;
    for (unsigned w = 0; w < slab_words(slab); w++) {
        uint64_t remote = load_relaxed(&slab->remote_bits[w]);
        free_slots += bit_count(load_relaxed(&slab->bits[w]) | remote);
        pending += bit_count(remote);
    }
    class_stats->slabs++;
    size_t slots = load_relaxed(&slab->slots);
    class_stats->slots += slots;
    class_stats->live += slots - free_slots;
    class_stats->frees += slab_frees_since_set(slab) + pending;
    return true;
}

static void visit_cache(struct cache *cache, void *context) {
    struct slm_stats *stats = context;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        stats->classes[cls].frees += load_relaxed(&cache->bins[cls].frees);
    stats->caches++;
}

static void sum_zone(struct slm_zone_stats *sums, enum zone_kind kind, struct slm_stats *stats) {
    struct zone *zone = &zones[kind];
    sums->slab_bytes = (size_t)1 << slab_shift_of(kind);
    lock_acquire(&zone->lock, RANK_ZONE);
    sums->slabs = zone->used;
    sums->slabs_peak = zone->used_peak;
    sums->slabs_dirty = zone->dirty;
    lock_release(&zone->lock, RANK_ZONE);
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

void stats_collect(struct slm_stats *stats) {
    struct large_stats large;
    *stats = (struct slm_stats){0};
    zone_walk(visit_slab, stats);
    cache_walk(visit_cache, stats);
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
    stats->metadata_bytes += metadata_bytes();
    stats->faults = diagnosis_count();
}

/* Bytes with a unit, four digits at most: "640 KiB". */
static void put_bytes(struct text *text, size_t bytes) {
    static const char *const units[] = {"B  ", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    while (bytes >= 10000 && unit < 4) {
        bytes = (bytes + 512) / 1024;
        unit++;
    }
    text_format(text, "%8zu %s", bytes, units[unit]);
}

static void put_zone(struct text *text, const char *name, const struct slm_zone_stats *zone) {
    text_format(text, "%-6s %11zu %11zu ", name, (size_t)zone->allocations, (size_t)zone->frees);
    put_bytes(text, zone->live_bytes);
    put_bytes(text, zone->slabs * zone->slab_bytes);
    put_bytes(text, zone->slabs_peak * zone->slab_bytes);
    put_bytes(text, zone->slabs_dirty * zone->slab_bytes);
    text_format(text, "\n");
}

static void put_large(struct text *text, const struct slm_large_stats *large) {
    text_format(text, "%-6s %11zu %11zu ", "LARGE", (size_t)large->allocations,
                (size_t)large->frees);
    put_bytes(text, large->live_bytes);
    put_bytes(text, large->live_bytes + large->cached_bytes);
    put_bytes(text, large->peak_bytes);
    put_bytes(text, large->cached_bytes);
    text_format(text, "\n");
}

static void put_classes(struct text *text, const struct slm_stats *stats) {
    text_format(text, "%6s %11s %11s %9s %7s %6s\n", "class", "allocated", "freed", "live", "slabs",
                "full");
    for (unsigned cls = 0; cls < SLM_CLASS_COUNT; cls++) {
        const struct slm_class_stats *c = &stats->classes[cls];
        if (c->allocations == 0)
            continue;
        text_format(text, "%6zu %11zu %11zu %9zu %7zu", c->slot_bytes, (size_t)c->allocations,
                    (size_t)c->frees, c->live, c->slabs);
        if (c->slots > 0)
            text_format(text, " %4zu %%", c->live * 100 / c->slots);
        text_format(text, "\n");
    }
}

void stats_format(const struct slm_stats *stats, struct text *text) {
    text_format(text, "slabmalloc: what the heap of %s (process %d) did\n",
                program_invocation_short_name, (int)raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0));
    text_format(text, "%-6s %11s %11s %12s%12s%12s%12s\n", "zone", "allocated", "freed", "live",
                "in slabs", "peak", "reusable");
    put_zone(text, "TINY", &stats->tiny);
    put_zone(text, "SMALL", &stats->small);
    put_large(text, &stats->large);
    text_format(text, "metadata ");
    put_bytes(text, stats->metadata_bytes);
    text_format(text, ", %zu thread caches, %zu mmap and %zu munmap calls for LARGE\n",
                stats->caches, (size_t)stats->large.mappings, (size_t)stats->large.unmappings);
    if (stats->faults > 0)
        text_format(text, "faults   %zu bad pointers were given back, see the option on_error\n",
                    (size_t)stats->faults);
    put_classes(text, stats);
}
