/* Purpose: the atomic operations in use, each with its memory order in its name (after the
 *          habit of mimalloc's atomic.h); GNU built-ins, so that they apply to plain fields.
 * Owns:    nothing.
 *
 * `load_relaxed` and `store_relaxed` compile to plain moves; they mark the fields that one
 * thread writes while others may look. Everything with `fetch`, `exchange` or `cas` is a locked
 * instruction on x86-64 and so also a full barrier there; where the algorithm needs that barrier
 * (remote frees), the name says seq_cst. */
#ifndef SLM_BASE_ATOMIC_H
#define SLM_BASE_ATOMIC_H

#include "base/attr.h"

#define load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define load_seq_cst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define exchange_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define exchange_release(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define exchange_seq_cst(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define fetch_or_seq_cst(p, v) __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define fetch_sub_relaxed(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)

#define cas_acquire(p, expected, desired)                                                         \
    __atomic_compare_exchange_n((p), (expected), (desired), 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define cas_seq_cst(p, expected, desired)                                                         \
    __atomic_compare_exchange_n((p), (expected), (desired), 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
#define cas_acq_rel(p, expected, desired)                                                         \
    __atomic_compare_exchange_n((p), (expected), (desired), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/* Accesses of a thread to what it alone writes while others may look: aligned words, so plain moves
 * can't tear. They are plain to the compiler too, which then folds them into other instructions
 * (three fewer in free, one in malloc, than with relaxed atomics; gcc 12); the thread sanitizer,
 * which would take that for a race, is shown atomics. */
#if defined(__SANITIZE_THREAD__)
#define SLM_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLM_TSAN 1
#endif
#endif
#ifdef SLM_TSAN
#define load_own(p) load_relaxed(p)
#define store_own(p, v) store_relaxed((p), (v))
#define decrement_own(p) (store_relaxed((p), load_relaxed(p) - 1), load_relaxed(p))
#else
#define load_own(p) (*(p))
#define store_own(p, v) ((void)(*(p) = (v)))
#define decrement_own(p) (--*(p))
#endif

/* The line is wanted in this processor's cache, and nobody else's. */
HOT_INLINE void cpu_prefetch_to_write(const void *pointer) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw (%0)" : : "r"(pointer)); /* does nothing on old processors */
#else
    __builtin_prefetch(pointer, 1);
#endif
}

HOT_INLINE void cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

#endif
