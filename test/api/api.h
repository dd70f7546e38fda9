/* Purpose: what the black-box tests of the API share. Header only.
 *
 * The programs are linked with the shared library, so that Criterion, libc and the tests all run on
 * it. Nothing of src/ is included: what is tested is what a program sees. */
#ifndef TEST_API_H
#define TEST_API_H

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* C23 7.24.3; the C library's headers do not have them yet. */
void free_sized(void *pointer, size_t size);
void free_aligned_sized(void *pointer, size_t alignment, size_t size);
/* Gone from the headers of glibc 2.26, still called by old programs. */
void cfree(void *pointer);

#ifdef __cplusplus
}
#endif

/* The torture build lets munmap, madvise and mremap fail, so freed memory may stay where it was. */
#ifndef SLM_TORTURE
#define SLM_TORTURE 0
#endif

/* And where each block is sampled, freed LARGE memory between others keeps its addresses. */
static inline bool keeps_addresses(void) {
    return SLM_TORTURE || getenv("SLABMALLOC_SAMPLE") != NULL;
}

/* A value that no call of the library sets. */
enum { ERRNO_MARK = 0xBEEF };

/* Hides a value from the compiler, which knows malloc and warns of what is tested here. */
static inline void *hidden(void *pointer) {
    void *volatile copy = pointer;
    return copy;
}

static inline size_t hidden_size(size_t size) {
    volatile size_t copy = size;
    return copy;
}

/* Does the dynamic linker find `name` in our library? */
static inline bool is_ours(const char *name) {
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, name);
    return symbol != NULL && dladdr(symbol, &info) != 0 &&
           strstr(info.dli_fname, "libslabmalloc.so") != NULL;
}

static inline bool is_aligned(const void *pointer, size_t alignment) {
    return ((uintptr_t)pointer & (alignment - 1)) == 0;
}

/* All of `bytes` bytes have this value. */
static inline bool is_all(const void *pointer, int value, size_t bytes) {
    const unsigned char *p = (const unsigned char *)pointer;
    return bytes == 0 || (p[0] == value && memcmp(p, p + 1, bytes - 1) == 0);
}

/* A fixed sequence (Marsaglia, "Xorshift RNGs"); `*state` is not 0. */
static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A size that falls into TINY, SMALL or LARGE; small ones more often. */
static inline size_t random_size(uint64_t *state) {
    uint64_t r = next_random(state);
    unsigned kind = (unsigned)(r >> 56);
    size_t limit = kind < 200 ? 1024 : kind < 251 ? 128 << 10 : 1 << 20;
    return (size_t)(r & 0xffffffff) % (limit + 1);
}

/* Content that tells blocks and offsets apart. */
static inline unsigned char pattern_byte(size_t seed, size_t i) {
    return (unsigned char)(seed * 131 + i * 7 + (i >> 8));
}

static inline void pattern_fill(void *pointer, size_t seed, size_t from, size_t to) {
    unsigned char *p = (unsigned char *)pointer;
    for (size_t i = from; i < to; i++)
        p[i] = pattern_byte(seed, i);
}

/* The first offset below `bytes` where the content differs, or `bytes`. */
static inline size_t pattern_differs(const void *pointer, size_t seed, size_t bytes) {
    const unsigned char *p = (const unsigned char *)pointer;
    size_t i = 0;
    while (i < bytes && p[i] == pattern_byte(seed, i))
        i++;
    return i;
}

/* Is `address` readable and writable by /proc/self/maps, and where does its mapping end? */
static inline bool find_mapping(uintptr_t address, uintptr_t *start, uintptr_t *end,
                                char access[5]) {
    FILE *maps = fopen("/proc/self/maps", "r");
    bool found = false;
    char line[4400];
    if (maps == NULL)
        return false;
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        found = sscanf(line, "%lx-%lx %4s", &from, &to, access) == 3 && from <= address &&
                address < to;
        *start = from;
        *end = to;
    }
    fclose(maps);
    return found;
}

#endif
