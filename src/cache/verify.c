/* Purpose: verifies the invariants of cache.h.
 * Locking: the caller holds every lock there is. The caches of other threads may be in use all the
 *          same: of what their threads alone write, only that is verified which holds at every
 *          instant. A cache is "still" if nobody is using it: the caller's own and the shared
 *          one. */
#include "cache/common.h"
#include "slab/verify.h"
#include "slab/zone.h"

static bool is_empty(const struct cache *cache) {
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++) {
        if (cache_current(cache, cls) != &cache_no_slab)
            return false;
        for (unsigned list = 0; list < LISTS; list++)
            if (cache->bins[cls].lists[list] != NULL)
                return false;
    }
    for (size_t step = 0; step < FINE_STEPS; step++)
        if (cache->fine[step] != &cache_no_slab)
            return false;
    return cache->remote_queue == NULL;
}

/* The countdown of a listed slab is over when it should be; see refill.c. */
static bool verify_countdown(const struct slab *slab, struct violation *violation) {
    unsigned free_slots = slab_count_free(slab);
    uint32_t mark = cache_relink_mark(slab);
    uint32_t expected = COUNTDOWN_NEVER;
    uint32_t uncounted = 0; /* at most, when it was current no longer: see retire_full */
    if (slab->state == SLAB_FULL || slab->state == SLAB_PARTIAL) {
        expected = (slab->state == SLAB_FULL ? mark : cache_sparse_mark(slab)) - free_slots;
        uncounted = slab->zone == ZONE_TINY ? mark - 1 : 0;
    } else if (free_slots < slab->slots) {
        expected = slab->slots - free_slots;
    }
    if (slab->state == SLAB_CURRENT)
        MUST_HOLD(slab->countdown > 0, "a current slab's countdown is over",
                  zone_slab_memory(slab));
    else if (slab->state == SLAB_PURGED)
        MUST_HOLD(slab->countdown > 0 && slab->countdown <= slab->slots - free_slots,
                  "a purged slab's countdown does not end before it is empty",
                  zone_slab_memory(slab));
    else if (slab->countdown - expected > uncounted)
        MUST_EQUAL(slab->countdown, expected, "a slab's countdown is wrong",
                   zone_slab_memory(slab));
    return true;
}

static bool verify_member(const struct cache *cache, const struct slab *slab, unsigned cls,
                          enum slab_state state, struct violation *violation) {
    uintptr_t memory = zone_slab_memory(slab);
    MUST_EQUAL(owner_cache(slab->owner), cache, "a slab on a cache's list is another's", memory);
    MUST_EQUAL(slab->cls, cls, "a slab is listed under another class", memory);
    MUST_EQUAL(slab->state, state, "a slab's state is not the list that it is on", memory);
    return verify_countdown(slab, violation);
}

static bool verify_list(const struct cache *cache, const struct bin *bin, unsigned list,
                        unsigned cls, size_t *listed, struct violation *violation) {
    static const enum slab_state states[LISTS] = {SLAB_PARTIAL, SLAB_SPARSE, SLAB_PURGED,
                                                  SLAB_FULL};
    const struct slab *before = NULL;
    for (const struct slab *slab = bin->lists[list]; slab != NULL; slab = slab->next) {
        MUST_HOLD(++*listed <= cache->verify_slabs, "a cache lists slabs that are not its own",
                  cache);
        MUST_HOLD(slab->prev == before, "a cache's list is linked wrongly", zone_slab_memory(slab));
        if (!verify_member(cache, slab, cls, states[list], violation))
            return false;
        before = slab;
    }
    MUST_HOLD(list != LIST_PARTIAL || before == NULL || before == bin->last_partial,
              "a cache takes another slab for its last partial one", cache);
    return true;
}

static bool verify_queue(const struct cache *cache, struct violation *violation) {
    size_t queued = 0;
    for (const struct slab *slab = load_acquire(&cache->remote_queue); slab != NULL;
         slab = slab->queue_next) {
        MUST_HOLD(++queued <= cache->verify_pending, "a slab is queued twice, or not as pending",
                  zone_slab_memory(slab));
        MUST_EQUAL(load_relaxed(&slab->owner), (uintptr_t)cache | OWNER_PENDING,
                   "a queued slab is not marked as pending", zone_slab_memory(slab));
    }
    MUST_EQUAL(cache->verify_pending, queued, "a slab with remote frees is not queued", cache);
    return true;
}

/* Slabs of `cache`, one of common.h, that are away. */
static bool verify_away(const struct cache *cache, size_t *listed, struct violation *violation) {
    const struct common *common = (const struct common *)cache;
    for (const struct slab *slab = common->away; slab != NULL; slab = slab->next) {
        uintptr_t memory = zone_slab_memory(slab);
        MUST_HOLD(++*listed <= cache->verify_slabs, "a cache sent slabs away that are not its own",
                  cache);
        MUST_EQUAL(owner_cache(slab->owner), cache, "a slab that is away is another's", memory);
        MUST_EQUAL(slab->state, SLAB_AWAY, "a slab that is away has another state", memory);
    }
    return true;
}

bool cache_verify_still(const struct cache *cache, struct violation *violation) {
    size_t listed = 0;
    for (unsigned cls = cache->first_class; cls < cache->end_class; cls++) {
        const struct slab *current = cache_current(cache, cls);
        if (current != &cache_no_slab) {
            listed++;
            if (!verify_member(cache, current, cls, SLAB_CURRENT, violation))
                return false;
        }
        const struct bin *bin = &cache->bins[cls - cache->first_class];
        for (unsigned list = 0; list < LISTS; list++)
            if (!verify_list(cache, bin, list, cls, &listed, violation))
                return false;
    }
    if (cache_is_common(cache) && !verify_away(cache, &listed, violation))
        return false;
    MUST_EQUAL(listed, cache->verify_slabs, "a cache has lost a slab", cache);
    for (size_t step = 0; step < FINE_STEPS; step++)
        MUST_HOLD(cache->fine[step] == cache_current(cache, fine_class_of_step[step]),
                  "the current slab of a size is not that of its class", cache);
    return verify_queue(cache, violation);
}

bool cache_verify_unused(const struct cache *cache, struct violation *violation) {
    MUST_HOLD(is_empty(cache), "a cache without a thread is not empty", cache);
    MUST_EQUAL(cache->verify_slabs, 0, "a slab's owner is a cache without a thread", cache);
    return true;
}
