/* Purpose: what happens at the limits of the heap (core/account.h): free memory goes back at the
 *          soft one, the program is asked at both.
 * Owns:    the program's handler.
 * Locking: nothing here is called, and the handler is not, with a lock held. */
#ifndef SLM_HEAP_LIMITS_H
#define SLM_HEAP_LIMITS_H

#include "core/account.h"
#include "slabmalloc/slabmalloc.h"

/* In an allocation on a slow way: the soft limit may have been crossed. */
void limits_look(void);

/* The hard limit, or the system, has refused memory, and all that was free has gone back. True: the
 * handler says that it is worth to try again. */
bool limits_refused(void);

/* Reads the limits anew from the options, and the control group's if one of them asks for it. */
void limits_apply_options(void);

const struct slm_limit_handler *limits_set_handler(const struct slm_limit_handler *handler);

/* In a forked child, with all locks held. */
void limits_after_fork(void);

/* What is held by looking at it: equal to account.held while no thread is about to take or give. */
size_t limits_count_held(void);

#endif
