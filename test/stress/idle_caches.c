/* Purpose: what threads keep that once used 1 MiB in small blocks, freed all of it, and fell asleep
 * (field case F6), after another thread has called malloc_trim.
 *
 * Goal: next to nothing (an idle thread's memory goes back). Today a sleeping thread keeps the slab
 * it allocates from, of each class it has used, and one more TINY one, with what it has touched of
 * them; malloc_trim can't take a slab from its owner. Protects: no more than that. With blocks of
 * one size (`one`) at most ONE_MOST bytes a thread; with sizes from 16 to 4095 bytes (`spread`) at
 * most what was touched, SPREAD_MOST; and nothing of it stays in use when the threads have ended.
 *
 * idle_caches one|spread COUNT */
#include "held.h"

enum { CACHED_BYTES = 1 << 20, ONE_BYTES = 100 };
enum { ONE_MOST = 160 << 10, SPREAD_MOST = (1 << 20) + (256 << 10) };

static pthread_barrier_t barrier;
static bool spread;

static void *fill_free_and_sleep(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    void *chain = NULL;
    for (size_t bytes, sum = 0; sum < CACHED_BYTES; sum += bytes) {
        bytes = spread ? log_uniform(&state, 16, 8) : ONE_BYTES;
        chain_block(&chain, bytes);
    }
    pthread_barrier_wait(&barrier); /* filled */
    pthread_barrier_wait(&barrier); /* measured */
    free_chain(chain);
    pthread_barrier_wait(&barrier); /* freed */
    pthread_barrier_wait(&barrier); /* measured */
    return NULL;
}

static size_t report(const char *what, size_t before, size_t count) {
    size_t rss = rss_since(before);
    printf("%-40s %6zu MiB, %7zu KiB a thread\n", what, rss >> 20, rss / count >> 10);
    fflush(stdout);
    return rss;
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "usage: idle_caches one|spread COUNT");
    size_t count = number_argument(argv[2]);
    spread = strcmp(argv[1], "spread") == 0;
    need_memory(2 * count * CACHED_BYTES);
    pthread_t *threads = map_table(count * sizeof *threads);
    pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
    free(malloc(1));
    struct held start = held_now();

    for (size_t i = 0; i < count; i++)
        start_on_small_stack(&threads[i], fill_free_and_sleep, (void *)i);
    pthread_barrier_wait(&barrier);
    size_t full = report("all blocks live:", start.rss, count);
    CHECK(full >= count * CACHED_BYTES, "the blocks are not resident");
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    report("all freed, the threads asleep:", start.rss, count);
    malloc_trim(0);
    size_t kept = report("after malloc_trim:", start.rss, count);
    size_t most = spread ? SPREAD_MOST : ONE_MOST;
    CHECK(kept <= count * most, "%zu bytes a thread, more than %zu", kept / count, most);
    CHECK(kept <= full + MIB, "%zu after, %zu before", kept, full);
    heap_check("with all threads asleep");

    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < count; i++)
        thread_join(threads[i]);
    malloc_trim(0);
    report("after the threads' end and malloc_trim:", start.rss, count);
    size_t slabs = held_now().slabs;
    CHECK(slabs <= start.slabs + 4, "%zu slabs stay in use, %zu before", slabs, start.slabs);
    return 0;
}
