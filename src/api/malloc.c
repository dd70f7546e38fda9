/* Purpose: malloc and its family: arguments, errno, faults; the work is below.
 * Owns:    nothing.
 * Source:  C23 7.24.3, POSIX.1-2024, the glibc manual, "Replacing malloc". */
#include "slabmalloc/slabmalloc.h"

#include <errno.h>
#include <string.h>

#include "api/bound.h"
#include "api/export.h"
#include "api/malloc.h"
#include "cache/hot.h"
#include "check/check.h"
#include "check/sample.h"
#include "heap/heap.h"
#include "os/os.h"
#include "report/diagnosis.h"
#include "report/summary.h"

static COLD void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

static COLD void *bad_argument(void) {
    errno = EINVAL;
    return NULL;
}

static inline bool is_too_large(size_t bytes) { return bytes > PTRDIFF_MAX; }

/* What was found of other blocks than the call is about; and statistics that are due. */
static inline void check_late(enum call call) {
    struct slab *slab;
    size_t slot;
    summary_if_due();
    if (LIKELY(!heap_late_fault(&slab, &slot)))
        return;
    if (slab == CHECK_HAS_FINDINGS)
        diagnose_findings();
    else
        diagnose_late(call_facts[call].name, slab, slot);
}

/* How every slow way of an allocation ends. */
static inline void *give_out(enum call call, void *pointer) {
    check_late(call);
    return LIKELY(pointer != NULL) ? pointer : no_memory();
}

/* --- malloc, free ----------------------------------------------------------------------------- */

static NOINLINE void *malloc_slow(size_t size) {
    return UNLIKELY(is_too_large(size)) ? no_memory() : give_out(CALL_MALLOC, heap_malloc(size));
}

COLD void *malloc_checked(size_t size, size_t alignment, enum call call) {
    if (UNLIKELY(is_too_large(size)))
        return no_memory();
    if (UNLIKELY(alignment != 0 && !is_power_of_two(alignment)))
        return bad_argument();
    return give_out(call, heap_malloc_by(call, size, alignment));
}

/* While the heap is sampled: what is at hand, and no sample. */
static NOINLINE void *malloc_between_samples(size_t size) {
    void *pointer;
    if (UNLIKELY(size > TINY_MAX_BYTES) || UNLIKELY(!sample_is_far(size)) ||
        UNLIKELY(!hot_malloc_tiny(size, &pointer)))
        return malloc_slow(size);
    sample_pass(size);
    return pointer;
}

static NOINLINE void *malloc_small(size_t size) {
    void *pointer;
    return LIKELY(hot_malloc_small(size, &pointer)) ? pointer : malloc_slow(size);
}

/* Apart, as free_small below: it saves no register. */
static NOINLINE void *malloc_above_tiny(size_t size) {
    if (LIKELY(hot_is_small(size)))
        return malloc_small(size);
    return sample_is_on() ? malloc_between_samples(size) : malloc_slow(size);
}

void *slm_malloc(size_t size) {
    void *pointer;
    if (UNLIKELY(size >= load_own(&zone_map.fine_end))) {
        if (UNLIKELY(size >= load_own(&zone_map.tiny_end)) ||
            UNLIKELY(!hot_malloc_coarse(size, &pointer)))
            return malloc_above_tiny(size);
        __asm__ volatile(""); /* or gcc shares the end of both ways, at the price of a jump */
        return pointer;
    }
    if (UNLIKELY(!hot_malloc_fine(size, &pointer)))
        return malloc_slow(size);
    return pointer;
}

/* Apart, so that what comes before and after need not save registers for them. */
static NOINLINE bool free_small(void *pointer) { return hot_free_small(pointer); }

static NOINLINE void free_cold(void *pointer, enum call call, struct told told) {
    enum fault fault = heap_free_by(call, pointer, told);
    if (UNLIKELY(fault != FAULT_NONE))
        diagnose_pointer(call, pointer, fault);
    check_late(call);
}

HOT_INLINE void free_in_others(void *pointer, struct slab *slab, enum call call,
                                  struct told told) {
    enum hot_remote left = hot_free_remote(slab, (uintptr_t)pointer);
    if (LIKELY(left == REMOTE_FREED))
        return;
    if (LIKELY(left == REMOTE_TO_ANNOUNCE))
        cache_announce(cache_self, slab);
    else if (left == REMOTE_FREED_TWICE)
        diagnose_pointer(call, pointer, FAULT_DOUBLE_FREE);
    else
        free_cold(pointer, call, told);
}

static NOINLINE void free_elsewhere(void *pointer, enum call call, struct told told) {
    struct slab *slab;
    if (hot_find_tiny(pointer, &slab))
        free_in_others(pointer, slab, call, told);
    else
        free_cold(pointer, call, told);
}

/* Some programs free NULL again and again (gawk: as often as anything). */
HOT_INLINE void free_beyond_tiny(void *pointer, enum call call, struct told told) {
    if (pointer == NULL)
        return;
    if (!zone_is_small((uintptr_t)pointer) || UNLIKELY(!free_small(pointer)))
        free_elsewhere(pointer, call, told);
}

void malloc_free_slow(void *pointer, enum call call, struct told told) {
    free_beyond_tiny(pointer, call, told);
}

static NOINLINE void free_remote(void *pointer, struct slab *slab) {
    free_in_others(pointer, slab, CALL_FREE, NOTHING_TOLD);
}

static NOINLINE void free_slow(void *pointer) {
    free_beyond_tiny(pointer, CALL_FREE, NOTHING_TOLD);
}

/* Others' slabs apart: what is known of the pointer by then is not found out again. */
void slm_free(void *pointer) {
    struct slab *slab;
    if (UNLIKELY(!hot_find_tiny(pointer, &slab)))
        free_slow(pointer);
    else if (UNLIKELY(!hot_is_own(slab)))
        free_remote(pointer, slab);
    else if (UNLIKELY(!hot_free_in(slab, (uintptr_t)pointer)))
        free_slow(pointer);
}

/* The size is a hint that programs get wrong (field case D12); nothing but checks depends on it. */
void slm_free_sized(void *pointer, size_t size) {
    if (UNLIKELY(!hot_free_tiny(pointer)))
        malloc_free_slow(pointer, CALL_FREE_SIZED, TOLD_SIZE(size));
}

void slm_free_aligned_sized(void *pointer, size_t alignment, size_t size) {
    if (UNLIKELY(!hot_free_tiny(pointer)))
        malloc_free_slow(pointer, CALL_FREE_ALIGNED_SIZED, (struct told){size, alignment});
}

/* As hot_usable_by_any, but 0 of all blocks while checks are on, which may lie inside of a slot. */
static inline size_t usable_by_any(const void *pointer) {
    return LIKELY(!load_relaxed(&check_active)) ? hot_usable_by_any(pointer) : 0;
}

/* --- calloc, realloc -------------------------------------------------------------------------- */

static NOINLINE void *calloc_beyond_fine(size_t bytes) {
    void *pointer;
    if (LIKELY(bytes > FINE_MAX_BYTES) && LIKELY(bytes < load_own(&zone_map.tiny_end)) &&
        LIKELY(hot_malloc_coarse(bytes, &pointer)))
        return memset(pointer, 0, bytes);
    return UNLIKELY(is_too_large(bytes)) ? no_memory() : give_out(CALL_CALLOC, heap_calloc(bytes));
}

void *slm_calloc(size_t count, size_t size) {
    size_t bytes;
    void *pointer;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return no_memory();
    if (LIKELY(bytes < load_own(&zone_map.fine_end)) && LIKELY(hot_malloc_fine(bytes, &pointer)))
        return memset(pointer, 0, bytes);
    return calloc_beyond_fine(bytes);
}

static NOINLINE void *realloc_slow(void *pointer, size_t size) {
    if (UNLIKELY(is_too_large(size)))
        return no_memory();
    enum fault fault;
    void *resized = heap_realloc(pointer, size, &fault);
    if (UNLIKELY(fault != FAULT_NONE)) {
        diagnose_pointer(CALL_REALLOC, pointer, fault);
        return bad_argument();
    }
    return give_out(CALL_REALLOC, resized);
}

/* A block that was this thread's may be so no more: a slab that others free into has become
 * pending. */
HOT_INLINE void *move_to(void *copy, void *pointer, size_t old_size, size_t size) {
    memcpy(copy, pointer, old_size < size ? old_size : size);
    if (UNLIKELY(!hot_free_tiny(pointer)))
        malloc_free_slow(pointer, CALL_REALLOC, NOTHING_TOLD);
    return copy;
}

/* Into another slot, if there is one at hand. */
static void *realloc_by_copy(void *pointer, size_t old_size, size_t size) {
    void *copy;
    return LIKELY(hot_malloc_tiny(size, &copy)) ? move_to(copy, pointer, old_size, size)
                                                : realloc_slow(pointer, size);
}

/* The same for more than TINY_MAX_BYTES. */
static NOINLINE void *realloc_by_copy_to_small(void *pointer, size_t old_size, size_t size) {
    void *copy;
    return LIKELY(hot_is_small(size)) && LIKELY(hot_malloc_small(size, &copy))
               ? move_to(copy, pointer, old_size, size)
               : realloc_slow(pointer, size);
}

static inline void *realloc_in_slab(void *pointer, size_t old_size, size_t size) {
    if (LIKELY(heap_block_stays(old_size, size)))
        return pointer;
    return LIKELY(size < load_own(&zone_map.tiny_end))
               ? realloc_by_copy(pointer, old_size, size)
               : realloc_by_copy_to_small(pointer, old_size, size);
}

/* SMALL, or in another thread's slab. */
static NOINLINE void *realloc_elsewhere(void *pointer, size_t size) {
    size_t old_size = usable_by_any(pointer);
    return LIKELY(old_size != 0) ? realloc_in_slab(pointer, old_size, size)
                                 : realloc_slow(pointer, size);
}

void *slm_realloc(void *pointer, size_t size) {
    if (pointer == NULL)
        return slm_malloc(size);
    if (UNLIKELY(size == 0)) {
        if (!hot_free_tiny(pointer))
            malloc_free_slow(pointer, CALL_FREE_BY_REALLOC, NOTHING_TOLD);
        return NULL;
    }
    size_t old_size = hot_usable(pointer);
    return LIKELY(old_size != 0) ? realloc_in_slab(pointer, old_size, size)
                                 : realloc_elsewhere(pointer, size);
}

void *slm_reallocarray(void *pointer, size_t count, size_t size) {
    size_t bytes;
    if (UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return no_memory();
    return slm_realloc(pointer, bytes);
}

#if SLM_OVERRIDE
/* As libc's, which ends in the program's own realloc, if there is one. */
SLM_EXPORT void *reallocarray(void *pointer, size_t count, size_t size) {
    size_t bytes;
    if (LIKELY(bound_realloc == own_realloc) ||
        bound_realloc == NULL /* while the loader is at work */ ||
        UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return slm_reallocarray(pointer, count, size);
    return bound_realloc(pointer, bytes);
}
#endif

/* --- alignment -------------------------------------------------------------------------------- */

static NOINLINE void *allocate_aligned_beyond_tiny(size_t alignment, size_t size) {
    void *pointer;
    if (LIKELY(size <= SMALL_MAX_BYTES) && LIKELY(alignment <= SMALL_MAX_BYTES)) {
        size_t bytes = bytes_for_aligned(size, alignment);
        if (LIKELY(hot_is_small(bytes)) && LIKELY(hot_malloc_small_aligned(bytes, &pointer)))
            return pointer;
    }
    if (UNLIKELY(is_too_large(size)))
        return NULL;
    pointer = heap_malloc_aligned(size, alignment);
    check_late(CALL_ALIGNED_ALLOC);
    return pointer;
}

/* `alignment` is a power of two. NULL without errno. */
static void *allocate_aligned(size_t alignment, size_t size) {
    void *pointer;
    if (LIKELY(size < load_own(&zone_map.tiny_end)) && LIKELY(alignment <= TINY_MAX_BYTES) &&
        LIKELY(hot_malloc_tiny(bytes_for_aligned(size, alignment), &pointer)))
        return pointer;
    return allocate_aligned_beyond_tiny(alignment, size);
}

void *slm_aligned_alloc(size_t alignment, size_t size) {
    if (UNLIKELY(!is_power_of_two(alignment)))
        return bad_argument();
    void *pointer = allocate_aligned(alignment, size);
    return LIKELY(pointer != NULL) ? pointer : no_memory();
}

int slm_posix_memalign(void **result, size_t alignment, size_t size) {
    if (UNLIKELY(!is_power_of_two(alignment)) || alignment % sizeof(void *) != 0)
        return EINVAL;
    void *pointer = allocate_aligned(alignment, size);
    if (UNLIKELY(pointer == NULL))
        return ENOMEM;
    *result = pointer;
    return 0;
}

void *slm_memalign(size_t alignment, size_t size) {
    if (alignment > SIZE_MAX / 2 + 1)
        return bad_argument();
    if (alignment <= 1)
        return slm_aligned_alloc(1, size);
    if (!is_power_of_two(alignment))
        alignment = (size_t)2 << bit_highest(alignment);
    return slm_aligned_alloc(alignment, size);
}

void *slm_valloc(size_t size) { return slm_aligned_alloc(os_page_bytes, size); }

void *slm_pvalloc(size_t size) {
    if (UNLIKELY(is_too_large(size)))
        return no_memory();
    size_t whole = round_up(size, os_page_bytes);
    return slm_aligned_alloc(os_page_bytes, whole != 0 ? whole : os_page_bytes);
}

static NOINLINE size_t usable_elsewhere(void *pointer) {
    if (pointer == NULL)
        return 0;
    size_t bytes = usable_by_any(pointer);
    if (LIKELY(bytes != 0))
        return bytes;
    enum fault fault;
    bytes = heap_usable(pointer, &fault);
    if (UNLIKELY(fault != FAULT_NONE))
        diagnose_pointer(CALL_USABLE_SIZE, pointer, fault);
    return bytes;
}

/* Some programs ask for the size of each block that they allocate and free (redis). */
size_t slm_malloc_usable_size(void *pointer) {
    size_t bytes = hot_usable(pointer);
    return LIKELY(bytes != 0) ? bytes : usable_elsewhere(pointer);
}

/* Whoever takes malloc from the static library takes what runs before and after main along. */
__attribute__((used)) static const char *const with_constructors = &at_exit_anchor;

OWN(own_malloc, slm_malloc);
OWN(own_free, slm_free);
OWN(own_realloc, slm_realloc);
OWN(own_aligned_alloc, slm_aligned_alloc);
OWN(own_posix_memalign, slm_posix_memalign);
OWN(own_memalign, slm_memalign);

EXPORT_AS(malloc, slm_malloc);
EXPORT_AS(free, slm_free);
EXPORT_AS(cfree, slm_free);
EXPORT_AS(free_sized, slm_free_sized);
EXPORT_AS(free_aligned_sized, slm_free_aligned_sized);
EXPORT_AS(calloc, slm_calloc);
EXPORT_AS(realloc, slm_realloc);
EXPORT_AS(aligned_alloc, slm_aligned_alloc);
EXPORT_AS(posix_memalign, slm_posix_memalign);
EXPORT_AS(memalign, slm_memalign);
EXPORT_AS(valloc, slm_valloc);
EXPORT_AS(pvalloc, slm_pvalloc);
EXPORT_AS(malloc_usable_size, slm_malloc_usable_size);

/* Names of glibc's own that some programs call or define around (Chromium, old Emacs). */
EXPORT_AS(__libc_malloc, slm_malloc);
EXPORT_AS(__libc_free, slm_free);
EXPORT_AS(__libc_cfree, slm_free);
EXPORT_AS(__libc_calloc, slm_calloc);
EXPORT_AS(__libc_realloc, slm_realloc);
EXPORT_AS(__libc_reallocarray, slm_reallocarray);
EXPORT_AS(__libc_memalign, slm_memalign);
EXPORT_AS(__libc_valloc, slm_valloc);
EXPORT_AS(__libc_pvalloc, slm_pvalloc);
EXPORT_AS(__posix_memalign, slm_posix_memalign);
