/* Purpose: every call stack that was seen, once, under a number.
 * Owns:    the stacks, for ever.
 * Locking: RANK_CHECK, taken inside for a stack that is new; none for the others, nor for looking
 *          up. */
#ifndef SLM_CHECK_STACKS_H
#define SLM_CHECK_STACKS_H

#include "check/trace.h"

/* The stack's number, which is not 0; 0: it is empty, or there is no room for more. */
uint32_t stacks_enter(const struct trace *trace);

/* The highest number that was given, 0 if none was. */
uint32_t stacks_count(void);

/* The frames of a stack; NULL, and 0 frames: none of that number. */
const uintptr_t *stacks_get(uint32_t number, unsigned *depth);

#endif
