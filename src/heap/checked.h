/* Purpose: what heap.h's functions do while checks are on, and what they do without, for the use of
 *          the former.
 * Owns:    nothing. */
#ifndef SLM_HEAP_CHECKED_H
#define SLM_HEAP_CHECKED_H

#include "check/check.h"
#include "core/account.h"

/* As heap.h's, with the call that the program made, and what it told. `alignment` 0: of none. */
void *checked_malloc(size_t bytes, size_t alignment, enum call call);
enum fault checked_free(void *pointer, enum call call, struct told told);
size_t checked_usable(const void *pointer, enum fault *fault);
void *checked_realloc(void *pointer, size_t bytes, enum fault *fault);

/* heap.c: without checks. */
void *heap_raw_malloc(size_t bytes, size_t alignment, bool *is_zero);
/* The same, at a slot that `random` chooses where there is a choice. */
void *heap_raw_malloc_random(size_t bytes, size_t alignment, uint64_t random, bool *is_zero);
enum fault heap_raw_free(void *pointer);
size_t heap_raw_usable(const void *pointer, enum fault *fault);

/* After a LARGE block was taken or lengthened: if the heap has grown by it, gives back what it
 * can. */
COLD void heap_make_up_large(void);
static inline void heap_note_large(void) {
    if (UNLIKELY(load_relaxed(&account.growth) != 0))
        heap_make_up_large();
}

/* init.c: a thread with a cache of its own, from before checks began, gives it up. */
void heap_join_checks(void);

#endif
