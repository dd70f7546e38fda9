/* Purpose: freed blocks that are kept back from reuse: first in, first out, with a random part.
 * Owns:    for each row of commons, a ring of blocks and a pool that it is fed through.
 * Locking: RANK_KEPT, taken inside; held by the caller to walk. */
#ifndef SLM_CHECK_QUARANTINE_H
#define SLM_CHECK_QUARANTINE_H

#include "check/check.h"
#include "check/locks.h"

/* A block in quarantine: it is live for the heap, so that its record stays where it is. */
struct kept {
    uintptr_t start;
    struct record *record; /* NULL: it has none */
    uint64_t room : 63;    /* bytes of the slot or of the block's pages */
    uint64_t is_large : 1;
};

/* How many bytes are kept: counted, by all rows; and what a row has yet to count. */
extern size_t kept_bytes HIDDEN;
extern struct kept_off {
    size_t bytes; /* below 0 if more have left */
} CACHE_ALIGNED kept_off[ROWS_MAX] HIDDEN;

/* Whether these are more than the limit, as far as the calling thread's row knows. */
HOT_INLINE bool quarantine_is_over(void) {
    return load_relaxed(&kept_bytes) + load_relaxed(&kept_off[check_row()].bytes) >
           check_policy.quarantine_bytes;
}

/* False: there is no room for it. */
bool quarantine_put(struct kept block);

/* Calls `visit` for each, until it returns false. The caller holds all locks. */
void quarantine_walk(bool (*visit)(uintptr_t start, void *context), void *context);

struct kept quarantine_take_one(bool any);

/* A block that has to leave, if the quarantine is over, or any if `all`; `start` is 0: none. */
HOT_INLINE struct kept quarantine_take(bool all) {
    return all || quarantine_is_over() ? quarantine_take_one(all) : (struct kept){0};
}

#endif
