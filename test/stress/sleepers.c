/* Purpose: what a sleeping thread that holds 1 KiB costs (field cases 23, F6). The same threads
 * are measured before their first call and after it, so that what kernel and libc take for a
 * thread is not the heap's.
 *
 * Protects: a thread that holds one block costs one cache, its share of a slab and at most
 * HEAP_MOST bytes of RSS (block, header and cache in it). Of caches and headers, METADATA_MOST
 * bytes become accessible: in chunks, each three times as long as the one before, which are not
 * touched before they are used. When the threads have ended, no slab of theirs stays in use.
 *
 * sleepers COUNT */
#include "held.h"

enum { BLOCK_BYTES = 1024, HEAP_MOST = 5 << 10, METADATA_MOST = 12 << 10 };
enum { METADATA_STEP = 4 << 20, STACK_USED = 4 << 10, MAIN_SLABS = 4 };

static pthread_barrier_t barrier;
static char **blocks;

/* Stack that the heap's calls need is not to look like its memory. */
__attribute__((noinline)) static void touch_stack(void) {
    char frame[STACK_USED];
    memset(frame, 1, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
}

static void *hold_and_sleep(void *argument) {
    size_t number = (uintptr_t)argument;
    touch_stack();
    pthread_barrier_wait(&barrier); /* started */
    pthread_barrier_wait(&barrier); /* measured */
    blocks[number] = malloc(BLOCK_BYTES);
    CHECK(blocks[number] != NULL, "malloc in thread %zu", number);
    memset(blocks[number], (int)(number % 251), BLOCK_BYTES);
    pthread_barrier_wait(&barrier); /* all hold */
    pthread_barrier_wait(&barrier); /* measured */
    for (size_t at = 0; at < BLOCK_BYTES; at++)
        CHECK((unsigned char)blocks[number][at] == number % 251, "block %zu is damaged", number);
    free(blocks[number]);
    return NULL;
}

static void report(size_t count, const struct held *bare, const struct held *full) {
    printf("%zu threads, each: %zu bytes of RSS before its first call, %zu more with a block of"
           " %d\n", count, bare->rss / count, (full->rss - bare->rss) / count, BLOCK_BYTES);
    printf("  caches %.3f, slabs %.3f (%zu bytes of addresses), metadata %zu bytes\n",
           (double)(full->caches - bare->caches) / (double)count,
           (double)(full->slabs - bare->slabs) / (double)count,
           (full->slab_bytes - bare->slab_bytes) / count,
           (full->metadata - bare->metadata) / count);
    fflush(stdout);
}

static void check(size_t count, const struct held *bare, const struct held *full) {
    size_t heap = full->rss - bare->rss;
    size_t metadata = full->metadata - bare->metadata;
    CHECK(heap >= count * BLOCK_BYTES, "%zu bytes of RSS for %zu blocks", heap, count);
    CHECK(full->caches - bare->caches <= count, "%zu caches", full->caches - bare->caches);
    CHECK(full->slabs - bare->slabs <= count, "%zu slabs", full->slabs - bare->slabs);
    CHECK(metadata <= count * METADATA_MOST + METADATA_STEP, "%zu bytes of metadata", metadata);
    CHECK(heap <= count * HEAP_MOST, "%zu bytes of RSS a thread", heap / count);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: sleepers COUNT");
    size_t count = number_argument(argv[1]);
    pthread_t *threads = map_table(count * sizeof *threads);
    blocks = map_table(count * sizeof *blocks);
    memset(blocks, 0, count * sizeof *blocks);
    pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
    need_memory(count * (64 << 10) + 64 * MIB);
    free(malloc(1)); /* the heap's start is not a thread's */
    size_t start = rss_bytes();

    for (size_t i = 0; i < count; i++)
        start_on_small_stack(&threads[i], hold_and_sleep, (void *)i);
    pthread_barrier_wait(&barrier);
    struct held bare = held_now();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    struct held full = held_now();
    struct held bare_more = bare;
    bare_more.rss -= start;
    struct held full_more = full;
    full_more.rss -= start;
    report(count, &bare_more, &full_more);
    check(count, &bare, &full);
    heap_check("with all threads asleep");
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < count; i++)
        thread_join(threads[i]);
    malloc_trim(0);
    struct held end = held_now();
    printf("  after their end and malloc_trim: %zu bytes of RSS each, %zu slabs in all\n",
           rss_since(start) / count, end.slabs);
    /* Of main: the buffer of standard output; and that of all threads has one current. */
    CHECK(end.slabs <= bare.slabs + MAIN_SLABS, "%zu slabs stay in use", end.slabs);
    return 0;
}
