/* Purpose: compiler attributes and the two kinds of assertion, under one name each.
 * Owns:    nothing.
 *
 * ASSERT states an invariant of ours; it is compiled in when SLM_DEBUG is 1.
 * What a *program* may get wrong is never asserted: it is checked always, and diagnosed. */
#ifndef SLM_BASE_ATTR_H
#define SLM_BASE_ATTR_H

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define HOT_INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define COLD __attribute__((noinline, cold))
/* Runs in every process from its start to its end, also if nothing is allocated: kept together, so
 * that the kernel maps 64 KiB of code around it, not all there is. */
#define AT_START __attribute__((section(".text.startup")))
/* On declarations of data that hot paths use: -fvisibility=hidden does not reach them, and what
 * could be another library's is addressed by one more instruction. */
#define HIDDEN __attribute__((visibility("hidden")))
#define UNUSED __attribute__((unused))
#define CACHE_LINE 64
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))

#define SLM_EXPORT __attribute__((visibility("default")))
#define SLM_ALIAS(target) __attribute__((alias(#target), visibility("default")))

#ifndef SLM_DEBUG
#define SLM_DEBUG 0
#endif
#ifndef SLM_TORTURE
#define SLM_TORTURE 0
#endif

#define ASSERT(condition)                                                                         \
    do {                                                                                          \
        if (SLM_DEBUG && UNLIKELY(!(condition)))                                                  \
            fatal_assert(#condition, __FILE__, __LINE__);                                         \
    } while (0)

COLD void fatal_assert(const char *condition, const char *file, int line);

#endif
