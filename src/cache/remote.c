/* Purpose: frees of slots in slabs that the freeing thread does not own.
 * Owns, Locking: see cache.h.
 *
 * The protocol, for a slot of slab S owned by cache C, freed by thread R:
 *
 *   R:  1. remote_bits[w] |= bit          (one locked OR; the old value tells a double free)
 *       2. S.owner has PENDING? done.     (the drain that clears it comes later and sees the bit)
 *       3. lock C; if S.owner is still C: set PENDING, push S on C's queue; unlock C.
 *          If not, start again at 2 with the new owner; if S has none, adopt S and merge.
 *          (C's lock keeps C from giving S up, but an empty S reaches the zone without it: so
 *          PENDING is set by an exchange of the owner that was seen, and of no other.)
 *   C:  a. take the whole queue; for each S: clear PENDING by an exchange
 *       b. take remote_bits word by word, by exchanges.
 *
 * 1 before 2 and a before b are locked instructions: either R sees PENDING cleared and queues S
 * again, or C sees R's bit. So once R's free has returned, S is queued, adopted or merged; and
 * while anything is unmerged, S.owner differs from C, so that C's own frees leave the hot path
 * and are checked against remote_bits too.
 *
 * hot_free_remote in hot.h is the same, inline, where nothing is wrong and the owner lives.
 *
 * remote.pml, beside this file, is a model of all of this, of adoption, thread exit and rescue,
 * which test/protocol searches exhaustively. It changes with the code. */
#include "cache/cache.h"

#include "slab/depot.h"
#include "slab/zone.h"

/* Slabs put on queues between two looks at the clock (lend.c). */
enum { LOOK_EVERY = 64 };

unsigned cache_merge(struct cache *cache, struct slab *slab) {
    struct bin *bin = cache_bin(cache, slab->cls);
    size_t conflict = SIZE_MAX;
    unsigned merged = slab_merge_remote(slab, &conflict);
    if (merged > 0) {
        slab->purged_at = 0; /* a current slab's countdown does not tell */
        store_relaxed(&slab->lent, 0);
    }
    store_relaxed(&bin->frees, bin->frees + merged);
    if (UNLIKELY(conflict != SIZE_MAX)) {
        cache->late_slab = slab;
        cache->late_slot = conflict;
    }
    return merged;
}

static void merge_and_list(struct cache *cache, struct slab *slab) {
    unsigned merged = cache_merge(cache, slab);
    if (slab->state == SLAB_CURRENT || slab->state == SLAB_AWAY)
        return;
    if (slab->countdown <= merged || merged == 0) {
        cache_countdown_over(cache, slab);
        return;
    }
    store_relaxed(&slab->countdown_start, slab->countdown_start - merged);
    store_relaxed(&slab->countdown, slab->countdown - merged);
}

void cache_drain(struct cache *cache) {
    struct slab *slab = exchange_acq_rel(&cache->remote_queue, NULL);
    store_relaxed(&cache->drains, cache->drains + 1);
    while (slab != NULL) {
        struct slab *next = slab->queue_next; /* the slab can be queued again from here on */
        exchange_seq_cst(&slab->owner, (uintptr_t)cache);
        merge_and_list(cache, slab);
        slab = next;
    }
}

/* With the cache's lock held. False: `owner` is not the slab's any more. */
static bool queue_as_pending(struct cache *cache, struct slab *slab, uintptr_t owner) {
    if (!cas_seq_cst(&slab->owner, &owner, owner | OWNER_PENDING))
        return false;
    slab->queue_next = load_relaxed(&cache->remote_queue);
    struct slab *expected = slab->queue_next;
    while (!cas_acq_rel(&cache->remote_queue, &expected, slab))
        slab->queue_next = expected; /* the owner took the queue meanwhile */
    return true;
}

/* Step 3. False: the owner has changed. */
static bool queue_on(struct cache *cache, struct slab *slab) {
    lock_acquire(&cache->lock, RANK_CACHE);
    uintptr_t owner = load_relaxed(&slab->owner);
    bool same =
        owner_cache(owner) == cache && load_relaxed(&cache->state) != CACHE_VANISHED;
    uint8_t state = load_relaxed(&slab->state);
    /* A slab on its way back to the zone has merged our bit: there is nothing left to tell. It goes
     * that way without our lock: it may be the zone's by now, or anybody's, hence the exchange of
     * none but the owner that we saw. */
    if (same && (owner & OWNER_PENDING) == 0 && state != SLAB_CLAIMED && state != SLAB_EMPTY)
        same = queue_as_pending(cache, slab, owner);
    lock_release(&cache->lock, RANK_CACHE);
    return same;
}

/* With the lock of the depot of `cls` held. The state is read before the owner: one that is
 * vanished by then was so before, so the slab can't have changed hands in between. */
static bool is_adoptable(const struct slab *slab, unsigned cls) {
    unsigned now_cls;
    uint8_t state = slab_state_in_class(slab, &now_cls);
    if (now_cls != cls || state == SLAB_EMPTY || state == SLAB_CLAIMED)
        return false;
    return state == SLAB_SHELVED || state == SLAB_ORPHANED ||
           cache_is_vanished(load_relaxed(&slab->owner));
}

/* Makes an unowned slab `self`'s and merges what other threads freed in it. False: somebody else
 * was faster. */
static bool adopt(struct cache *self, struct slab *slab) {
    unsigned cls = load_relaxed(&slab->cls);
    struct depot *depot = &depots[cls];
    lock_acquire(&depot->lock, RANK_CLASS);
    bool ours = is_adoptable(slab, cls);
    if (ours) {
        if (load_relaxed(&slab->owner) != 0)
            slab_rebuild_summary(slab); /* its thread vanished in a fork, maybe half way */
        depot_adopt_locked(depot, slab, (uintptr_t)self);
    }
    lock_release(&depot->lock, RANK_CLASS);
    if (ours) {
        slab->next = slab->prev = NULL;
        cache_merge(self, slab);
        cache_settle(self, slab);
    }
    return ours;
}

/* Steps 2 and 3, until one of them holds. */
void cache_announce(struct cache *self, struct slab *slab) {
    for (;;) {
        uintptr_t owner = load_seq_cst(&slab->owner);
        struct cache *cache = owner_cache(owner);
        if (cache != NULL && load_relaxed(&cache->state) != CACHE_VANISHED) {
            if (owner & OWNER_PENDING)
                return;
            if (!queue_on(cache, slab))
                continue;
            if (++self->queued % LOOK_EVERY == 0 && !cache_is_borrowed(self))
                cache_look_for_sleepers(self);
            return;
        }
        uint8_t state = load_relaxed(&slab->state);
        if (state == SLAB_EMPTY || state == SLAB_CLAIMED)
            return; /* our bit was merged, and the slab found empty */
        if (adopt(self, slab))
            return;
    }
}

enum fault cache_free_remote(struct cache *self, struct slab *slab, size_t slot) {
    struct cache *owner = owner_cache(load_seq_cst(&slab->owner));
    if (owner == NULL || load_relaxed(&owner->state) == CACHE_VANISHED)
        adopt(self, slab);
    if (owner_cache(load_relaxed(&slab->owner)) == self) {
        if (slab_is_free(slab, slot))
            return FAULT_DOUBLE_FREE;
        cache_free_local(self, slab, slot);
        return FAULT_NONE;
    }
    uint64_t mask = (uint64_t)1 << (slot % 64);
    uint64_t before = fetch_or_seq_cst(&zone_remote_bits(slab)[slot / 64], mask);
    if (before & mask)
        return FAULT_DOUBLE_FREE;
    cache_announce(self, slab);
    return FAULT_NONE;
}
