/* Purpose: what the programs on memory held share: figures of the process and the heap at one
 * moment, sizes spread evenly over the powers of two, threads on the smallest stacks. Nothing in
 * here allocates but the starting of threads. */
#ifndef SLM_TEST_STRESS_HELD_H
#define SLM_TEST_STRESS_HELD_H

#include <limits.h>

#include "smaps.h"

struct held {
    size_t rss;
    size_t slabs, slab_bytes; /* in use; their addresses, not their memory */
    size_t metadata, caches;
};

static inline struct held held_now(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    return (struct held){
        .rss = rss_bytes(),
        .slabs = stats.tiny.slabs + stats.small.slabs,
        .slab_bytes = stats.tiny.slabs * stats.tiny.slab_bytes +
                      stats.small.slabs * stats.small.slab_bytes,
        .metadata = stats.metadata_bytes,
        .caches = stats.caches,
    };
}

/* What is more now than at `before`; 0 if it is less. */
static inline size_t rss_since(size_t before) {
    size_t now = rss_bytes();
    return now > before ? now - before : 0;
}

/* Skips where so much memory is not to be had. */
static inline void need_memory(size_t bytes) {
    if ((size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) < bytes)
        SKIP("less than %zu MiB of memory to be had", bytes >> 20);
}

/* Bytes from `least`, a power of two, to `least << doublings`: as many in each doubling. */
static inline size_t log_uniform(uint64_t *state, size_t least, unsigned doublings) {
    size_t bytes = least << random_below(state, doublings);
    return bytes + random_below(state, bytes);
}

/* One more block, written to, before those that `*chain` leads to. */
static inline void chain_block(void **chain, size_t bytes) {
    void **block = malloc(bytes);
    CHECK(block != NULL, "malloc(%zu)", bytes);
    memset(block, 1, bytes);
    *block = *chain;
    *chain = block;
}

static inline void free_chain(void *chain) {
    while (chain != NULL) {
        void *next = *(void **)chain;
        free(chain);
        chain = next;
    }
}

/* A thread on PTHREAD_STACK_MIN and a guard page; skips where the system allows no more. */
static inline void start_on_small_stack(pthread_t *thread, void *(*run)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    CHECK(pthread_attr_setstacksize(&attributes, (size_t)sysconf(_SC_THREAD_STACK_MIN)) == 0,
          "pthread_attr_setstacksize");
    int error = pthread_create(thread, &attributes, run, argument);
    if (error == EAGAIN || error == ENOMEM)
        SKIP("the system allows no more threads: pthread_create: %s", strerror(error));
    CHECK(error == 0, "pthread_create: %s", strerror(error));
    pthread_attr_destroy(&attributes);
}

#endif
