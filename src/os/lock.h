/* Purpose: the one kind of lock: a word, a futex, a rank.
 * Owns:    nothing.
 * Locking: locks are taken in the order of their ranks, lowest number first; two of one rank only
 *          in the order of their addresses. Debug builds check it (after jemalloc's witness.h).
 *
 * A lock is all zeros when free, so static ones need no initialisation. It spins briefly, then
 * sleeps in the kernel. A thread that asks for a lock it holds already, which only a signal
 * handler or another library's fork handler can bring about, is let in when it is the forking
 * thread between prepare and parent/child, and else told on standard error and aborted: it
 * never hangs. */
#ifndef SLM_OS_LOCK_H
#define SLM_OS_LOCK_H

#include "base/atomic.h"
#include "os/os.h"

/* The order, top first; see src/README.md for what each guards. */
enum lock_rank {
    RANK_UNCHECKED,    /* for fork, which takes all locks of all caches, as many as there are */
    RANK_BLOCKS,       /* records of the blocks of some slabs, while checks are on */
    RANK_CHECK,        /* what checks know beside that: tables, call stacks, findings */
    RANK_KEPT,         /* a row's part of the quarantine */
    RANK_SHARED_CACHE, /* the cache of threads that have none of their own */
    RANK_REGISTRY,     /* the list of all caches */
    RANK_COMMON,       /* the slabs of a doubling of SMALL classes */
    RANK_CACHE,        /* a cache's queue of slabs with remote frees */
    RANK_CLASS,        /* the depot of a size class */
    RANK_ZONE,         /* empty slabs of a zone */
    RANK_LARGE,        /* large blocks and the cache of free mappings */
    RANK_METADATA,     /* the allocator of internal structures */
};

#define LOCK_AWAITED ((uintptr_t)1)

struct lock {
    /* 0 free, else thread_id() of the holder, with LOCK_AWAITED if somebody may be asleep. One
     * word, so that there is no instant at which the lock is held and its holder not known: a
     * signal handler may come at any. */
    uintptr_t word;
    uint32_t nested;
    uint64_t acquired;  /* so many times, by whoever */
    uint64_t contended; /* of these, found it held */
};

/* A number that no other living thread has: the address of its control block. */
HOT_INLINE uintptr_t thread_id(void) {
    uintptr_t id;
#if defined(__x86_64__)
    __asm__("mov %%fs:0, %0" : "=r"(id));
#elif defined(__aarch64__)
    __asm__("mrs %0, tpidr_el0" : "=r"(id));
#endif
    return id;
}

/* thread_id() of the holder, 0 if there is none. */
HOT_INLINE uintptr_t lock_holder(const struct lock *lock) {
    return load_relaxed(&lock->word) & ~LOCK_AWAITED;
}

COLD void lock_acquire_slow(struct lock *lock);
COLD void lock_wake(struct lock *lock);
void lock_rank_push(const struct lock *lock, enum lock_rank rank);
/* The same in any order. */
void lock_rank_note(const struct lock *lock, enum lock_rank rank);
void lock_rank_pop(const struct lock *lock, enum lock_rank rank);

HOT_INLINE void lock_acquire(struct lock *lock, enum lock_rank rank) {
    uintptr_t expected = 0;
    if (UNLIKELY(!cas_acquire(&lock->word, &expected, thread_id())))
        lock_acquire_slow(lock);
    store_relaxed(&lock->acquired, lock->acquired + 1);
    if (SLM_DEBUG && lock->nested == 0 && rank != RANK_UNCHECKED)
        lock_rank_push(lock, rank);
    (void)rank;
}

HOT_INLINE void lock_release(struct lock *lock, enum lock_rank rank) {
    (void)rank;
    if (UNLIKELY(lock->nested > 0)) {
        lock->nested--;
        return;
    }
    if (SLM_DEBUG && rank != RANK_UNCHECKED)
        lock_rank_pop(lock, rank);
    if (UNLIKELY(exchange_release(&lock->word, 0) & LOCK_AWAITED))
        lock_wake(lock);
}

/* glibc's: not 0 while the process has one thread; absent elsewhere, and before glibc 2.32. */
extern char __libc_single_threaded __attribute__((weak));

/* A thread that is alone, and so stays until it makes another itself, needs no atomic instruction.
 * (A signal handler in between leaves the lock as it was.) */
HOT_INLINE bool lock_is_alone(void) {
    return &__libc_single_threaded != NULL && load_relaxed(&__libc_single_threaded) != 0;
}

/* The same as the two above, for locks that are taken by every call while checks are on. */
HOT_INLINE void lock_acquire_often(struct lock *lock, enum lock_rank rank) {
    if (SLM_DEBUG || !lock_is_alone() || UNLIKELY(load_relaxed(&lock->word) != 0)) {
        lock_acquire(lock, rank);
        return;
    }
    store_relaxed(&lock->word, thread_id());
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    store_relaxed(&lock->acquired, lock->acquired + 1);
}

/* The same, if nobody holds it. */
HOT_INLINE bool lock_try_often(struct lock *lock, enum lock_rank rank) {
    uintptr_t expected = 0;
    if (SLM_DEBUG || !lock_is_alone()) {
        if (UNLIKELY(!cas_acquire(&lock->word, &expected, thread_id())))
            return false;
        if (SLM_DEBUG && rank != RANK_UNCHECKED)
            lock_rank_push(lock, rank);
    } else {
        if (UNLIKELY(load_relaxed(&lock->word) != 0))
            return false;
        store_relaxed(&lock->word, thread_id());
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    }
    store_relaxed(&lock->acquired, lock->acquired + 1);
    (void)rank;
    return true;
}

HOT_INLINE void lock_release_often(struct lock *lock, enum lock_rank rank) {
    if (SLM_DEBUG || !lock_is_alone() || UNLIKELY(lock->nested > 0)) {
        lock_release(lock, rank);
        return;
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    store_relaxed(&lock->word, 0);
}

/* Takes a lock that nobody can hold, and whatever others this thread holds: it waits for none. */
static inline void lock_take_new(struct lock *lock, enum lock_rank rank) {
    lock_try_often(lock, RANK_UNCHECKED);
    if (SLM_DEBUG)
        lock_rank_note(lock, rank);
    (void)rank;
}

/* With the lock held: the thread holds it more than once, as in a handler of fork. */
HOT_INLINE bool lock_is_nested(const struct lock *lock) { return lock->nested > 0; }

/* Free, whoever held it: a thread that the fork left behind. */
HOT_INLINE void lock_reset(struct lock *lock) {
    lock->nested = 0;
    store_release(&lock->word, 0);
}

/* The thread that is between fork's prepare and its end, or 0. */
void lock_set_forking(uintptr_t thread);
bool lock_is_forking(void);

#endif
