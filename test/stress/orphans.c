/* Purpose: threads that each leave a live block and end; all blocks live at once, and the main
 * thread frees them in the end (field cases 6, B5). Then as many threads whose only act is to free
 * one of the main thread's blocks (B4). Protects: contents; the blocks of ended threads share
 * slabs, so the heap is no larger than if one thread had allocated them all; afterwards nothing is
 * live, and the memory goes back.
 *
 * orphans THREADS */
#include "smaps.h"

enum { AT_ONCE = 16, BYTES = 200 };

static struct block **blocks;

static void *leave_block(void *number) {
    uint64_t state = random_seed((uintptr_t)number);
    blocks[(uintptr_t)number] = block_new(&state, BYTES);
    return NULL;
}

static void *free_block(void *number) {
    block_delete(blocks[(uintptr_t)number]);
    return NULL;
}

static void in_threads(void *(*run)(void *), size_t count) {
    pthread_t threads[AT_ONCE];
    for (size_t i = 0; i < count; i += AT_ONCE) {
        for (size_t j = 0; j < AT_ONCE; j++)
            threads[j] = thread_start(run, (void *)(i + j));
        for (size_t j = 0; j < AT_ONCE; j++)
            thread_join(threads[j]);
    }
}

/* Slabs and caches may not grow with the number of threads there have been. */
static void check_heap(size_t count) {
    struct slm_stats stats;
    heap_check("with blocks of ended threads");
    slm_stats_get(&stats);
    size_t per_slab = stats.tiny.slab_bytes / 512; /* memalign takes a larger class for some */
    /* Of each class that block_new may choose, every thread at once can hold a slab. */
    CHECK(stats.tiny.slabs <= count / per_slab + AT_ONCE * 16, "%zu slabs for %zu blocks",
          stats.tiny.slabs, count);
    CHECK(stats.caches <= AT_ONCE + 8, "%zu caches", stats.caches);
}

static size_t slab_count(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.tiny.slabs;
}

/* The main thread's own slabs, emptied by others, go back when it asks for that: one of each class
 * may stay. */
static void check_given_back(size_t slabs_before) {
    size_t slabs = slab_count();
    CHECK(slabs <= slabs_before + 16, "%zu slabs in use with nothing live, %zu before", slabs,
          slabs_before);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: orphans THREADS");
    size_t count = number_argument(argv[1]) / SLOWNESS / AT_ONCE * AT_ONCE;
    blocks = map_table(count * sizeof *blocks);
    memset(blocks, 0, count * sizeof *blocks);
    in_threads(leave_block, AT_ONCE); /* what libc keeps for threads */
    for (size_t i = 0; i < AT_ONCE; i++)
        block_delete(blocks[i]);
    size_t live = live_bytes();
    size_t rss = rss_bytes(), slabs = slab_count();

    in_threads(leave_block, count);
    check_heap(count);
    for (size_t i = 0; i < count; i++)
        block_delete(blocks[i]);
    CHECK(live_bytes() <= live + 32768, "%zu bytes live, before %zu", live_bytes(), live);

    for (size_t i = 0; i < count; i++)
        leave_block((void *)i);
    check_heap(count);
    in_threads(free_block, count);
    malloc_trim(0);
    check_given_back(slabs);
    CHECK(live_bytes() <= live + 32768, "%zu bytes live, before %zu", live_bytes(), live);
    CHECK(SLM_PREFIXED || rss_bytes() <= rss + 8 * MIB, "RSS %zu at the end, %zu before",
          rss_bytes(), rss);
    heap_check("at the end");
    return 0;
}
