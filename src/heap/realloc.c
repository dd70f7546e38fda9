/* Purpose: realloc: in place where the slot or mapping allows it, by moving pages, else by copying;
 *          and how much a block may use.
 * Owns:    nothing. */
#include <string.h>

#include "heap/checked.h"
#include "heap/heap.h"
#include "heap/sampled.h"
#include "large/large.h"

static void *copy_to_new(void *old, size_t old_bytes, size_t bytes, enum fault *fault) {
    void *pointer = heap_malloc(bytes);
    if (pointer == NULL)
        return NULL;
    memcpy(pointer, old, old_bytes < bytes ? old_bytes : bytes);
    *fault = heap_free(old);
    return pointer;
}

void *heap_realloc(void *pointer, size_t bytes, enum fault *fault) {
    if (UNLIKELY(load_relaxed(&check_active)))
        return checked_realloc(pointer, bytes, fault);
    size_t old_bytes = heap_raw_usable(pointer, fault);
    if (UNLIKELY(*fault != FAULT_NONE))
        return NULL;
    if (heap_block_stays(old_bytes, bytes))
        return pointer;
    if (old_bytes > SMALL_MAX_BYTES && bytes > SMALL_MAX_BYTES) {
        if (round_up(bytes, os_page_bytes) == old_bytes)
            return pointer;
        void *resized = large_resize(pointer, bytes);
        heap_note_large();
        if (resized != NULL) {
            heap_count_resized(resized, bytes);
            return resized;
        }
    }
    void *copy = copy_to_new(pointer, old_bytes, bytes, fault);
    /* A block that shrinks can always stay. */
    return copy == NULL && bytes <= old_bytes ? pointer : copy;
}

size_t heap_resize_in_place(void *pointer, size_t old_bytes, size_t bytes) {
    if (load_relaxed(&check_active) || old_bytes <= SMALL_MAX_BYTES)
        return old_bytes;
    bytes += bytes == 0;
    if (round_up(bytes, os_page_bytes) == old_bytes || !large_resize_in_place(pointer, bytes))
        return old_bytes;
    heap_note_large();
    heap_count_resized(pointer, bytes);
    return large_usable(pointer);
}

size_t heap_good_size(size_t bytes, size_t alignment) {
    if (UNLIKELY(load_relaxed(&check_active)))
        return bytes;
    unsigned cls = class_for(bytes, alignment);
    return cls < CLASS_COUNT ? size_classes[cls].slot_bytes : round_up(bytes, os_page_bytes);
}
