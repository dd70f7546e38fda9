/* Purpose: C++ operators new and delete, as far as they are malloc and free: their hot paths. What
 *          may throw or call a new-handler is C++ (api/new_slow.cc).
 * Owns:    the gate of the hot paths.
 * Source:  C++20 [new.delete]; the names are those of the Itanium C++ ABI.
 *
 * An object of its own: in the static library C programs must not pull it in, for it needs the C++
 * runtime. There the operators are weak, since a program may define some of them and need the
 * others. Sizes and alignments that a delete is told are hints that programs get wrong (field case
 * D12): nothing depends on them, but the option check_kinds has wrong ones told.
 *
 * A program that defines some operators, or malloc, means the others to end in them: new[] in new,
 * the sized and the nothrow forms in the plain ones, these in malloc and free. Then the gate stays
 * closed: nothing is short enough, and no address low enough, for a hot path. */
#include "api/bound.h"
#include "api/malloc.h"
#include "api/operators.h"
#include "base/attr.h"
#include "cache/hot.h"
#include "check/check.h"

/* The slow ways open it, and follow the first range as it grows. Not static: clang would see that
 * all that is ever stored are constants, and keep a flag instead. */
struct gate {
    struct zone_gate ends; /* those of zone_map, or 0 */
    size_t tiny_span;      /* as far as is known */
} CACHE_ALIGNED;
extern struct gate operators_gate HIDDEN;
struct gate operators_gate;

static uint8_t are_known, are_replaced, aligned_by; /* enum aligning */

int operator_is_checked(void) { return UNLIKELY(load_relaxed(&check_active) != 0); }

void *operator_checked(size_t size, size_t alignment, int is_array) {
    return malloc_checked(size, alignment, is_array ? CALL_NEW_ARRAY : CALL_NEW);
}

#define NEW_BODY(slow)                                                                             \
    void *pointer;                                                                                 \
    if (UNLIKELY(size >= load_own(&operators_gate.ends.fine_end))) {                               \
        if (UNLIKELY(size >= load_own(&operators_gate.ends.tiny_end)) ||                           \
            UNLIKELY(!hot_malloc_coarse(size, &pointer)))                                          \
            return slow(size);                                                                     \
        __asm__ volatile(""); /* as in slm_malloc */                                               \
        return pointer;                                                                            \
    }                                                                                              \
    return LIKELY(hot_malloc_fine(size, &pointer)) ? pointer : slow(size)
#define NEW(name, slow)                                                                            \
    SLM_EXPORT SLM_REPLACEABLE void *name(size_t size);                                            \
    void *name(size_t size) { NEW_BODY(slow); }
#define NEW_NOTHROW(name, slow)                                                                    \
    SLM_EXPORT SLM_REPLACEABLE void *name(size_t size, const void *nothrow);                       \
    void *name(size_t size, const void *nothrow) {                                                 \
        (void)nothrow;                                                                             \
        NEW_BODY(slow);                                                                            \
    }

NEW(_Znwm, operator_new_slow)
NEW(_Znam, operator_new_array_slow)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, operator_new_nothrow_slow)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, operator_new_array_nothrow_slow)

static inline bool delete_tiny(void *pointer) {
    struct slab *slab;
    return hot_find_tiny_below(pointer, load_own(&operators_gate.tiny_span), &slab) &&
           hot_free_in(slab, (uintptr_t)pointer);
}

/* What is told is constant but for the arguments that a function takes; `end_in` is the call in
 * which it ends if operators are replaced. */
#define DELETE_SLOW(call, told, end_in)                                                            \
    do {                                                                                           \
        if (UNLIKELY(operators_are_replaced()))                                                    \
            bound_operators.end_in;                                                                \
        else                                                                                       \
            malloc_free_slow(pointer, call, told);                                                 \
    } while (0)

#define DELETE(name, call, end_in)                                                                 \
    static NOINLINE void name##_slow(void *pointer) { DELETE_SLOW(call, NOTHING_TOLD, end_in); }   \
    SLM_EXPORT SLM_REPLACEABLE void name(void *pointer);                                           \
    void name(void *pointer) {                                                                     \
        if (UNLIKELY(!delete_tiny(pointer)))                                                       \
            name##_slow(pointer);                                                                  \
    }
#define DELETE_TOLD(name, call, bytes, alignment, end_in)                                          \
    static NOINLINE void name##_slow(void *pointer, size_t first) {                                \
        DELETE_SLOW(call, ((struct told){bytes, alignment}), end_in);                              \
    }                                                                                              \
    SLM_EXPORT SLM_REPLACEABLE void name(void *pointer, size_t first);                             \
    void name(void *pointer, size_t first) {                                                       \
        if (UNLIKELY(!delete_tiny(pointer)))                                                       \
            name##_slow(pointer, first);                                                           \
    }
#define DELETE_TOLD_BOTH(name, call, end_in)                                                       \
    static NOINLINE void name##_slow(void *pointer, size_t size, size_t alignment) {               \
        DELETE_SLOW(call, ((struct told){size, alignment}), end_in);                               \
    }                                                                                              \
    SLM_EXPORT SLM_REPLACEABLE void name(void *pointer, size_t size, size_t alignment);            \
    void name(void *pointer, size_t size, size_t alignment) {                                      \
        if (UNLIKELY(!delete_tiny(pointer)))                                                       \
            name##_slow(pointer, size, alignment);                                                 \
    }

DELETE(_ZdlPv, CALL_DELETE, free(pointer))
DELETE(_ZdaPv, CALL_DELETE_ARRAY, delete_one(pointer))
DELETE_TOLD(_ZdlPvm, CALL_DELETE, first, 0, delete_one(pointer))
DELETE_TOLD(_ZdaPvm, CALL_DELETE_ARRAY, first, 0, delete_array(pointer))
DELETE_TOLD(_ZdlPvSt11align_val_t, CALL_DELETE, SIZE_NOT_TOLD, first, free(pointer))
DELETE_TOLD(_ZdaPvSt11align_val_t, CALL_DELETE_ARRAY, SIZE_NOT_TOLD, first,
            delete_one_aligned(pointer, first))
DELETE_TOLD_BOTH(_ZdlPvmSt11align_val_t, CALL_DELETE, delete_one_aligned(pointer, alignment))
DELETE_TOLD_BOTH(_ZdaPvmSt11align_val_t, CALL_DELETE_ARRAY,
                 delete_array_aligned(pointer, alignment))

DELETE(_ZdlPvRKSt9nothrow_t, CALL_DELETE, delete_one(pointer))
DELETE(_ZdaPvRKSt9nothrow_t, CALL_DELETE_ARRAY, delete_array(pointer))
DELETE_TOLD(_ZdlPvSt11align_val_tRKSt9nothrow_t, CALL_DELETE, SIZE_NOT_TOLD, first,
            delete_one_aligned(pointer, first))
DELETE_TOLD(_ZdaPvSt11align_val_tRKSt9nothrow_t, CALL_DELETE_ARRAY, SIZE_NOT_TOLD, first,
            delete_array_aligned(pointer, first))

/* --- replaced by the program? ----------------------------------------------------------------- */

OWN(own_new, _Znwm);
OWN(own_new_array, _Znam);
OWN(own_delete, _ZdlPv);
OWN(own_delete_array, _ZdaPv);
OWN(own_delete_aligned, _ZdlPvSt11align_val_t);
OWN(own_delete_array_aligned, _ZdaPvSt11align_val_t);

#define IS(name, member, own) bound_is(name, (uintptr_t)bound_operators.member, (uintptr_t)(own))

static bool any_is_replaced(void) {
    return !IS("malloc", malloc, own_malloc) || !IS("free", free, own_free) ||
           !IS("aligned_alloc", aligned_alloc, own_aligned_alloc) ||
           !IS("_Znwm", new_one, own_new) || !IS("_Znam", new_array, own_new_array) ||
           !IS("_ZnwmSt11align_val_t", new_one_aligned, own_new_aligned) ||
           !IS("_ZnamSt11align_val_t", new_array_aligned, own_new_array_aligned) ||
           !IS("_ZdlPv", delete_one, own_delete) || !IS("_ZdaPv", delete_array, own_delete_array) ||
           !IS("_ZdlPvSt11align_val_t", delete_one_aligned, own_delete_aligned) ||
           !IS("_ZdaPvSt11align_val_t", delete_array_aligned, own_delete_array_aligned);
}

enum aligning { BY_OURS, BY_ALIGNED_ALLOC, BY_POSIX_MEMALIGN, BY_MEMALIGN };

/* What the program has for it: libstdc++'s operators call the first of these in GCC 12, and the
 * second in GCC 14. By one that is not the program's, its `free` would get a stranger's block. */
static enum aligning find_aligning(void) {
    return !IS("aligned_alloc", aligned_alloc, own_aligned_alloc)      ? BY_ALIGNED_ALLOC
           : !IS("posix_memalign", posix_memalign, own_posix_memalign) ? BY_POSIX_MEMALIGN
           : !IS("memalign", memalign, own_memalign)                   ? BY_MEMALIGN
                                                                       : BY_OURS;
}

void *operator_bound_aligned(size_t alignment, size_t size) {
    void *pointer = NULL;
    if (size > PTRDIFF_MAX)
        return NULL;
    if (alignment < sizeof(void *))
        alignment = sizeof(void *); /* or posix_memalign says no */
    switch ((enum aligning)load_relaxed(&aligned_by)) {
    case BY_ALIGNED_ALLOC:
        return bound_operators.aligned_alloc(alignment, round_up(size, alignment));
    case BY_POSIX_MEMALIGN:
        return bound_operators.posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
    case BY_MEMALIGN:
        return bound_operators.memalign(alignment, size);
    default:
        return own_aligned_alloc(alignment, size);
    }
}

/* Again, if they are closed meanwhile: who does that may not have known of the gate. */
static void copy_ends(void) {
    struct zone_gate *ends = &operators_gate.ends;
    do {
        store_own(&ends->tiny_end, load_own(&zone_map.tiny_end));
        store_own(&ends->fine_end, load_own(&zone_map.fine_end));
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    } while (load_own(&ends->fine_end) != load_own(&zone_map.fine_end));
}

/* The gate is closed, or the first range has grown. */
static COLD int look(void) {
    if (bound_operators.malloc == NULL) /* while the loader is at work (field case A3) */
        return 0;
    if (!load_acquire(&are_known)) {
        store_relaxed(&are_replaced, any_is_replaced());
        store_relaxed(&aligned_by, find_aligning());
        store_relaxed(&zone_gate_of_operators, &operators_gate.ends);
        store_release(&are_known, 1);
    }
    if (load_relaxed(&are_replaced))
        return 1;
    if (load_own(&operators_gate.tiny_span) != load_own(&zone_map.tiny_span))
        store_own(&operators_gate.tiny_span, load_own(&zone_map.tiny_span));
    if (load_own(&operators_gate.ends.fine_end) != load_own(&zone_map.fine_end))
        copy_ends();
    return 0;
}

int operators_are_replaced(void) {
    bool is_open = load_own(&operators_gate.ends.fine_end) != 0;
    if (LIKELY(is_open) && /* written to seldom: all threads read the gate's line */
        LIKELY(load_own(&operators_gate.tiny_span) == load_own(&zone_map.tiny_span)))
        return 0;
    return look();
}
