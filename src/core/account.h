/* Purpose: how much memory the heap holds, and how much it may: the limits.
 * Owns:    the sum, the limits.
 * Locking: none: one atomic sum, changed when memory is taken from the system or goes back, never
 *          by a malloc or free on its usual way.
 *
 * Held are slabs, from when they are taken for use until their memory is purged, and LARGE
 * mappings, live or kept for reuse. Not counted: the heap's own tables (some 2 % of that). Pages
 * inside of slabs in use count although they were given back. */
#ifndef SLM_CORE_ACCOUNT_H
#define SLM_CORE_ACCOUNT_H

#include "base/atomic.h"
#include "core/options.h"

struct account {
    size_t held;
    size_t held_most;    /* so much, ever */
    size_t growth;       /* of that, since account_take_growth */
    size_t hard, soft;   /* SIZE_MAX: none */
    size_t soft_mark;    /* the soft limit is told and acted on when `held` is above this */
    uint64_t refused;    /* allocations of memory that the hard limit forbade */
};

extern struct account account HIDDEN;

/* Before memory is taken. False: the hard limit forbids it, and nothing is counted. Sets
 * watch.grown if the soft limit is crossed, or the size from which a background thread is worth it:
 * a heap that has been larger, as a forked child's, may cross that again without a new peak. */
bool account_take(size_t bytes);

/* After it went back, or was not had. */
static inline void account_give(size_t bytes) {
    __atomic_fetch_sub(&account.held, bytes, __ATOMIC_RELAXED);
}

/* Bytes by which the heap holds more than it ever did before, since the last call. */
static inline size_t account_take_growth(void) {
    return LIKELY(load_relaxed(&account.growth) == 0) ? 0 : exchange_acquire(&account.growth, 0);
}

/* The limits as the options say; `group_bytes`: the limit of the control group, SIZE_MAX: none. */
void account_set_limits(size_t group_bytes);

/* True once for each time that the soft limit is crossed: `held` is to be brought down now. What is
 * held afterwards may grow by an eighth before that is done again, so that a heap that needs more
 * than the soft limit is not purged all the time. */
bool account_crosses_soft(void);
void account_note_purged(void);

/* In a forked child: what threads of the parent were just taking or giving is not. */
void account_reset(size_t held);

#endif
