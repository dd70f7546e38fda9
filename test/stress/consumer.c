/* Purpose: memory where threads allocate and one other, which never allocates, frees (field cases
 * 21, F5, B4). Protects: what the heap holds beyond what lives; that what a sleeping producer's
 * slabs hold is counted as free, goes back, and is used again when the producer wakes.
 *
 * consumer bounded MIB: 16 producers, at most MIB live at once; the highest RSS is bounded.
 * consumer sleeping MIB: one producer allocates MIB, then waits while the consumer frees it all;
 *                        RSS is printed; then it allocates as much again, and RSS may not rise. */
#include "smaps.h"

enum { PRODUCERS = 16, PASSES = 6, BLOCK_MAX = 4000, MEAN = BLOCK_MAX / 2 + 16 };

static struct block **ring;
static size_t ring_slots, ring_first, ring_count, to_produce;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;

static void *produce(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    for (;;) {
        pthread_mutex_lock(&mutex);
        bool done = to_produce == 0;
        to_produce -= !done;
        pthread_mutex_unlock(&mutex);
        if (done)
            return NULL;
        struct block *block = block_new(&state, random_below(&state, BLOCK_MAX));
        pthread_mutex_lock(&mutex);
        while (ring_count == ring_slots)
            pthread_cond_wait(&not_full, &mutex);
        ring[(ring_first + ring_count++) % ring_slots] = block;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&mutex);
    }
}

/* Returns the highest RSS seen. */
static size_t consume(size_t blocks) {
    size_t most = 0;
    for (size_t i = 0; i < blocks; i++) {
        pthread_mutex_lock(&mutex);
        /* Lags behind, so that the ring is full most of the time. */
        while (ring_count == 0 || (ring_count < ring_slots && i + ring_slots < blocks &&
                                   i % 64 == 0))
            pthread_cond_wait(&not_empty, &mutex);
        struct block *block = ring[ring_first];
        ring_first = (ring_first + 1) % ring_slots;
        ring_count--;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&mutex);
        block_delete(block);
        if (i % 8192 == 0) {
            size_t rss = rss_bytes();
            most = rss > most ? rss : most;
        }
    }
    return most;
}

static void bounded(size_t mib) {
    pthread_t producers[PRODUCERS];
    size_t before = rss_bytes();
    size_t blocks = PASSES * ring_slots;
    to_produce = blocks;
    for (size_t i = 0; i < PRODUCERS; i++)
        producers[i] = thread_start(produce, (void *)i);
    size_t most = consume(blocks) - before;
    for (size_t i = 0; i < PRODUCERS; i++)
        thread_join(producers[i]);
    printf("%zu MiB live at once, RSS at most %zu MiB more: %.2f\n", mib, most >> 20,
           (double)most / (double)(mib * MIB));
    /* Each producer may hold a slab of each class: the bound of threads/pipeline.c. */
    CHECK(SLM_PREFIXED || most <= 13 * mib * MIB / 10 + (PRODUCERS + 1) * 9 * MIB,
          "RSS %zu for %zu MiB live", most, mib);
}

static pthread_barrier_t barrier;
static struct block **mine;

static void *allocate_twice(void *unused) {
    uint64_t state = random_seed(5);
    (void)unused;
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < ring_slots; i++)
            mine[i] = block_new(&state, random_below(&state, BLOCK_MAX));
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier); /* sleeps until all are freed */
    }
    return NULL;
}

static void report(const char *what, size_t before) {
    size_t rss = rss_bytes();
    printf("%-44s %6zu MiB\n", what, rss > before ? (rss - before) >> 20 : 0);
}

static void sleeping(void) {
    mine = ring;
    pthread_barrier_init(&barrier, NULL, 2);
    size_t before = rss_bytes(), live = live_bytes(), first = 0;
    pthread_t producer = thread_start(allocate_twice, NULL);
    for (size_t pass = 0; pass < 2; pass++) {
        pthread_barrier_wait(&barrier);
        size_t full = rss_bytes();
        report("RSS with all blocks live:", before);
        for (size_t i = 0; i < ring_slots; i++)
            block_delete(mine[i]);
        report("freed by another, the producer asleep:", before);
        malloc_trim(0);
        report("after malloc_trim too:", before);
        /* Where the system refuses a fifth of the purges, that stays. */
        CHECK(SLM_PREFIXED || rss_bytes() <= before + (full - before) / (SLOWNESS > 1 ? 3 : 10)
                                                 + 8 * MIB,
              "RSS %zu when all is free, %zu before, %zu when it lived", rss_bytes(), before, full);
        CHECK(live_bytes() <= live + 64 * 1024, "%zu bytes live, before %zu", live_bytes(), live);
        first = pass == 0 ? full : first;
        CHECK(SLM_PREFIXED || full <= first + first / 10 + 8 * MIB, "RSS %zu, at first %zu", full,
              first);
        pthread_barrier_wait(&barrier);
    }
    thread_join(producer);
    malloc_trim(0);
    report("after the producer's end and malloc_trim:", before);
    CHECK(SLM_PREFIXED || rss_bytes() <= before + (first - before) / 10 + 8 * MIB,
          "RSS %zu at the end, %zu before", rss_bytes(), before);
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "usage: consumer bounded|sleeping MIB");
    size_t mib = number_argument(argv[2]);
    ring_slots = mib * MIB / MEAN;
    if (SLM_PREFIXED)
        ring_slots /= SLOWNESS;
    ring = map_table(ring_slots * sizeof *ring);
    memset(ring, 0, ring_slots * sizeof *ring); /* part of RSS before */
    if (strcmp(argv[1], "bounded") == 0)
        bounded(mib);
    else
        sleeping();
    return 0;
}
