/* Purpose: the last events of each block: which call, of which thread, from where.
 * Owns:    nothing: events lie with the records (record.h), stacks in stacks.c.
 * Locking: RANK_BLOCKS for adding, held by the caller. */
#ifndef SLM_CHECK_HISTORY_H
#define SLM_CHECK_HISTORY_H

#include "check/record.h"

/* What is found out about a call before the lock is taken. */
struct moment {
    uint32_t thread;
    uint32_t stack; /* its number */
};

void history_find_out(struct moment *moment);
HOT_INLINE void history_prepare(struct moment *moment) {
    if (UNLIKELY(check_policy.history))
        history_find_out(moment);
}

/* Adds an event as the latest; `events` NULL: there is no history. `frees`: the block was given
 * back, which realloc may do too. */
void history_add(struct event *events, const struct moment *moment, enum call call, bool frees,
                 size_t bytes);

#endif
