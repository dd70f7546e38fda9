/* Purpose: freed blocks that are kept back from reuse: first in, first out, with a random part.
 * Owns:    a ring of blocks, a pool that it is fed through.
 * Locking: RANK_CHECK, held by the caller. */
#ifndef SLM_CHECK_QUARANTINE_H
#define SLM_CHECK_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A block in quarantine: it is live for the heap, so that its record stays where it is. */
struct kept {
    uintptr_t start;
    struct record *record; /* NULL: it has none */
    uint64_t room : 63;    /* bytes of the slot or of the block's pages */
    uint64_t is_large : 1;
};

/* False: there is no room for it. */
bool quarantine_put(struct kept block);

/* Whether it holds more than its limit; takes no lock. */
bool quarantine_is_over(void);

/* Calls `visit` for each, until it returns false. */
void quarantine_walk(bool (*visit)(uintptr_t start, void *context), void *context);

/* A block that has to leave, or any if `all`; `start` is 0: none. */
struct kept quarantine_take(bool all);

#endif
