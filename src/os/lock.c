/* Purpose: the slow sides of lock.h, and the rank check of debug builds.
 * Owns:    the ranks held by each thread (debug builds), the forking thread.
 * Source:  the three-state futex lock is the one of Drepper, "Futexes are tricky" (2011). */
#include "os/lock.h"

#include "base/fatal.h"

enum { SPINS = 100, HELD_MAX = 128 };

static uintptr_t forking_thread;

void lock_set_forking(uintptr_t thread) { store_relaxed(&forking_thread, thread); }

bool lock_is_forking(void) { return load_relaxed(&forking_thread) != 0; }

static void die_of_reentry(void) {
    TEXT(line, 256);
    text_format(&line, "slabmalloc: malloc or free was called again by a signal handler, from "
                       "inside malloc or free of the same thread; both would wait for ever\n");
    fatal_line(&line);
}

/* The kernel compares 32 bits, the low half on a little-endian machine. They hold LOCK_AWAITED, so
 * a release in between is always seen or the lock has been marked by another waiter since. */
static void wait_while(struct lock *lock, uintptr_t word) {
    os_wait((uint32_t *)(void *)&lock->word, (uint32_t)word);
}

static void sleep_until_acquired(struct lock *lock) {
    for (;;) {
        uintptr_t word = load_relaxed(&lock->word);
        if (word == 0) {
            if (cas_acquire(&lock->word, &word, thread_id() | LOCK_AWAITED))
                return;
        } else if ((word & LOCK_AWAITED) || cas_acquire(&lock->word, &word, word | LOCK_AWAITED)) {
            wait_while(lock, word | LOCK_AWAITED);
        }
    }
}

void lock_acquire_slow(struct lock *lock) {
    if (lock_holder(lock) == thread_id()) {
        if (load_relaxed(&forking_thread) != thread_id())
            die_of_reentry();
        lock->nested++;
        return;
    }
    for (int i = 0; i < SPINS; i++) {
        uintptr_t expected = 0;
        if (load_relaxed(&lock->word) == 0 &&
            cas_acquire(&lock->word, &expected, thread_id())) {
            store_relaxed(&lock->contended, lock->contended + 1);
            return;
        }
        cpu_relax();
    }
    sleep_until_acquired(lock);
    store_relaxed(&lock->contended, lock->contended + 1);
}

void lock_wake(struct lock *lock) { os_wake((uint32_t *)(void *)&lock->word, 1); }

#if SLM_DEBUG
static __thread struct {
    unsigned count;
    struct {
        const struct lock *lock;
        enum lock_rank rank;
    } held[HELD_MAX];
} ranks __attribute__((tls_model("initial-exec")));

void lock_rank_note(const struct lock *lock, enum lock_rank rank) {
    ASSERT(ranks.count < HELD_MAX);
    ranks.held[ranks.count].lock = lock;
    ranks.held[ranks.count].rank = rank;
    ranks.count++;
}

void lock_rank_push(const struct lock *lock, enum lock_rank rank) {
    for (unsigned i = 0; i < ranks.count; i++)
        ASSERT(ranks.held[i].rank < rank ||
               (ranks.held[i].rank == rank && ranks.held[i].lock < lock));
    lock_rank_note(lock, rank);
}

void lock_rank_pop(const struct lock *lock, enum lock_rank rank) {
    for (unsigned i = ranks.count; i-- > 0;) {
        if (ranks.held[i].lock == lock) {
            ASSERT(ranks.held[i].rank == rank);
            ranks.count--;
            for (; i < ranks.count; i++)
                ranks.held[i] = ranks.held[i + 1];
            return;
        }
    }
    ASSERT(!"a lock is released that is not held");
}
#else
void lock_rank_note(const struct lock *lock, enum lock_rank rank) {
    (void)lock;
    (void)rank;
}
void lock_rank_push(const struct lock *lock, enum lock_rank rank) {
    (void)lock;
    (void)rank;
}
void lock_rank_pop(const struct lock *lock, enum lock_rank rank) {
    (void)lock;
    (void)rank;
}
#endif
