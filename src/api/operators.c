/* Purpose: C++ operators new and delete, as far as they are malloc and free: their hot paths. What
 *          may throw or call a new-handler is C++ (api/new_slow.cc).
 * Owns:    nothing.
 * Source:  C++20 [new.delete]; the names are those of the Itanium C++ ABI.
 *
 * An object of its own: in the static library C programs must not pull it in, for it needs the C++
 * runtime. Sizes and alignments that a delete is told are hints that programs get wrong (field case
 * D12); nothing depends on them, so every delete is one function. */
#include "api/malloc.h"
#include "api/operators.h"
#include "base/attr.h"
#include "cache/hot.h"

SLM_EXPORT void *_Znwm(size_t size);
SLM_EXPORT void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow);
SLM_EXPORT void _ZdlPv(void *pointer);

void *_Znwm(size_t size) {
    void *pointer;
    if (LIKELY(size <= TINY_MAX_BYTES) && LIKELY(hot_malloc_tiny(size, &pointer)))
        return pointer;
    return operator_new_slow(size);
}

void *_ZnwmRKSt9nothrow_t(size_t size, const void *nothrow) {
    void *pointer;
    (void)nothrow;
    if (LIKELY(size <= TINY_MAX_BYTES) && LIKELY(hot_malloc_tiny(size, &pointer)))
        return pointer;
    return operator_new_nothrow_slow(size);
}

static NOINLINE void delete_slow(void *pointer) { malloc_free_slow(pointer, "operator delete"); }

static NOINLINE void delete_above_tiny(void *pointer) {
    if (UNLIKELY(!hot_free_small(pointer)))
        delete_slow(pointer);
}

void _ZdlPv(void *pointer) {
    if (UNLIKELY(!hot_free_tiny(pointer)))
        delete_above_tiny(pointer);
}

#define ALSO(name, target) SLM_EXPORT extern __typeof__(target) name SLM_ALIAS(target)

ALSO(_Znam, _Znwm);
ALSO(_ZnamRKSt9nothrow_t, _ZnwmRKSt9nothrow_t);
ALSO(_ZdaPv, _ZdlPv);
ALSO(_ZdlPvm, _ZdlPv);
ALSO(_ZdaPvm, _ZdlPv);
ALSO(_ZdlPvSt11align_val_t, _ZdlPv);
ALSO(_ZdaPvSt11align_val_t, _ZdlPv);
ALSO(_ZdlPvmSt11align_val_t, _ZdlPv);
ALSO(_ZdaPvmSt11align_val_t, _ZdlPv);
ALSO(_ZdlPvRKSt9nothrow_t, _ZdlPv);
ALSO(_ZdaPvRKSt9nothrow_t, _ZdlPv);
ALSO(_ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdlPv);
ALSO(_ZdaPvSt11align_val_tRKSt9nothrow_t, _ZdlPv);
