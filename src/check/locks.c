/* Purpose: locks.h. */
#include "check/locks.h"

#include "check/check.h"

struct lone_lock check_block_locks[BLOCK_LOCKS];
struct lone_lock check_kept_locks[ROWS_MAX];
struct lock check_lock_word;

/* The others too, for checks may have begun meanwhile. Guarded by check_lock. */
static bool took_all;

void check_lock_all(void) {
    bool again = lock_holder(&check_lock_word) == thread_id(); /* in a handler of fork */
    bool active = again ? took_all : load_relaxed(&check_active) != 0;
    for (unsigned i = 0; active && i < BLOCK_LOCKS; i++)
        lock_acquire(&check_block_locks[i].lock, RANK_UNCHECKED);
    lock_acquire(&check_lock_word, RANK_CHECK);
    took_all = active;
    for (unsigned i = 0; active && i < ROWS_MAX; i++)
        lock_acquire(&check_kept_locks[i].lock, RANK_UNCHECKED);
}

void check_unlock_all(void) {
    bool active = took_all;
    for (unsigned i = 0; active && i < ROWS_MAX; i++)
        lock_release(&check_kept_locks[i].lock, RANK_UNCHECKED);
    lock_release(&check_lock_word, RANK_CHECK);
    for (unsigned i = 0; active && i < BLOCK_LOCKS; i++)
        lock_release(&check_block_locks[i].lock, RANK_UNCHECKED);
}

void check_visit_locks(void (*visit)(struct lock *lock, void *context), void *context) {
    visit(&check_lock_word, context);
    for (unsigned i = 0; i < BLOCK_LOCKS; i++)
        visit(&check_block_locks[i].lock, context);
    for (unsigned i = 0; i < ROWS_MAX; i++)
        visit(&check_kept_locks[i].lock, context);
}

static void reset(struct lock *lock, void *context) {
    (void)context;
    lock_reset(lock);
}

void check_reset_locks(void) { check_visit_locks(reset, NULL); }
