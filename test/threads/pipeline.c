/* Protects: memory and contents where one kind of thread allocates and another frees: one producer
 * and one consumer, one and many, many and one; consumers that never allocate do not make the
 * heap grow beyond what lives at once (field case 21).
 *
 * pipeline PRODUCERS CONSUMERS */
#include "check.h"

enum { RING = 8192, THREADS_MAX = 16, BLOCKS = 4 * RING + 300000 / SLOWNESS, BLOCK_MAX = 4000 };

static struct block *ring[RING];
static size_t ring_first, ring_count, to_produce, to_consume;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;

static void *produce(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    for (;;) {
        struct block *block = block_new(&state, random_below(&state, BLOCK_MAX));
        pthread_mutex_lock(&mutex);
        while (ring_count == RING && to_produce > 0)
            pthread_cond_wait(&not_full, &mutex);
        bool done = to_produce == 0;
        if (!done) {
            to_produce--;
            ring[(ring_first + ring_count++) % RING] = block;
            pthread_cond_signal(&not_empty);
        } else {
            pthread_cond_broadcast(&not_full);
        }
        pthread_mutex_unlock(&mutex);
        if (done) {
            block_delete(block);
            return NULL;
        }
    }
}

static void *consume(void *unused) {
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&mutex);
        while (ring_count == 0 && to_consume > 0)
            pthread_cond_wait(&not_empty, &mutex);
        if (to_consume == 0) {
            pthread_cond_broadcast(&not_empty);
            pthread_mutex_unlock(&mutex);
            return NULL;
        }
        struct block *block = ring[ring_first];
        ring_first = (ring_first + 1) % RING;
        ring_count--;
        to_consume--;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&mutex);
        block_delete(block);
    }
}

static void run(size_t producers, size_t consumers, size_t blocks) {
    pthread_t threads[2 * THREADS_MAX];
    to_produce = to_consume = blocks;
    for (size_t i = 0; i < producers; i++)
        threads[i] = thread_start(produce, (void *)i);
    for (size_t i = 0; i < consumers; i++)
        threads[producers + i] = thread_start(consume, NULL);
    for (size_t i = 0; i < producers + consumers; i++)
        thread_join(threads[i]);
    CHECK(ring_count == 0, "%zu blocks left", ring_count);
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "usage: pipeline PRODUCERS CONSUMERS");
    size_t producers = strtoul(argv[1], NULL, 10), consumers = strtoul(argv[2], NULL, 10);
    CHECK(producers <= THREADS_MAX && consumers <= THREADS_MAX, "too many threads");

    run(producers, consumers, BLOCKS);
    size_t live = live_bytes();
    run(producers, consumers, BLOCKS);
    CHECK(live_bytes() <= live + (producers + consumers) * 1024, "%zu bytes live, before %zu",
          live_bytes(), live);
    /* At most RING blocks live at once, some 16 MiB. Each thread may keep a slab of each class. */
    size_t most = 13 * (RING * BLOCK_MAX / 2) / 10 + (producers + consumers) * 9 * MIB;
    CHECK(SLM_PREFIXED || rss_bytes() <= most, "RSS %zu, not %zu", rss_bytes(), most);
    return 0;
}
