/* Purpose: sampled.h. */
#include "heap/sampled.h"

#include "cache/hot.h"
#include "heap/checked.h"
#include "heap/heap.h"
#include "large/large.h"

/* In pages of its own, and of its class's size for the program. */
static COLD void *take_sample(size_t bytes, size_t alignment, bool *is_zero) {
    unsigned cls = class_for(bytes, alignment);
    size_t slot_bytes = cls < CLASS_COUNT ? size_classes[cls].slot_bytes : bytes;
    if (!heap_is_set_up())
        return NULL;
    sample_begin();
    void *pointer = large_alloc(slot_bytes, alignment, is_zero);
    if (pointer != NULL && cls < CLASS_COUNT)
        large_set_usable(pointer, slot_bytes);
    if (pointer != NULL)
        sample_add(pointer, bytes);
    sample_end();
    heap_note_large();
    return pointer;
}

void *heap_count(size_t bytes, size_t alignment, bool *is_zero) {
    void *pointer = NULL;
    *is_zero = false;
    if (UNLIKELY(sample_count(bytes)))
        return take_sample(bytes, alignment, is_zero);
    if (alignment > MIN_ALIGNMENT || bytes > SMALL_MAX_BYTES)
        return NULL;
    bool found = bytes <= TINY_MAX_BYTES ? hot_malloc_tiny(bytes, &pointer)
                                         : hot_malloc_small(bytes, &pointer);
    return found ? pointer : NULL;
}

void heap_count_resized(void *pointer, size_t bytes) {
    sample_forget(pointer);
    if (LIKELY(!sample_is_on()) || !sample_count(bytes))
        return;
    sample_begin();
    sample_add(pointer, bytes);
    sample_end();
}
