/* Purpose: the slabs that threads share: of SMALL all, under a lock for each doubling of sizes; of
 *          TINY those that threads begin with while there are many.
 * Owns:    these slabs; caches that no thread has, one for each doubling and one for TINY.
 * Locking: RANK_COMMON, one each. No memory is given back to the system with it held: slabs that
 *          have become empty wait in `emptied` until it is released, those whose free pages are to
 *          go are `away` meanwhile: nobody allocates from them, everybody may free in them.
 *
 *   class 28 .. 35   36 .. 43   44 .. 51   52 .. 59   60 .. 67     0 .. 27
 *         commons[0] commons[1] commons[2] commons[3] commons[4]  commons[5]   for processor 0
 *         commons[6] commons[7] commons[8] commons[9] commons[10] commons[11]  for processor 1 ...
 *
 * A thread allocates from the row of the processor that it runs on: nobody else does just then, so
 * the lock is seldom waited for, and what was freed there last is in that processor's cache. A
 * block goes back to where it came from, whoever frees it. A slab that has room goes to another row
 * rather than that this one takes a new one.
 *
 * A slab of SMALL is 1 MiB. If each thread had one of each class, most of what they hold would be
 * free (perf/memory flow, 16 threads, 2 processors, 370 MiB live: 1.8 x live resident), and stay so
 * while a thread sleeps. With one row for all, two threads that do nothing but allocate and free
 * take 6 times as long.
 *
 * A thread's first few calls of each TINY class are served from here, too, if there are more than
 * a few threads: 400 that hold 100 blocks of all sizes each have a page or two of a slab of their
 * own in each class, else. What is freed in such a slab is freed as in another thread's, and merged
 * by whoever comes next. */
#ifndef SLM_CACHE_COMMON_H
#define SLM_CACHE_COMMON_H

#include "cache/cache.h"

struct common {
    struct cache cache; /* all zero until it is entered for the first time */
    struct lock lock;
    struct slab *away;    /* linked by next; whoever set it from NULL gives their pages back */
    struct slab *emptied; /* linked by next */
    uint32_t calls;
} CACHE_ALIGNED;

enum { DOUBLINGS = SMALL_CLASSES / COARSE_CLASSES, ROW = DOUBLINGS + 1, ROWS_MAX = 64 };
extern struct common commons[ROWS_MAX * ROW];

/* Rows that may have been entered: a bit for each; set with the registry's lock held. */
extern uint64_t common_rows;

/* The first of them, then the one behind `before`; NULL: there is none. */
struct common *common_next(struct common *before);

/* glibc's, since 2.35: where the kernel keeps in a thread's control block what processor it runs on
 * (rseq(2): cpu_id_start); and 0 if the kernel does not. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

/* Rows that threads are spread over where that is not known. */
enum { ROWS_BY_THREAD = 4 };

HOT_INLINE unsigned common_row(void) {
    if (SLM_TORTURE || UNLIKELY(&__rseq_size == NULL) || UNLIKELY(__rseq_size == 0))
        return (unsigned)(thread_id() >> 12) % ROWS_BY_THREAD;
    const uint32_t *cpu = (const uint32_t *)(thread_id() + (uintptr_t)__rseq_offset);
    return load_relaxed(cpu) % ROWS_MAX;
}

COLD void common_add_row(unsigned row);

/* Which of its row a class's is. */
HOT_INLINE unsigned common_place(unsigned cls) {
    return cls < TINY_CLASSES ? DOUBLINGS : (cls - TINY_CLASSES) / COARSE_CLASSES;
}

HOT_INLINE struct common *common_of_row(unsigned row, unsigned cls) {
    if (UNLIKELY((load_relaxed(&common_rows) >> row & 1) == 0))
        common_add_row(row);
    return &commons[row * ROW + common_place(cls)];
}

/* Where the calling thread allocates this class from: where it runs just now. */
HOT_INLINE struct common *common_of(unsigned cls) { return common_of_row(common_row(), cls); }

/* More threads than this begin with slabs that they share, and have so many calls of a class served
 * from those. (perf/bench idle-threads: 41 MiB with 16 calls, 90 without. A `server` of 64 threads
 * takes 1.3 times as long with 32 calls, and as long as without with 16.) */
enum { THREADS_FEW = SLM_TORTURE ? 2 : 8, SHARED_CALLS = 16 };

/* Whether the thread whose cache this is has yet to get a slab of this TINY class to itself; counts
 * a call. */
HOT_INLINE bool common_serves(struct cache *cache, unsigned cls) {
    if (LIKELY(load_relaxed(&cache_live_count) <= THREADS_FEW) ||
        cache_current(cache, cls) != &cache_no_slab)
        return false;
    uint32_t *served = &cache_bin(cache, cls)->seen;
    if (*served >= SHARED_CALLS)
        return false;
    ++*served;
    return true;
}

/* Where a slab of SMALL belongs; NULL: to nobody, it is empty. */
HOT_INLINE struct common *common_of_slab(const struct slab *slab) {
    return (struct common *)owner_cache(load_relaxed(&slab->owner));
}

/* Whether the calling thread is inside already: then this is a signal handler's call. */
HOT_INLINE bool common_is_entered(const struct common *common) {
    return lock_holder(&common->lock) == thread_id();
}

COLD void common_set_up(struct common *common);

HOT_INLINE struct cache *common_enter(struct common *common) {
    lock_acquire_often(&common->lock, RANK_COMMON);
    if (UNLIKELY(common->cache.end_class == 0))
        common_set_up(common);
    return &common->cache;
}

/* Whether the calling thread is inside any of them: then this is a signal handler's call, which may
 * wait for no other one. Who holds that, to fork, may wait for the one that is held. */
COLD bool common_is_inside(void);

/* common_enter for calls that a signal handler may make; NULL: not from there. */
HOT_INLINE struct cache *common_enter_if_free(struct common *common) {
    if (SLM_DEBUG && common_is_inside()) /* or the ranks of locks would not be in order */
        return NULL;
    if (LIKELY(lock_try_often(&common->lock, RANK_COMMON))) {
        if (UNLIKELY(common->cache.end_class == 0))
            common_set_up(common);
        return &common->cache;
    }
    return common_is_inside() ? NULL : common_enter(common);
}

/* Calls between two looks at the clock. */
enum { COMMON_LOOK_EVERY = 256 };

COLD void common_leave_slow(struct common *common);

/* Also gives emptied slabs to their zone; now and then looks at what is sparse. */
HOT_INLINE void common_leave(struct common *common) {
    if (UNLIKELY(++common->calls % COMMON_LOOK_EVERY == 0) || UNLIKELY(common->emptied != NULL))
        common_leave_slow(common);
    else
        lock_release_often(&common->lock, RANK_COMMON);
}

/* With the lock held: a slot that was used before and so is in memory, which serves a block better
 * than some that the system has yet to give. Of the class or, while the class has one slab at most,
 * a larger one of the doubling; of this row or another. NULL: there is none at hand. */
void *common_take_warm(struct common *common, unsigned cls);

/* refill.c: takes a slab with free slots over from another row; NULL: there is none worth it. */
struct slab *common_take_over(struct cache *cache, unsigned cls);

/* refill.c: an owned slab without live slots is to go to its zone. */
void common_note_empty(struct cache *cache, struct slab *slab);

/* Gives back what is free in slabs that have been sparse since before the last look, and lists
 * current ones that nobody uses. */
COLD void common_look(void);

/* The same of slabs that are sparse, but for those of the class `needed`, until `bytes` have gone;
 * and of all slabs. Return the bytes. */
size_t common_purge_sparse(unsigned needed, size_t bytes);
size_t common_purge_pages(void);

/* Gives current slabs in which nothing lives to the zone: another class or zone needs memory. */
void common_give_up_empty(void);

/* In a forked child: what other threads' purges had sent away is back. Twice: while all locks are
 * held, and afterwards. */
void common_after_fork(void);
void common_leave_all(void);

#endif
