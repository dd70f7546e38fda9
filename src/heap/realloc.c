/* Purpose: realloc: in place where the slot or mapping allows it, by moving pages, else by copying.
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
