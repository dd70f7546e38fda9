/* Purpose: freed blocks that are kept back from reuse: first in, first out, with a random part.
 * Owns:    a ring of blocks, a pool that it is fed through.
 * Locking: RANK_CHECK, held by the caller. */
#ifndef SLM_CHECK_QUARANTINE_H
#define SLM_CHECK_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: there is no room for it. */
bool quarantine_put(uintptr_t start, size_t bytes);

/* Whether it holds more than its limit; takes no lock. */
bool quarantine_is_over(void);

/* Calls `visit` for each, until it returns false. */
void quarantine_walk(bool (*visit)(uintptr_t start, void *context), void *context);

/* A block that has to leave, or any if `all`; 0: none. */
uintptr_t quarantine_take(bool all);

#endif
