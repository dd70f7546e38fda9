/* Purpose: what the program's calls of malloc and the operators lead to: ours, or its own.
 * Owns:    nothing.
 *
 * A program may define some of these functions itself, and then the others have to go by them, as
 * libc's and libstdc++'s do: `delete p` of C++14 calls the sized form, which ends in the program's
 * plain one; reallocarray ends in its realloc. The tables are filled in by the loader (by the
 * linker in static programs), and all zero before. */
#ifndef SLM_API_BOUND_H
#define SLM_API_BOUND_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Those that C++20 [new.delete] has others end in, and what these end in. Alignments are those of
 * std::align_val_t. */
struct bound_operators {
    void *(*malloc)(size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    int (*posix_memalign)(void **result, size_t alignment, size_t size);
    void *(*memalign)(size_t alignment, size_t size);
    void (*free)(void *pointer);
    void *(*new_one)(size_t size);
    void *(*new_array)(size_t size);
    void *(*new_one_aligned)(size_t size, size_t alignment);
    void *(*new_array_aligned)(size_t size, size_t alignment);
    void (*delete_one)(void *pointer);
    void (*delete_array)(void *pointer);
    void (*delete_one_aligned)(void *pointer, size_t alignment);
    void (*delete_array_aligned)(void *pointer, size_t alignment);
};

extern void *(*const bound_realloc)(void *pointer, size_t size) HIDDEN;
extern const struct bound_operators bound_operators HIDDEN;

/* Ours, whatever the program has. */
HIDDEN void *own_malloc(size_t size);
HIDDEN void own_free(void *pointer);
HIDDEN void *own_realloc(void *pointer, size_t size);
HIDDEN void *own_aligned_alloc(size_t alignment, size_t size);
HIDDEN int own_posix_memalign(void **result, size_t alignment, size_t size);
HIDDEN void *own_memalign(size_t alignment, size_t size);
HIDDEN void *own_new_aligned(size_t size, size_t alignment);
HIDDEN void *own_new_array_aligned(size_t size, size_t alignment);

/* Where `name` is defined, in C: another name for it, which nobody can replace. */
#define OWN(own, name) extern __typeof__(name) own HIDDEN __attribute__((alias(#name)))

/* Whether a function that was found under this name is ours, or the program's stub that leads to it
 * (os/symbols.h). */
HIDDEN int bound_is(const char *name, uintptr_t bound, uintptr_t own);

#ifdef __cplusplus
}
#endif

#endif
