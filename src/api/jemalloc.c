/* Purpose: the functions of jemalloc's own that hand out blocks, or take them. A program that was
 *          linked with jemalloc (redis 8) gives free what mallocx gave it, and asks for its
 *          malloc_usable_size: with slabmalloc before jemalloc, all have to be of one heap.
 * Owns:    nothing.
 * Source:  jemalloc(3), "Non-standard API", of jemalloc 5.3; nallocx is also tcmalloc's.
 *
 * `flags` has the base-2 logarithm of an alignment, and whether to clear. Arenas and thread caches,
 * which it may name, too, are jemalloc's; here is one heap. mallctl is not here: jemalloc's, if it
 * is there, goes on to tell of its own heap, in which nothing lives. */
#include <string.h>

#include "api/export.h"
#include "api/malloc.h"
#include "cache/hot.h"
#include "check/check.h"
#include "heap/heap.h"
#include "slabmalloc/slabmalloc.h"

#if SLM_OVERRIDE

enum { FLAG_ALIGNMENT = 0x3f, FLAG_ZERO = 0x40 };

/* No process has so many addresses: beyond it there is no block, of no alignment. */
#define SERVED_MAX ((size_t)1 << 56)

static inline size_t alignment_of(int flags) { return (size_t)1 << (flags & FLAG_ALIGNMENT); }

static inline bool is_zeroed(int flags) { return (flags & FLAG_ZERO) != 0; }

static inline bool is_servable(size_t size, size_t alignment) {
    return size <= SERVED_MAX && alignment <= SERVED_MAX;
}

/* Clears what came on top of the `old_size` bytes that the block had. */
static void clear_behind(void *pointer, size_t old_size) {
    size_t size = slm_malloc_usable_size(pointer);
    if (size > old_size)
        memset((char *)pointer + old_size, 0, size - old_size);
}

static void *allocate(size_t size, size_t alignment) {
    if (UNLIKELY(load_relaxed(&check_active) != 0))
        return malloc_checked(size, alignment > 1 ? alignment : 0, CALL_MALLOCX);
    return LIKELY(alignment <= MIN_ALIGNMENT) ? slm_malloc(size)
                                              : slm_aligned_alloc(alignment, size);
}

/* All of a block is cleared, not only what was asked for: where it grows is told by what it may
 * use. */
static NOINLINE void *allocate_zeroed(size_t size, size_t alignment) {
    if (LIKELY(load_relaxed(&check_active) == 0) && LIKELY(alignment <= MIN_ALIGNMENT) &&
        LIKELY(is_servable(size, alignment)))
        return slm_calloc(1, heap_good_size(size, alignment));
    void *pointer = allocate(size, alignment);
    if (LIKELY(pointer != NULL))
        clear_behind(pointer, 0);
    return pointer;
}

SLM_EXPORT void *mallocx(size_t size, int flags);
void *mallocx(size_t size, int flags) {
    return LIKELY(!is_zeroed(flags)) ? allocate(size, alignment_of(flags))
                                     : allocate_zeroed(size, alignment_of(flags));
}

/* realloc knows of no alignment beyond that of every block. */
static void *reallocate_aligned(void *pointer, size_t old_size, size_t size, size_t alignment) {
    if ((uintptr_t)pointer % alignment == 0 &&
        (heap_block_stays(old_size, size) ||
         (old_size > SMALL_MAX_BYTES && size > SMALL_MAX_BYTES &&
          heap_resize_in_place(pointer, old_size, size) >= size)))
        return pointer;
    void *copy = allocate(size, alignment);
    if (copy == NULL)
        return NULL;
    memcpy(copy, pointer, old_size < size ? old_size : size);
    slm_free(pointer);
    return copy;
}

SLM_EXPORT void *rallocx(void *pointer, size_t size, int flags);
void *rallocx(void *pointer, size_t size, int flags) {
    size_t alignment = alignment_of(flags);
    if (LIKELY(alignment <= MIN_ALIGNMENT) && LIKELY(!is_zeroed(flags)))
        return slm_realloc(pointer, size);
    size_t old_size = slm_malloc_usable_size(pointer);
    void *resized = alignment <= MIN_ALIGNMENT || pointer == NULL || old_size == 0
                        ? slm_realloc(pointer, size)
                        : reallocate_aligned(pointer, old_size, size, alignment);
    if (is_zeroed(flags) && resized != NULL)
        clear_behind(resized, old_size);
    return resized;
}

SLM_EXPORT size_t xallocx(void *pointer, size_t size, size_t extra, int flags);
size_t xallocx(void *pointer, size_t size, size_t extra, int flags) {
    size_t old_size = slm_malloc_usable_size(pointer);
    size_t most;
    if (old_size == 0 || (uintptr_t)pointer % alignment_of(flags) != 0 || size > PTRDIFF_MAX)
        return old_size;
    if (__builtin_add_overflow(size, extra, &most) || most > PTRDIFF_MAX)
        most = PTRDIFF_MAX;
    size_t now = heap_resize_in_place(pointer, old_size, most);
    if (now < size)
        now = heap_resize_in_place(pointer, now, size);
    if (is_zeroed(flags) && now > old_size)
        memset((char *)pointer + old_size, 0, now - old_size);
    return now;
}

SLM_EXPORT size_t sallocx(const void *pointer, int flags);
size_t sallocx(const void *pointer, int flags) {
    (void)flags;
    return slm_malloc_usable_size((void *)(uintptr_t)pointer);
}

SLM_EXPORT void dallocx(void *pointer, int flags);
void dallocx(void *pointer, int flags) {
    (void)flags;
    if (UNLIKELY(!hot_free_tiny(pointer)))
        malloc_free_slow(pointer, CALL_DALLOCX, NOTHING_TOLD);
}

SLM_EXPORT void sdallocx(void *pointer, size_t size, int flags);
void sdallocx(void *pointer, size_t size, int flags) {
    (void)flags;
    if (UNLIKELY(!hot_free_tiny(pointer)))
        malloc_free_slow(pointer, CALL_SDALLOCX, TOLD_SIZE(size));
}

SLM_EXPORT size_t nallocx(size_t size, int flags);
size_t nallocx(size_t size, int flags) {
    size_t alignment = alignment_of(flags);
    return LIKELY(is_servable(size, alignment)) ? heap_good_size(size, alignment) : 0;
}

#endif
