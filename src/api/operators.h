/* Purpose: the slow side of operator new, written in C++ (api/new_slow.cc).
 * Owns:    nothing. */
#ifndef SLM_API_OPERATORS_H
#define SLM_API_OPERATORS_H

#include <stddef.h>

/* 1: in the shared library, which looks up what it needs of the C++ runtime. 0: in the static one.
 */
#ifndef SLM_WEAK_RUNTIME
#define SLM_WEAK_RUNTIME 1
#endif

#if SLM_WEAK_RUNTIME
#define SLM_REPLACEABLE
#else
#define SLM_REPLACEABLE __attribute__((weak))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the program has malloc or some of the operators of its own: then each ends in what is in
 * bound_operators. If not, the hot paths are let in. */
__attribute__((visibility("hidden"))) int operators_are_replaced(void);

/* Allocates; on failure calls the new-handler for as long as there is one, then throws. */
__attribute__((visibility("hidden"))) void *operator_new_slow(size_t size);
__attribute__((visibility("hidden"))) void *operator_new_array_slow(size_t size);

/* The same, but NULL instead of any exception. */
__attribute__((visibility("hidden"))) void *operator_new_nothrow_slow(size_t size);
__attribute__((visibility("hidden"))) void *operator_new_array_nothrow_slow(size_t size);

/* Whether checks are on, which want to know what function allocates; and what does it then. Of
 * functions that take no alignment, it is 0. */
__attribute__((visibility("hidden"))) int operator_is_checked(void);
__attribute__((visibility("hidden"))) void *operator_checked(size_t size, size_t alignment,
                                                             int is_array);

/* Where operators are replaced: a block at a multiple of `alignment`, by the program's own way of
 * getting one. NULL: there is none. */
__attribute__((visibility("hidden"))) void *operator_bound_aligned(size_t alignment, size_t size);

#ifdef __cplusplus
}
#endif

#endif
