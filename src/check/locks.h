/* Purpose: the locks of checks: so many that threads seldom meet at one.
 * Owns:    the locks.
 * Locking: RANK_BLOCKS, one for the blocks of a slab and of many others: their records and events.
 *          RANK_CHECK, one, inside of it: the tables that records are in, what was found, call
 *          stacks, empty blocks. RANK_KEPT, one for each row of commons: its part of the
 *          quarantine. Of each rank a thread takes one at a time, but to fork. */
#ifndef SLM_CHECK_LOCKS_H
#define SLM_CHECK_LOCKS_H

#include "cache/common.h"
#include "os/lock.h"
#include "slab/zone.h"

enum { BLOCK_LOCKS = 64 };

struct lone_lock {
    struct lock lock;
} CACHE_ALIGNED;

extern struct lone_lock check_block_locks[BLOCK_LOCKS] HIDDEN;
extern struct lone_lock check_kept_locks[ROWS_MAX] HIDDEN;
extern struct lock check_lock_word HIDDEN;

static inline struct lock *check_lock(void) { return &check_lock_word; }

/* The calling thread's row of commons and of the quarantine. Of a thread that is alone, always the
 * same: what it frees is what it next gets, wherever it runs. */
HOT_INLINE unsigned check_row(void) { return LIKELY(lock_is_alone()) ? 0 : common_row(); }

/* The lock for the record of the block at `start`, which may be anything. All of a slab have one,
 * for what is about a block may be about its slab's table. */
HOT_INLINE struct lock *check_lock_block(uintptr_t start) {
    const struct slab *slab = zone_find(start);
    size_t index = LIKELY(slab != NULL) ? load_relaxed(&slab->number) : start >> 12;
    struct lock *lock = &check_block_locks[index % BLOCK_LOCKS].lock;
    lock_acquire_often(lock, RANK_BLOCKS);
    return lock;
}

HOT_INLINE void check_unlock_block(struct lock *lock) { lock_release_often(lock, RANK_BLOCKS); }

/* All that there are, for fork. */
void check_lock_all(void);
void check_unlock_all(void);
void check_reset_locks(void);

/* Calls `visit` for each. */
void check_visit_locks(void (*visit)(struct lock *lock, void *context), void *context);

#endif
