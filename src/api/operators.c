/* Purpose: C++ operators new and delete, as far as they are malloc and free: their hot paths. What
 *          may throw or call a new-handler is C++ (api/new_slow.cc).
 * Owns:    nothing.
 * Source:  C++20 [new.delete]; the names are those of the Itanium C++ ABI.
 *
 * An object of its own: in the static library C programs must not pull it in, for it needs the C++
 * runtime. Sizes and alignments that a delete is told are hints that programs get wrong (field case
 * D12): nothing depends on them, but the option check_kinds has wrong sizes told. */
#include "api/malloc.h"
#include "api/operators.h"
#include "base/attr.h"
#include "cache/hot.h"
#include "check/check.h"

int operator_is_checked(void) { return UNLIKELY(load_relaxed(&check_active) != 0); }

void *operator_checked(size_t size, size_t alignment, int is_array) {
    return malloc_checked(size, alignment != 0 ? alignment : MIN_ALIGNMENT,
                          is_array ? CALL_NEW_ARRAY : CALL_NEW);
}

#define NEW(name, slow)                                                                           \
    SLM_EXPORT void *name(size_t size);                                                           \
    void *name(size_t size) {                                                                     \
        void *pointer;                                                                            \
        if (LIKELY(size <= TINY_MAX_BYTES) && LIKELY(hot_malloc_tiny(size, &pointer)))            \
            return pointer;                                                                       \
        return slow(size);                                                                        \
    }
#define NEW_NOTHROW(name, slow)                                                                   \
    SLM_EXPORT void *name(size_t size, const void *nothrow);                                      \
    void *name(size_t size, const void *nothrow) {                                                \
        void *pointer;                                                                            \
        (void)nothrow;                                                                            \
        if (LIKELY(size <= TINY_MAX_BYTES) && LIKELY(hot_malloc_tiny(size, &pointer)))            \
            return pointer;                                                                       \
        return slow(size);                                                                        \
    }

NEW(_Znwm, operator_new_slow)
NEW(_Znam, operator_new_array_slow)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, operator_new_nothrow_slow)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, operator_new_array_nothrow_slow)

/* `told` is the size or, of functions that are told none, a constant. */
static inline void delete_by(enum call call, void *pointer, size_t told) {
    if (UNLIKELY(!hot_free_small(pointer)))
        malloc_free_slow(pointer, call, told);
}

static NOINLINE void delete_above_tiny(void *pointer) {
    delete_by(CALL_DELETE, pointer, SIZE_NOT_TOLD);
}
static NOINLINE void delete_array_above_tiny(void *pointer) {
    delete_by(CALL_DELETE_ARRAY, pointer, SIZE_NOT_TOLD);
}
static NOINLINE void delete_sized_above_tiny(void *pointer, size_t size) {
    delete_by(CALL_DELETE, pointer, size);
}
static NOINLINE void delete_array_sized_above_tiny(void *pointer, size_t size) {
    delete_by(CALL_DELETE_ARRAY, pointer, size);
}

SLM_EXPORT void _ZdlPv(void *pointer);
SLM_EXPORT void _ZdaPv(void *pointer);
SLM_EXPORT void _ZdlPvm(void *pointer, size_t size);
SLM_EXPORT void _ZdaPvm(void *pointer, size_t size);

void _ZdlPv(void *pointer) {
    if (UNLIKELY(!hot_free_tiny(pointer)))
        delete_above_tiny(pointer);
}

void _ZdaPv(void *pointer) {
    if (UNLIKELY(!hot_free_tiny(pointer)))
        delete_array_above_tiny(pointer);
}

void _ZdlPvm(void *pointer, size_t size) {
    if (UNLIKELY(!hot_free_tiny(pointer)))
        delete_sized_above_tiny(pointer, size);
}

void _ZdaPvm(void *pointer, size_t size) {
    if (UNLIKELY(!hot_free_tiny(pointer)))
        delete_array_sized_above_tiny(pointer, size);
}

#define ALSO(name, target) SLM_EXPORT extern __typeof__(target) name SLM_ALIAS(target)

ALSO(_ZdlPvSt11align_val_t, _ZdlPv);
ALSO(_ZdaPvSt11align_val_t, _ZdaPv);
ALSO(_ZdlPvmSt11align_val_t, _ZdlPvm);
ALSO(_ZdaPvmSt11align_val_t, _ZdaPvm);
ALSO(_ZdlPvRKSt9nothrow_t, _ZdlPv);
ALSO(_ZdaPvRKSt9nothrow_t, _ZdaPv);
ALSO(_ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdlPv);
ALSO(_ZdaPvSt11align_val_tRKSt9nothrow_t, _ZdaPv);
