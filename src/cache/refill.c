/* Purpose: what the owner of slabs does when its hot path runs out: refill a class, and re-list
 *          slabs whose countdown is over.
 * Owns, Locking, Invariants: see cache.h; everything here runs in the cache's own thread.
 *
 * The life of a slab's countdown (design.md, measurement 2):
 *
 *   current    never; malloc does not touch it, frees count down from a number too large to end;
 *              of SMALL, as many frees as slots were live when it was set: when the last one has
 *              been freed it ends, too, however many have been allocated since
 *   full       as many frees as make it worth allocating from again: 1/16 of the slots, or, of
 *              slots beyond FINE_MAX_BYTES, one
 *   partial    as many as make it sparse: at most 1/8 of the slots are live
 *   sparse     as many frees as slots are live: when it ends, the slab is empty
 *   purged     half as many: then it is sparse again */
#include "cache/cache.h"

#include "cache/common.h"
#include "slab/depot.h"
#include "slab/zone.h"

/* One more than this part of the slots of a current slab are a few. */
enum { CURRENT_FEW_PART = 8, FEW_TIMES_MAX = 3 };

unsigned cache_relink_mark(const struct slab *slab) {
    unsigned slots = (unsigned)slab->slots;
    unsigned mark =
        slots / (slab->relink_fraction != 0 ? slab->relink_fraction : RELINK_FRACTION);
    return SLM_TORTURE || mark == 0 || slab->slot_bytes > FINE_MAX_BYTES ? 1 : mark;
}

unsigned cache_sparse_mark(const struct slab *slab) {
    return (unsigned)slab->slots - (unsigned)slab->slots / SPARSE_LIVE_PART;
}

void cache_restart_countdown(struct cache *cache, struct slab *slab, uint32_t frees) {
    struct bin *bin = cache_bin(cache, slab->cls);
    store_relaxed(&bin->frees, bin->frees + slab_frees_since_set(slab));
    slab_set_countdown(slab, frees);
}

static void install_current(struct cache *cache, unsigned cls, struct slab *slab) {
    if (cls >= FINE_CLASSES) {
        cache->coarse[(cls - FINE_CLASSES) % COARSE_CLASSES] = slab;
        return;
    }
    size_t last = size_classes[cls].slot_bytes >> FINE_STEP_SHIFT;
    size_t first = cls == 0 ? 0 : (size_classes[cls - 1].slot_bytes >> FINE_STEP_SHIFT) + 1;
    /* As often for each class: how many steps it has can't be predicted. */
#pragma GCC unroll 8
    for (size_t i = 0; i < FINE_STEPS_PER_CLASS; i++)
        cache->fine[first + i < last ? first + i : last] = slab;
}

static struct slab **list_of(struct cache *cache, const struct slab *slab) {
    struct slab **lists = cache_bin(cache, slab->cls)->lists;
    switch (slab->state) {
    case SLAB_PARTIAL:
        return &lists[LIST_PARTIAL];
    case SLAB_SPARSE:
        return &lists[LIST_SPARSE];
    case SLAB_PURGED:
        return &lists[LIST_PURGED];
    default:
        return &lists[LIST_FULL];
    }
}

static void list_partial(struct bin *bin, struct slab *slab) {
    struct slab **list = &bin->lists[LIST_PARTIAL];
    if (*list != NULL && slab->relink_fraction != 0) {
        slab_list_push(list, slab);
        return;
    }
    slab_list_append(list, *list != NULL ? bin->last_partial : NULL, slab);
    bin->last_partial = slab;
}

void cache_list_as(struct cache *cache, struct slab *slab, enum slab_state state) {
    store_relaxed(&slab->state, state);
    if (state == SLAB_PARTIAL) {
        list_partial(cache_bin(cache, slab->cls), slab);
        return;
    }
    if (state == SLAB_SPARSE)
        slab->sparse_at = cache->looks;
    slab_list_push(list_of(cache, slab), slab);
}

void cache_unlist(struct cache *cache, struct slab *slab) {
    struct bin *bin = cache_bin(cache, slab->cls);
    if (bin->last_partial == slab)
        bin->last_partial = slab->prev;
    slab_list_remove(list_of(cache, slab), slab);
}

void cache_list_purged(struct cache *cache, struct slab *slab, uint32_t live) {
    cache_restart_countdown(cache, slab, (live + 1) / 2);
    slab->purged_at = slab->countdown;
    cache_list_as(cache, slab, SLAB_PURGED);
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
    if (quiet && cache_is_common(cache))
        common_note_empty(cache, slab);
    else if (quiet)
        zone_release(slab);
    return quiet;
}

void cache_release_kept(struct cache *cache, struct slab *slab) {
    cache_unlist(cache, slab);
    if (!release(cache, slab))
        cache_list_as(cache, slab, SLAB_SPARSE);
}

void cache_settle(struct cache *cache, struct slab *slab) {
    struct bin *bin = cache_bin(cache, slab->cls);
    unsigned free_slots = slab_count_free(slab);
    unsigned mark = cache_relink_mark(slab);
    if (free_slots == slab->slots) {
        /* The last TINY slab worth allocating from stays: the next malloc needs it. A SMALL slab is
         * no dearer to get than a few of its slots are to use, and every class can use it. */
        bool keep = bin->lists[LIST_PARTIAL] == NULL && bin->lists[LIST_SPARSE] == NULL &&
                    slab->zone == ZONE_TINY && !cache_is_common(cache) && !SLM_TORTURE;
        cache_restart_countdown(cache, slab, COUNTDOWN_NEVER);
        if (!keep && release(cache, slab)) {
            cache_look_sometimes(cache);
            return;
        }
        cache_list_as(cache, slab, SLAB_SPARSE);
    } else if (free_slots >= cache_sparse_mark(slab)) {
        cache_restart_countdown(cache, slab, (uint32_t)slab->slots - free_slots);
        cache_list_as(cache, slab, SLAB_SPARSE);
    } else if (free_slots >= mark) {
        cache_restart_countdown(cache, slab, cache_sparse_mark(slab) - free_slots);
        cache_list_as(cache, slab, SLAB_PARTIAL);
    } else {
        cache_restart_countdown(cache, slab, mark - free_slots);
        cache_list_as(cache, slab, SLAB_FULL);
    }
}

static uint32_t few_slots(const struct slab *slab) {
    return 1 + (uint32_t)slab->slots / CURRENT_FEW_PART;
}

/* One of SMALL in which nothing lives any more goes to its zone, if more than a few slots of it
 * have been in use: it may be more than is to be kept (core/keep.h), and with one of each class,
 * and row, that would be much. Who allocates and frees one block again and again comes here less
 * and less. */
static void current_countdown_over(struct cache *cache, struct slab *slab) {
    uint32_t few = few_slots(slab);
    uint32_t before = load_relaxed(&slab->countdown_start);
    if (slab->zone != ZONE_SMALL) {
        cache_restart_countdown(cache, slab, COUNTDOWN_NEVER);
        return;
    }
    uint32_t live = (uint32_t)slab->slots - slab_count_free(slab);
    if (live > few) {
        slab->few_times = 0;
        cache_restart_countdown(cache, slab, live);
    } else if (live == 0 && before > few && slab->few_times == 0) {
        cache_retire_current(cache, slab->cls);
    } else {
        slab->few_times += slab->few_times < FEW_TIMES_MAX;
        cache_restart_countdown(cache, slab, few << slab->few_times);
    }
}

void cache_countdown_over(struct cache *cache, struct slab *slab) {
    if (UNLIKELY(slab->state == SLAB_CURRENT)) {
        current_countdown_over(cache, slab);
        return;
    }
    if (UNLIKELY(slab->state == SLAB_AWAY)) {
        cache_restart_countdown(cache, slab, COUNTDOWN_NEVER);
        return;
    }
    unsigned mark = cache_relink_mark(slab);
    unsigned sparse = cache_sparse_mark(slab);
    if (LIKELY(slab->state == SLAB_FULL && slab->countdown == 0 && mark < sparse)) {
        /* As most often: no need to count that so many are free. */
        struct bin *bin = cache_bin(cache, slab->cls);
        slab_list_remove(&bin->lists[LIST_FULL], slab);
        cache_restart_countdown(cache, slab, sparse - mark);
        store_relaxed(&slab->state, SLAB_PARTIAL);
        list_partial(bin, slab);
        return;
    }
    cache_unlist(cache, slab);
    cache_settle(cache, slab);
}

void cache_free_local(struct cache *cache, struct slab *slab, size_t slot) {
    slab_give_slot(slab, slot);
    slab_note_freed(slab, slot);
    if (decrement_own(&slab->countdown) == 0)
        cache_countdown_over(cache, slab);
}

static struct slab *make_current(struct cache *cache, struct slab *slab) {
    uint32_t frees = slab->zone == ZONE_SMALL ? few_slots(slab) : COUNTDOWN_NEVER;
    slab->few_times = 0;
    cache_restart_countdown(cache, slab, frees);
    store_release(&slab->state, SLAB_CURRENT); /* a walk may look: the slab has its shape by now */
    install_current(cache, slab->cls, slab);
    return slab;
}

/* Leaves the class without a current slab; what was it, on no list, or NULL. */
static struct slab *take_current(struct cache *cache, unsigned cls) {
    struct slab *slab = cache_current(cache, cls);
    if (slab == &cache_no_slab)
        return NULL;
    install_current(cache, cls, (struct slab *)&cache_no_slab);
    return slab;
}

/* One that is full, as most often when another is needed, but for fewer slots than its mark:
 * nothing has to be counted. */
static void retire_full(struct cache *cache, unsigned cls) {
    struct slab *slab = take_current(cache, cls);
    if (slab == NULL)
        return;
    slab->relink_fraction = load_relaxed(&zones[slab->zone].relink_fraction);
    cache_restart_countdown(cache, slab, cache_relink_mark(slab));
    store_relaxed(&slab->state, SLAB_FULL);
    slab_list_push(&cache_bin(cache, cls)->lists[LIST_FULL], slab);
}

void cache_retire_current(struct cache *cache, unsigned cls) {
    struct slab *slab = take_current(cache, cls);
    if (slab != NULL)
        cache_settle(cache, slab);
}

/* The densest first, so that sparse ones may become empty; those that hold no memory last. */
static struct slab *take_listed(struct cache *cache, unsigned cls) {
    struct bin *bin = cache_bin(cache, cls);
    for (unsigned list = LIST_PARTIAL; list <= LIST_PURGED; list++) {
        struct slab *slab = bin->lists[list];
        if (slab != NULL) { /* last_partial as well: then it means nothing until there is another */
            slab_list_remove(&bin->lists[list], slab);
            return slab;
        }
    }
    return NULL;
}

static struct slab *take_shelved(struct cache *cache, unsigned cls) {
    struct slab *slab = depot_take(cls, (uintptr_t)cache);
    while (slab == NULL && UNLIKELY(load_relaxed(&cache_rescue_pending)) &&
           cache_rescue_some(cache))
        slab = depot_take(cls, (uintptr_t)cache);
    return slab;
}

/* Whether so much has been freed in a current slab, unseen by its summary, that it stays. */
static bool look_again(struct cache *cache, struct slab *slab) {
    unsigned mark = cache_relink_mark(slab);
    if (LIKELY(slab_frees_since_set(slab) < mark) || slab->zone != ZONE_TINY ||
        slab_count_free(slab) < mark)
        return false;
    slab_rebuild_summary(slab);
    cache_restart_countdown(cache, slab, COUNTDOWN_NEVER);
    return true;
}

struct slab *cache_refill(struct cache *cache, unsigned cls, bool may_grow) {
    if (load_relaxed(&cache->remote_queue) != NULL)
        cache_drain(cache);
    struct slab *current = cache_current(cache, cls);
    if (load_relaxed(&current->summary) != 0 || look_again(cache, current))
        return current;
    cache_serve_request(cache);
    cache_look_sometimes(cache);
    retire_full(cache, cls);

    struct slab *slab = take_listed(cache, cls);
    if (slab == NULL)
        slab = cache_is_common(cache) ? common_take_over(cache, cls) : NULL;
    if (slab == NULL && cls < TINY_CLASSES)
        slab = take_shelved(cache, cls);
    if (slab == NULL && may_grow) {
        slab = zone_acquire(cls, (uintptr_t)cache);
        if (slab != NULL) {
            slab = make_current(cache, slab);
            if (!cache_is_common(cache))
                cache_make_up(cache, cls);
            return slab;
        }
    }
    if (slab == NULL)
        return NULL;
    if (slab->zone == ZONE_TINY)
        slab_rebuild_summary(slab);
    return make_current(cache, slab);
}
