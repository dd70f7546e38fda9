/* Purpose: what the operators share with malloc and free.
 * Owns:    nothing. */
#ifndef SLM_API_MALLOC_H
#define SLM_API_MALLOC_H

#include "core/call.h"

/* In at_exit.c; white-box tests, which set the heap up themselves, have one of their own. */
extern const char at_exit_anchor;

/* Frees what the hot paths did not, or says what is wrong with it. */
void malloc_free_slow(void *pointer, enum call call, struct told told);

/* Allocates while checks are on, which are told by what function. NULL and errno: no memory. */
void *malloc_checked(size_t size, size_t alignment, enum call call);

#endif
