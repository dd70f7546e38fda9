/* Purpose: what the owner of slabs does when its hot path runs out: refill a class, and re-list
 *          slabs whose countdown is over.
 * Owns, Locking, Invariants: see cache.h; everything here runs in the cache's own thread.
 *
 * The life of a slab's countdown (design.md, measurement 2):
 *
 *   current    never; malloc does not touch it, frees count down from a number too large to end
 *   full       as many frees as make it worth allocating from again, 1/16 of the slots
 *   partial    as many frees as slots are live: when it ends, the slab is empty */
#include "cache/cache.h"

#include "slab/depot.h"
#include "slab/zone.h"

unsigned cache_relink_mark(const struct slab *slab) {
    unsigned mark = (unsigned)slab->slots / RELINK_FRACTION;
    return SLM_TORTURE || mark == 0 ? 1 : mark;
}

void cache_restart_countdown(struct cache *cache, struct slab *slab, uint32_t frees) {
    struct bin *bin = &cache->bins[slab->cls];
    store_relaxed(&bin->frees, bin->frees + slab_frees_since_set(slab));
    slab_set_countdown(slab, frees);
}

static void install_current(struct cache *cache, unsigned cls, struct slab *slab) {
    cache->current[cls] = slab;
    if (cls >= TINY_CLASSES)
        return;
    size_t last = size_classes[cls].slot_bytes >> TINY_STEP_SHIFT;
    size_t first = cls == 0 ? 0 : (size_classes[cls - 1].slot_bytes >> TINY_STEP_SHIFT) + 1;
    for (size_t step = first; step <= last; step++)
        cache->tiny[step] = slab;
}

static void list_as(struct cache *cache, struct slab *slab, enum slab_state state) {
    struct bin *bin = &cache->bins[slab->cls];
    store_relaxed(&slab->state, state);
    slab_list_push(state == SLAB_PARTIAL ? &bin->partial : &bin->full, slab);
}

static void unlist(struct cache *cache, struct slab *slab) {
    struct bin *bin = &cache->bins[slab->cls];
    slab_list_remove(slab->state == SLAB_PARTIAL ? &bin->partial : &bin->full, slab);
}

/* Gives an unlisted slab without live slots back to its zone. False: a remote free (of a slot that
 * was free already, or whose bit is merged but whose thread has yet to see so) has just queued it.
 */
static bool release(struct cache *cache, struct slab *slab) {
    lock_acquire(&cache->lock, RANK_CACHE);
    bool quiet = load_relaxed(&slab->owner) == (uintptr_t)cache;
    if (quiet)
        store_relaxed(&slab->state, SLAB_CLAIMED);
    lock_release(&cache->lock, RANK_CACHE);
    if (quiet)
        zone_release(slab);
    return quiet;
}

void cache_settle(struct cache *cache, struct slab *slab) {
    struct bin *bin = &cache->bins[slab->cls];
    unsigned free_slots = slab_count_free(slab);
    unsigned mark = cache_relink_mark(slab);
    if (free_slots == slab->slots) {
        /* The last TINY slab worth allocating from stays: the next malloc needs it. A SMALL slab is
         * no dearer to get than a few of its slots are to use, and every class can use it. */
        bool keep = bin->partial == NULL && slab->zone == ZONE_TINY && !SLM_TORTURE;
        cache_restart_countdown(cache, slab, COUNTDOWN_NEVER);
        if (!keep && release(cache, slab))
            return;
        list_as(cache, slab, SLAB_PARTIAL);
    } else if (free_slots >= mark) {
        cache_restart_countdown(cache, slab, (uint32_t)slab->slots - free_slots);
        list_as(cache, slab, SLAB_PARTIAL);
    } else {
        cache_restart_countdown(cache, slab, mark - free_slots);
        list_as(cache, slab, SLAB_FULL);
    }
}

void cache_countdown_over(struct cache *cache, struct slab *slab) {
    if (slab->state == SLAB_CURRENT) {
        cache_restart_countdown(cache, slab, COUNTDOWN_NEVER);
        return;
    }
    unlist(cache, slab);
    cache_settle(cache, slab);
}

void cache_free_local(struct cache *cache, struct slab *slab, size_t slot) {
    slab_give(slab, slot);
    slab_note_freed(slab, slot);
    if (decrement_own(&slab->countdown) == 0)
        cache_countdown_over(cache, slab);
}

static struct slab *make_current(struct cache *cache, struct slab *slab) {
    cache_restart_countdown(cache, slab, COUNTDOWN_NEVER);
    store_release(&slab->state, SLAB_CURRENT); /* a walk may look: the slab has its shape by now */
    install_current(cache, slab->cls, slab);
    return slab;
}

static void retire_current(struct cache *cache, unsigned cls) {
    struct slab *slab = cache->current[cls];
    if (slab == &cache_no_slab)
        return;
    install_current(cache, cls, (struct slab *)&cache_no_slab);
    cache_restart_countdown(cache, slab, cache_relink_mark(slab));
    list_as(cache, slab, SLAB_FULL);
}

struct slab *cache_refill(struct cache *cache, unsigned cls, bool may_grow) {
    struct bin *bin = &cache->bins[cls];

    if (load_relaxed(&cache->remote_queue) != NULL)
        cache_drain(cache);
    if (load_relaxed(&cache->current[cls]->summary) != 0)
        return cache->current[cls];
    retire_current(cache, cls);

    struct slab *slab = bin->partial;
    if (slab != NULL) {
        unlist(cache, slab);
        return make_current(cache, slab);
    }
    slab = depot_take(cls, (uintptr_t)cache);
    while (slab == NULL && UNLIKELY(load_relaxed(&cache_rescue_pending)) &&
           cache_rescue_some(cache))
        slab = depot_take(cls, (uintptr_t)cache);
    if (slab == NULL && may_grow)
        slab = zone_acquire(cls, (uintptr_t)cache);
    return slab != NULL ? make_current(cache, slab) : NULL;
}
