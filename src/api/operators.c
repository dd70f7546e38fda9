/* Purpose: C++ operators new and delete, as far as they are malloc and free: their hot paths. What
 *          may throw or call a new-handler is C++ (api/new_slow.cc).
 * Owns:    nothing.
 * Source:  C++20 [new.delete]; the names are those of the Itanium C++ ABI.
 *
 * An object of its own: in the static library C programs must not pull it in, for it needs the C++
 * runtime. Sizes and alignments that a delete is told are hints that programs get wrong (field case
 * D12): nothing depends on them, but the option check_kinds has wrong ones told. */
#include "api/malloc.h"
#include "api/operators.h"
#include "base/attr.h"
#include "cache/hot.h"
#include "check/check.h"

int operator_is_checked(void) { return UNLIKELY(load_relaxed(&check_active) != 0); }

void *operator_checked(size_t size, size_t alignment, int is_array) {
    return malloc_checked(size, alignment, is_array ? CALL_NEW_ARRAY : CALL_NEW);
}

#define NEW(name, slow)                                                                           \
    SLM_EXPORT void *name(size_t size);                                                           \
    void *name(size_t size) {                                                                     \
        void *pointer;                                                                            \
        if (LIKELY(size <= FINE_MAX_BYTES) && LIKELY(hot_malloc_fine(size, &pointer)))            \
            return pointer;                                                                       \
        return slow(size);                                                                        \
    }
#define NEW_NOTHROW(name, slow)                                                                   \
    SLM_EXPORT void *name(size_t size, const void *nothrow);                                      \
    void *name(size_t size, const void *nothrow) {                                                \
        void *pointer;                                                                            \
        (void)nothrow;                                                                            \
        if (LIKELY(size <= FINE_MAX_BYTES) && LIKELY(hot_malloc_fine(size, &pointer)))            \
            return pointer;                                                                       \
        return slow(size);                                                                        \
    }

NEW(_Znwm, operator_new_slow)
NEW(_Znam, operator_new_array_slow)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, operator_new_nothrow_slow)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, operator_new_array_nothrow_slow)

/* What is told is constant but for the arguments that a function takes. */
static inline void delete_by(enum call call, void *pointer, struct told told) {
    malloc_free_slow(pointer, call, told);
}

#define DELETE(name, call)                                                                        \
    static NOINLINE void name##_above_tiny(void *pointer) {                                       \
        delete_by(call, pointer, NOTHING_TOLD);                                                   \
    }                                                                                             \
    SLM_EXPORT void name(void *pointer);                                                          \
    void name(void *pointer) {                                                                    \
        if (UNLIKELY(!hot_free_tiny(pointer)))                                                    \
            name##_above_tiny(pointer);                                                           \
    }
#define DELETE_TOLD(name, call, bytes, alignment)                                                 \
    static NOINLINE void name##_above_tiny(void *pointer, size_t first) {                         \
        delete_by(call, pointer, (struct told){bytes, alignment});                                \
    }                                                                                             \
    SLM_EXPORT void name(void *pointer, size_t first);                                            \
    void name(void *pointer, size_t first) {                                                      \
        if (UNLIKELY(!hot_free_tiny(pointer)))                                                    \
            name##_above_tiny(pointer, first);                                                    \
    }
#define DELETE_TOLD_BOTH(name, call)                                                              \
    static NOINLINE void name##_above_tiny(void *pointer, size_t size, size_t alignment) {        \
        delete_by(call, pointer, (struct told){size, alignment});                                 \
    }                                                                                             \
    SLM_EXPORT void name(void *pointer, size_t size, size_t alignment);                           \
    void name(void *pointer, size_t size, size_t alignment) {                                     \
        if (UNLIKELY(!hot_free_tiny(pointer)))                                                    \
            name##_above_tiny(pointer, size, alignment);                                          \
    }

DELETE(_ZdlPv, CALL_DELETE)
DELETE(_ZdaPv, CALL_DELETE_ARRAY)
DELETE_TOLD(_ZdlPvm, CALL_DELETE, first, 0)
DELETE_TOLD(_ZdaPvm, CALL_DELETE_ARRAY, first, 0)
DELETE_TOLD(_ZdlPvSt11align_val_t, CALL_DELETE, SIZE_NOT_TOLD, first)
DELETE_TOLD(_ZdaPvSt11align_val_t, CALL_DELETE_ARRAY, SIZE_NOT_TOLD, first)
DELETE_TOLD_BOTH(_ZdlPvmSt11align_val_t, CALL_DELETE)
DELETE_TOLD_BOTH(_ZdaPvmSt11align_val_t, CALL_DELETE_ARRAY)

#define ALSO(name, target) SLM_EXPORT extern __typeof__(target) name SLM_ALIAS(target)

ALSO(_ZdlPvRKSt9nothrow_t, _ZdlPv);
ALSO(_ZdaPvRKSt9nothrow_t, _ZdaPv);
ALSO(_ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdlPvSt11align_val_t);
ALSO(_ZdaPvSt11align_val_tRKSt9nothrow_t, _ZdaPvSt11align_val_t);
