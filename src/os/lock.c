/* Purpose: the slow sides of lock.h, and the rank check of debug builds.
 * Owns:    the ranks held by each thread (debug builds), the forking thread.
 * Source:  the three-state futex lock is the one of Drepper, "Futexes are tricky" (2011). */
#include "os/lock.h"

#include "base/fatal.h"

enum { SPINS = 100, HELD_MAX = 128 };

static uintptr_t forking_thread;

void lock_set_forking(uintptr_t thread) { store_relaxed(&forking_thread, thread); }

static void die_of_reentry(void) {
    TEXT(line, 256);
    text_format(&line, "slabmalloc: malloc or free was called again by a signal handler, from "
                       "inside malloc or free of the same thread; both would wait for ever\n");
    fatal_line(&line);
}

void lock_acquire_slow(struct lock *lock) {
    if (load_relaxed(&lock->holder) == thread_id()) {
        if (load_relaxed(&forking_thread) != thread_id())
            die_of_reentry();
        lock->nested++;
        return;
    }
    for (int i = 0; i < SPINS; i++) {
        uint32_t expected = 0;
        if (load_relaxed(&lock->word) == 0 && cas_acquire(&lock->word, &expected, 1)) {
            lock->contended++;
            return;
        }
        cpu_relax();
    }
    while (exchange_acquire(&lock->word, 2) != 0)
        os_wait(&lock->word, 2);
    lock->contended++;
}

void lock_wake(struct lock *lock) { os_wake(&lock->word, 1); }

#if SLM_DEBUG
static __thread struct {
    unsigned count;
    struct {
        const struct lock *lock;
        enum lock_rank rank;
    } held[HELD_MAX];
} ranks __attribute__((tls_model("initial-exec")));

void lock_rank_push(const struct lock *lock, enum lock_rank rank) {
    if (ranks.count > 0) {
        ASSERT(ranks.held[ranks.count - 1].rank <= rank);
        ASSERT(ranks.held[ranks.count - 1].rank < rank ||
               ranks.held[ranks.count - 1].lock < lock);
    }
    ASSERT(ranks.count < HELD_MAX);
    ranks.held[ranks.count].lock = lock;
    ranks.held[ranks.count].rank = rank;
    ranks.count++;
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
void lock_rank_push(const struct lock *lock, enum lock_rank rank) {
    (void)lock;
    (void)rank;
}
void lock_rank_pop(const struct lock *lock, enum lock_rank rank) {
    (void)lock;
    (void)rank;
}
#endif
