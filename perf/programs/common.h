/* Purpose: what the benchmark programs share: arguments, a random generator, sizes, threads, and
 *          the line that every one of them ends with.
 *
 * They call plain malloc, calloc, realloc and free, so that LD_PRELOAD decides who serves them, and
 * are compiled with -fno-builtin, so that the compiler drops none of the calls. What a program does
 * depends on its arguments alone: every allocator is given the same work, and the line `operations
 * N checksum X` has to be the same with each of them. */
#ifndef PERF_COMMON_H
#define PERF_COMMON_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline void fail(const char *what) {
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

/* --- random numbers (splitmix64, Steele, Lea and Flood 2014) ---------------------------------- */

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random) {
    uint64_t x = random->state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Below `bound`, which is at most 2^32. */
static inline size_t random_below(struct random *random, size_t bound) {
    return (size_t)(((random_next(random) >> 32) * (uint64_t)bound) >> 32);
}

/* In [2^low, 2^high): each power of two is as likely as any other, and even within it. */
static inline size_t random_log_uniform(struct random *random, unsigned low, unsigned high) {
    size_t power = (size_t)1 << (low + random_below(random, high - low));
    return power + random_below(random, power);
}

/* Fisher and Yates. */
static inline void random_order(struct random *random, unsigned *order, size_t count) {
    for (size_t i = 0; i < count; i++)
        order[i] = (unsigned)i;
    for (size_t i = count; i > 1; i--) {
        size_t j = random_below(random, i);
        unsigned kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

/* --- blocks ----------------------------------------------------------------------------------- */

static inline void *get(size_t size) {
    void *block = malloc(size);
    if (!block)
        fail("malloc");
    return block;
}

/* A block whose every byte is written, as a program would. */
static inline unsigned char *get_filled(size_t size, unsigned char byte) {
    unsigned char *block = get(size);
    memset(block, byte, size);
    return block;
}

/* Writes a byte of every page. */
static inline void touch_pages(unsigned char *block, size_t size, unsigned char byte) {
    for (size_t at = 0; at < size; at += 4096)
        block[at] = byte;
}

/* --- threads ---------------------------------------------------------------------------------- */

/* Small stacks, so that thousands of threads cost what their heaps cost. */
enum { THREAD_STACK_BYTES = 128 * 1024 };

static inline pthread_t start_thread(void *(*body)(void *), void *argument, int is_detached) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    if (is_detached)
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, body, argument) != 0)
        fail("pthread_create");
    pthread_attr_destroy(&attributes);
    return thread;
}

/* Runs `body` on each of `count` arguments of `size` bytes, in a thread of its own. */
static inline void run_threads(size_t count, void *(*body)(void *), void *arguments, size_t size) {
    pthread_t *threads = get(count * sizeof *threads);
    for (size_t i = 0; i < count; i++)
        threads[i] = start_thread(body, (char *)arguments + i * size, 0);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

/* --- the program ------------------------------------------------------------------------------ */

/* The n-th argument as a number; `usage` is told if there is none. */
static inline size_t number(int count, char **arguments, int n, const char *usage) {
    char *end = NULL;
    size_t value = n < count ? strtoull(arguments[n], &end, 10) : 0;
    if (!end || end == arguments[n] || *end != 0) {
        fprintf(stderr, "usage: %s %s\n", arguments[0], usage);
        exit(2);
    }
    return value;
}

static inline int is_mode(int count, char **arguments, const char *mode) {
    return count > 1 && strcmp(arguments[1], mode) == 0;
}

static inline void wrong_mode(char **arguments, const char *usage) {
    fprintf(stderr, "usage: %s %s\n", arguments[0], usage);
    exit(2);
}

static inline double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int finish(uint64_t operations, uint64_t checksum) {
    printf("operations %llu checksum %016llx\n", (unsigned long long)operations,
           (unsigned long long)checksum);
    return 0;
}

#endif
