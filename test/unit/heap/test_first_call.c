/* Protects: that any call may be a process's first, also one that is wrong, or one for which there
 * is no memory yet. Each test is a process of its own in which nothing was allocated before. */
#include "../expect.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "heap/heap.h"
#include "large/large.h"
#include "os/metadata.h"
#include "slab/zone.h"
#include "slabmalloc/slabmalloc.h"

static void fresh(void) {
    EXPECT_EQ(zones[ZONE_TINY].range_count, 0);
    EXPECT(cache_self == &cache_boot);
    errno = 77;
}

/* The heap works after whatever came first. */
static void works(void) {
    EXPECT_EQ(errno, 77);
    for (size_t bytes = 0; bytes <= 400000; bytes = bytes * 2 + 1) {
        char *block = slm_malloc(bytes);
        EXPECT_AT(block != NULL, bytes);
        memset(block, 1, bytes);
        slm_free(block);
    }
    EXPECT(cache_is_live(cache_self));
    EXPECT_EQ(errno, 77);
}

Test(first_call, malloc_tiny, .init = fresh, .fini = works) { EXPECT(slm_malloc(1) != NULL); }
Test(first_call, malloc_0, .init = fresh, .fini = works) { EXPECT(slm_malloc(0) != NULL); }
Test(first_call, malloc_small, .init = fresh, .fini = works) { EXPECT(slm_malloc(5000) != NULL); }
Test(first_call, malloc_large, .init = fresh, .fini = works) {
    EXPECT(slm_malloc(1 << 22) != NULL);
}
Test(first_call, free_null, .init = fresh, .fini = works) { slm_free(NULL); }
Test(first_call, realloc_null, .init = fresh, .fini = works) {
    EXPECT(slm_realloc(NULL, 100) != NULL);
}
Test(first_call, usable_size_null, .init = fresh, .fini = works) {
    EXPECT_EQ(slm_malloc_usable_size(NULL), 0);
}
Test(first_call, aligned, .init = fresh, .fini = works) {
    EXPECT((uintptr_t)slm_aligned_alloc(4096, 10) % 4096 == 0);
}
Test(first_call, aligned_large, .init = fresh, .fini = works) {
    void *block = slm_memalign(1 << 21, 10);
    EXPECT(block != NULL && (uintptr_t)block % (1 << 21) == 0);
}

static bool all_zero(const char *block, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (block[i] != 0)
            return false;
    return true;
}

Test(first_call, calloc_of_each_zone, .init = fresh, .fini = works) {
    EXPECT(all_zero(slm_calloc(3, 100), 300));
    EXPECT(all_zero(slm_calloc(3, 10000), 30000));
    EXPECT(all_zero(slm_calloc(3, 100000), 300000));
}

Test(first_call, trim, .init = fresh, .fini = works) { EXPECT_EQ(slm_malloc_trim(0), 0); }

/* Nobody would take locks apart for a child that is forked meanwhile: so none is taken. */
Test(first_call, check_heap_while_locks_are_held, .init = fresh, .fini = works, .timeout = 20) {
    lock_acquire(large_lock(), RANK_LARGE);
    EXPECT(slm_check_heap(-1));
    lock_release(large_lock(), RANK_LARGE);
    EXPECT(!heap_is_set_up());
}

Test(first_call, stats, .init = fresh, .fini = works) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    EXPECT_EQ(stats.tiny.slabs + stats.small.slabs + stats.large.live, 0);
    EXPECT_EQ(slm_mallinfo2().uordblks, 0);
}

Test(first_call, too_much, .init = fresh, .fini = works) {
    volatile size_t last = PTRDIFF_MAX;
    EXPECT(slm_malloc(last + 1) == NULL);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT(slm_malloc(last) == NULL);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT(slm_calloc(last, 2) == NULL);
    errno = 77;
}

Test(first_call, free_of_a_foreign_pointer_is_a_fault, .init = fresh, .fini = works) {
    int local;
    EXPECT_EQ(heap_free(&local), FAULT_FOREIGN);
    EXPECT_EQ(heap_free((void *)UINTPTR_MAX), FAULT_FOREIGN);
    enum fault fault;
    EXPECT_EQ(heap_usable(&local, &fault), 0);
    EXPECT_EQ(fault, FAULT_FOREIGN);
}

/* --- without address space or memory ---- */

Test(first_call, without_address_space_fails_and_the_next_one_works, .init = fresh, .fini = works) {
    EXPECT(SLM_TORTURE || os_injected() == 0);
    os_inject(OS_RESERVE | OS_MAP, 0, 1000);
    EXPECT(slm_malloc(10) == NULL);
    EXPECT_EQ(errno, ENOMEM);
    os_inject(0, 0, 0);
    errno = 77;
}

Test(first_call, without_a_range_to_reserve_is_served_by_a_mapping, .init = fresh, .fini = works) {
    os_inject(OS_RESERVE, 0, 1000);
    char *block = slm_malloc(10);
    EXPECT(block != NULL);
    EXPECT(slm_malloc_usable_size(block) >= 10);
    block[9] = 1;
    slm_free(block);
    os_inject(0, 0, 0);
}

static void *first_of_a_thread(void *result) {
    *(void **)result = slm_malloc(10);
    return NULL;
}

Test(first_call, of_a_thread_without_memory_for_its_cache_is_served_by_the_shared_one) {
    void *blocks[16] = {NULL};
    struct slm_stats stats;
    EXPECT(slm_malloc(10) != NULL);
    os_inject(OS_MAP, 0, UINT32_MAX / 4);
    while (metadata_alloc(64) != NULL)
        continue; /* what is left of a chunk */
    for (unsigned i = 0; i < 16; i++) {
        pthread_t thread;
        EXPECT(pthread_create(&thread, NULL, first_of_a_thread, &blocks[i]) == 0);
        pthread_join(thread, NULL);
        EXPECT_AT(blocks[i] != NULL, i);
        EXPECT(owner_cache(zone_find((uintptr_t)blocks[i])->owner) == &cache_shared);
    }
    EXPECT_EQ(heap_shared_lock.word, 0);
    slm_stats_get(&stats);
    EXPECT_EQ(stats.caches, 2);
    os_inject(0, 0, 0);
    for (unsigned i = 0; i < 16; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
}

static void *serve_in_the_dead_state(void *unused) {
    void *block = slm_malloc(100);
    cache_destroy(cache_self);
    EXPECT(cache_self == &cache_dead);
    EXPECT_EQ(heap_free(block), FAULT_NONE);
    void *other = slm_malloc(100);
    EXPECT(other != NULL);
    EXPECT_EQ(heap_free(other), FAULT_NONE);
    EXPECT_EQ(heap_free(other), FAULT_DOUBLE_FREE);
    EXPECT(cache_self == &cache_dead);
    return unused;
}

Test(first_call, calls_after_a_thread_s_teardown_are_served) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, serve_in_the_dead_state, NULL) == 0);
    pthread_join(thread, NULL);
    EXPECT_EQ(heap_shared_lock.word, 0);
}
