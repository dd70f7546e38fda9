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

#ifdef __cplusplus
extern "C" {
#endif

struct bound_malloc {
    void *(*realloc)(void *pointer, size_t size);
};

/* Those that C++20 [new.delete] has others end in, and what these end in. Alignments are those of
 * std::align_val_t. */
struct bound_operators {
    void *(*malloc)(size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
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

extern const struct bound_malloc bound_malloc __attribute__((visibility("hidden")));
extern const struct bound_operators bound_operators __attribute__((visibility("hidden")));

#ifdef __cplusplus
}
#endif

#endif
