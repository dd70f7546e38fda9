/* Purpose: the way of allocations while the heap is sampled (check/sample.h).
 * Owns:    nothing.
 * Locking: none of its own. */
#ifndef SLM_HEAP_SAMPLED_H
#define SLM_HEAP_SAMPLED_H

#include "check/sample.h"

/* Counts an allocation; the block, if it is sampled or was at hand: NULL: go on as usual. */
COLD void *heap_count(size_t bytes, size_t alignment, bool *is_zero);

/* The same, and NULL, if sampling is off. */
HOT_INLINE void *heap_count_if_sampling(size_t bytes, size_t alignment, bool *is_zero) {
    return sample_is_on() ? heap_count(bytes, alignment, is_zero) : NULL;
}

/* A LARGE block was resized where it was, or moved: what it was is gone, and it counts anew. */
void heap_count_resized(void *pointer, size_t bytes);

#endif
