/* Purpose: the per-thread cache: the TINY slabs that one thread owns, by class. (Those of SMALL are
 *          all threads': common.h.)
 * Owns:    its slabs (`owner` points here); the memory of caches, which is never given back but
 *          reused for later threads.
 * Locking: everything but `remote_queue` and `lock` belongs to the cache's thread. `lock`
 *          (RANK_CACHE) is held by a remote free that queues a slab, and by the owner while it
 *          gives slabs up: so a slab is queued on its owner's queue or not queued at all.
 *
 *   thread --> cache --> fine[step]       current slab by size, for the hot path
 *                    --> coarse[class]    the same of sizes beyond FINE_MAX_BYTES, by class
 *                    --> bins[class]      lists of partial, sparse, purged, full slabs
 *                    --> remote_queue     slabs that got remote frees, each at most once
 *
 * A thread's state is which cache its pointer names:
 *   cache_boot   nothing allocated yet: every class is empty, the first call goes the slow way
 *   its own      live
 *   cache_dead   torn down, no cache could be had, or checks are on: every call goes the slow way
 *                and borrows the shared cache under its lock
 *
 * Invariants:
 * - a slab with owner == cache is exactly one of: its class's current, on one of its bin's lists,
 *   SLAB_AWAY (common.h), or SLAB_CLAIMED on the way from or to the zone.
 *  - a current slab is never NULL: `cache_no_slab`, which is always full, stands for none.
 *  - fine[step] is the same for all steps of a class. */
#ifndef SLM_CACHE_CACHE_H
#define SLM_CACHE_CACHE_H

#include "core/violation.h"
#include "os/lock.h"
#include "slab/slab.h"

enum cache_state {
    CACHE_UNUSED,   /* in the pool */
    CACHE_LIVE,     /* its thread runs */
    CACHE_VANISHED, /* in a forked child: its thread was not forked along */
};

struct depot;

/* A slab's list in its bin, by its state; slabs are taken from the first that is not empty. Of the
 * partial ones that which has waited longest: more of it has become free meanwhile, and it serves
 * for longer (perf/bench replace: 0.56 of the changes of slab, 1 % more memory). In a large
 * zone that which became partial last: the others go on to drain, and may become empty when the
 * program needs less of their size (perf/memory evict: 1.15 instead of 1.24). */
enum { LIST_PARTIAL, LIST_SPARSE, LIST_PURGED, LIST_FULL, LISTS };

struct bin {
    struct slab *lists[LISTS];
    struct slab *last_partial; /* if there is any: where the next one is added */
    uint64_t frees; /* of this class through this cache, but for those that countdowns still hold */
    uint32_t seen;  /* of a thread's: calls that slabs served which threads share; of those: of
                     * the current slab, at the last look (common.c) */
};

_Static_assert(SMALL_CLASSES % COARSE_CLASSES == 0, "common.h: caches of as many classes each");

struct cache {
    struct slab *fine[FINE_STEPS];
    struct slab *coarse[COARSE_CLASSES];
    uint8_t first_class, end_class; /* whose slabs it may own */
    uint8_t is_common;              /* it is one of common.h */
    uint8_t state; /* enum cache_state */
    uint8_t exit_rounds; /* calls of the thread's exit handler so far */
    uint8_t purge_class; /* whose sparse slabs are next to be purged */
    uint8_t slow_calls;  /* cache_look_sometimes */
    uint8_t looks;       /* at its sparse slabs, all of them */
    uint32_t aside_calls; /* allocations served from elsewhere than an interrupted slab */
    uint32_t requests_served; /* of giveback.c */
    uint32_t queued;          /* slabs that this thread has put on others' queues */
    uint32_t drains;          /* of remote_queue */
    uint64_t next_look_ms; /* at sparse slabs */
    struct bin bins[TINY_CLASSES]; /* from first_class on */

    struct slab *remote_queue CACHE_ALIGNED; /* linked by queue_next; pushed under lock */
    struct lock lock;
    /* A double free that only a merge could find, to be reported. In cache_dead, cache_no_slab:
     * check/ has found something. */
    struct slab *late_slab;
    size_t late_slot;
    uint32_t drains_seen; /* lend.c: at its last look */
    /* Guarded by the registry: */
    struct cache *all_next;    /* every cache there ever was */
    struct cache *pool_next;   /* CACHE_UNUSED */
    struct cache *thread_next; /* CACHE_LIVE: others in the bucket of `thread` */
    uintptr_t thread;          /* thread_id() of the cache's thread */
    size_t verify_slabs;       /* scratch of heap/verify.c: slabs that name this cache as owner, */
    size_t verify_pending;     /* those of them that are pending, */
    size_t verify_words;       /* words that their summaries do not agree with */
} CACHE_ALIGNED;

extern const struct slab cache_no_slab;
extern struct cache cache_boot;
extern struct cache cache_dead;
extern struct cache cache_shared;

/* Threads that have a cache; read without a lock. */
extern uint32_t cache_live_count;

/* The calling thread's cache. The only thread-local variable of release builds, but for check/. */
extern __thread struct cache *cache_self HIDDEN __attribute__((tls_model("initial-exec")));

HOT_INLINE bool cache_is_live(const struct cache *cache) {
    return cache != &cache_boot && cache != &cache_dead;
}

/* The slab that it allocates this class from. */
HOT_INLINE struct slab *cache_current(const struct cache *cache, unsigned cls) {
    return cls < FINE_CLASSES ? cache->fine[size_classes[cls].slot_bytes >> FINE_STEP_SHIFT]
                              : cache->coarse[(cls - FINE_CLASSES) % COARSE_CLASSES];
}

HOT_INLINE struct bin *cache_bin(struct cache *cache, unsigned cls) {
    return &cache->bins[cls - cache->first_class];
}

HOT_INLINE bool cache_is_common(const struct cache *cache) { return cache->is_common; }

/* A cache that calls of several threads use, under a lock of its own: which is held, so that
 * nothing may take long. */
HOT_INLINE bool cache_is_borrowed(const struct cache *cache) {
    return cache == &cache_shared || cache_is_common(cache);
}

HOT_INLINE struct cache *owner_cache(uintptr_t owner) {
    return (struct cache *)(owner & ~OWNER_PENDING);
}

/* Whether a slab's owner is a thread that the fork did not copy. */
HOT_INLINE bool cache_is_vanished(uintptr_t owner) {
    return owner_cache(owner) != NULL &&
           load_relaxed(&owner_cache(owner)->state) == CACHE_VANISHED;
}

/* --- refill.c: the owner's slow side ---------------------------------------------------------- */

/* A slab of the class with a free slot, now current; NULL if there is none. `may_grow`: an empty
 * slab may be taken from the zone. */
struct slab *cache_refill(struct cache *cache, unsigned cls, bool may_grow);

/* Frees a live slot of a slab that the cache owns. */
void cache_free_local(struct cache *cache, struct slab *slab, size_t slot);

/* The slab's countdown has run out: lists it anew, or gives it back if nothing lives in it. */
void cache_countdown_over(struct cache *cache, struct slab *slab);

/* Puts an owned slab, on no list, where its free slots say; used after adoption. */
void cache_settle(struct cache *cache, struct slab *slab);

/* Gives back to its zone a sparse slab in which nothing lives. */
void cache_release_kept(struct cache *cache, struct slab *slab);

/* The class has no current slab any more; what was it is listed. */
void cache_retire_current(struct cache *cache, unsigned cls);

/* Free slots that make a full slab worth allocating from again; and a partial one sparse. */
unsigned cache_relink_mark(const struct slab *slab);
unsigned cache_sparse_mark(const struct slab *slab);

/* On or off the list that its state names. */
void cache_list_as(struct cache *cache, struct slab *slab, enum slab_state state);
void cache_unlist(struct cache *cache, struct slab *slab);

/* Lists a sparse slab, on no list, whose free pages were given back and in which so many live. */
void cache_list_purged(struct cache *cache, struct slab *slab, uint32_t live);

/* Moves what the slab's countdown has counted into the class's statistics and sets it anew. */
void cache_restart_countdown(struct cache *cache, struct slab *slab, uint32_t frees);

/* --- giveback.c: memory inside of slabs in use ------------------------------------------------ */

/* Gives back what is free in the cache's slabs, by its thread; and in those that nobody owns.
 * Return the bytes. Not for the shared cache: its lock would be held meanwhile. */
size_t cache_purge_pages(struct cache *cache);
size_t cache_purge_shelves(struct cache *cache);

/* All other threads are to do so, when they next need a slab. */
void cache_request_purge(struct cache *except);
void cache_serve_request(struct cache *cache);

/* After a slab of the class was acquired, or, CLASS_COUNT, a LARGE block: if its zone has grown, or
 * the heap, gives back what it can for it. */
void cache_make_up(struct cache *cache, unsigned cls);

/* Gives back what is free in slabs that have been sparse since before the last look. */
COLD void cache_look(struct cache *cache);

/* When a slab was needed, or was emptied; asks the clock at one in LOOK_CALLS. */
enum { LOOK_CALLS = 64 };
static inline void cache_look_sometimes(struct cache *cache) {
    if (UNLIKELY(++cache->slow_calls % LOOK_CALLS == 0))
        cache_look(cache);
}

/* --- remote.c: frees across threads ----------------------------------------------------------- */

/* Frees a live slot of a slab that was not `self`'s; `self` adopts the slab if nobody owns it. */
enum fault cache_free_remote(struct cache *self, struct slab *slab, size_t slot);

/* Bits of the slab's remote_bits were set by the caller: what makes its owner merge them; `self`
 * adopts it if nobody owns it. */
void cache_announce(struct cache *self, struct slab *slab);

/* Merges a slab's remote frees and counts them; lists nothing. Returns how many. */
unsigned cache_merge(struct cache *cache, struct slab *slab);

/* Merges the remote frees of every queued slab, and lists the slabs anew. */
void cache_drain(struct cache *cache);

/* --- lend.c: memory freed in the slabs of threads that sleep ---------------------------------- */

/* Gives back what other threads have freed in slabs whose owners have merged nothing since the last
 * call; `all`: in any. Not for the shared cache. Returns the bytes. */
size_t cache_purge_lent(struct cache *self, bool all);

/* The same from inside of a free, now and then. */
void cache_look_for_sleepers(struct cache *self);

struct lending {
    uint32_t is_busy;           /* some thread is about it */
    struct slab *slab;          /* whose slots are out, or NULL */
    uint64_t taken[SLAB_WORDS]; /* which */
    uint64_t next_ms;           /* when a thread that frees is to look next; 0: none ever did */
};
extern struct lending cache_lending;

/* In a forked child: whether some thread of the parent was about that; and undoes it. */
bool cache_is_lending(void);
void cache_return_lent(struct cache *self);

/* --- registry.c: caches come and go ----------------------------------------------------------- */

/* A live cache for the calling thread, which it becomes the cache of; NULL: no memory. It is empty,
 * unless there is one whose thread had the same control block: then that thread is dead but nobody
 * told us (it first called in its last key destructor), or it is this very thread, whose
 * thread-local variables the loader has set to their first values after a resolver had called us.
 */
struct cache *cache_create(void);

/* The calling thread's end: gives all slabs up; the thread is dead afterwards. */
void cache_destroy(struct cache *cache);

/* Gives up one slab that is on no list; the cache's lock and the depot's are held. A slab without
 * live slots is claimed and put on the list `empty` instead. */
void cache_give_up(struct cache *cache, struct depot *depot, struct slab *slab,
                   struct slab **empty);

/* Makes all classes empty. */
void cache_clear(struct cache *cache);

/* Calls `visit` for every cache there ever was; takes no lock. */
void cache_walk(void (*visit)(struct cache *cache, void *context), void *context);

/* Around fork: all locks of caches, the registry's first. */
void cache_acquire_all(void);
void cache_release_all(void);

struct lock *cache_registry_lock(void);

/* All locks of caches are free again, whoever held them. */
void cache_reset_locks(void);

/* In a forked child, before the release: all caches but `self` and the shared one have vanished. */
void cache_mark_vanished(struct cache *self);

/* Verifies the lists of caches and threads. The caller holds the registry's lock. */
bool cache_verify_registry(struct violation *violation);

/* --- verify.c: the caller holds all locks ----------------------------------------------------- */

/* A cache that nobody is using, whose `verify_` fields are filled: its lists hold all of its slabs,
 * each where it belongs. */
bool cache_verify_still(const struct cache *cache, struct violation *violation);

/* A cache that has no thread: it is empty. */
bool cache_verify_unused(const struct cache *cache, struct violation *violation);

/* --- rescue.c: slabs of vanished caches ------------------------------------------------------- */

extern uint8_t cache_rescue_pending;

/* Looks at some more slabs and hands those of vanished caches to the depots and zones. `self`
 * reports what is found wrong with them. False: there are none left to look at. */
bool cache_rescue_some(struct cache *self);
void cache_rescue_restart(void);

#endif
