/* Purpose: in a forked child, the slabs whose owners were threads that the fork did not copy.
 * Owns:    a cursor over all slabs.
 * Locking: RANK_CLASS for each slab, none for the cursor (it is atomic).
 *
 * Nothing is done at the fork itself, so that a child that only reads, or execs, dirties no
 * header. A free into such a slab adopts it (remote.c). A thread of the child that would
 * otherwise take a fresh slab from the zone first looks at some more slabs here. */
#include "cache/cache.h"
#include "slab/depot.h"
#include "slab/zone.h"

enum { SLABS_A_STEP = 64 };

uint8_t cache_rescue_pending;
static uint64_t cursor; /* zone << 56 | range << 32 | slab number */

void cache_rescue_restart(void) { cursor = 0; }

/* A double free that only the merge could find is for this thread to report. */
static void take_over_late(struct cache *self, struct cache *owner) {
    if (LIKELY(owner->late_slab == NULL))
        return;
    self->late_slot = owner->late_slot;
    store_relaxed(&self->late_slab, owner->late_slab);
    owner->late_slab = NULL;
}

static void rescue(struct cache *self, struct slab *slab) {
    /* Before the owner: one that is vanished by then was so before, and the state is its own. */
    bool claimed = load_acquire(&slab->state) == SLAB_CLAIMED;
    if (!cache_is_vanished(load_relaxed(&slab->owner)))
        return;
    if (claimed) {
        zone_release(slab); /* nothing lives in it */
        return;
    }
    struct depot *depot = &depots[slab->cls];
    bool empty = false;
    lock_acquire(&depot->lock, RANK_CLASS);
    if (cache_is_vanished(load_relaxed(&slab->owner))) {
        struct cache *owner = owner_cache(load_relaxed(&slab->owner));
        cache_merge(owner, slab);
        take_over_late(self, owner);
        cache_restart_countdown(owner, slab, COUNTDOWN_NEVER);
        slab->next = slab->prev = NULL;
        empty = slab_count_free(slab) == slab->slots;
        if (empty)
            store_relaxed(&slab->state, SLAB_CLAIMED);
        else
            depot_put_locked(depot, slab);
    }
    lock_release(&depot->lock, RANK_CLASS);
    if (empty)
        zone_release(slab);
}

/* Takes the next part of the cursor's way: the first slab and how many. */
static size_t advance(struct range **range, size_t *first) {
    uint64_t at = load_relaxed(&cursor);
    for (;;) {
        unsigned kind = (unsigned)(at >> 56);
        unsigned index = (unsigned)(at >> 32 & 0xffffff);
        uint32_t number = (uint32_t)at;
        uint64_t next;
        size_t count = 0;
        if (kind == ZONE_COUNT)
            return 0;
        if (index == load_acquire(&zones[kind].range_count)) {
            next = (uint64_t)(kind + 1) << 56;
        } else {
            *range = &zones[kind].ranges[index];
            uint32_t fresh = load_acquire(&(*range)->fresh);
            *first = number;
            if (*first < fresh) {
                count = fresh - *first < SLABS_A_STEP ? fresh - *first : SLABS_A_STEP;
                next = (at & ~(uint64_t)UINT32_MAX) | (*first + count);
            } else {
                next = (uint64_t)kind << 56 | (uint64_t)(index + 1) << 32;
            }
        }
        if (cas_acq_rel(&cursor, &at, next)) {
            if (count > 0)
                return count;
            at = next;
        }
    }
}

bool cache_rescue_some(struct cache *self) {
    struct range *range;
    size_t first;
    size_t count = advance(&range, &first);
    for (size_t number = first; count > 0 && number < first + count; number++)
        if (!range_header_is_gone(range, number))
            rescue(self, range_slab(range, number));
    if (count == 0)
        store_relaxed(&cache_rescue_pending, 0);
    return count > 0;
}
