/* Purpose: the slow side of operator new, written in C++ (api/new_slow.cc).
 * Owns:    nothing. */
#ifndef SLM_API_OPERATORS_H
#define SLM_API_OPERATORS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Allocates; on failure calls the new-handler for as long as there is one, then throws. */
__attribute__((visibility("hidden"))) void *operator_new_slow(size_t size);
__attribute__((visibility("hidden"))) void *operator_new_array_slow(size_t size);

/* The same, but NULL instead of any exception. */
__attribute__((visibility("hidden"))) void *operator_new_nothrow_slow(size_t size);
__attribute__((visibility("hidden"))) void *operator_new_array_nothrow_slow(size_t size);

/* A block, or NULL, that malloc or aligned_alloc made for one of the operators: checks want to know
 * which. */
__attribute__((visibility("hidden"))) void operator_made(void *pointer, int is_array);

#ifdef __cplusplus
}
#endif

#endif
