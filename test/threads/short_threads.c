/* Protects: threads that come and go cost nothing: each leaves a block that the main thread frees
 * later; or its only act is to free a block of the main thread's. RSS is as high after the last
 * thread as after the first tenth, and so is the number of caches (field cases 6, B4, B5).
 *
 * short_threads leave|free */
#include "check.h"

enum { THREADS = 100000 / SLOWNESS, AT_ONCE = 16, KEPT = 1024 };

static struct block *kept[KEPT]; /* blocks live, from one thread or for one */

static void *leave_block(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    struct block *block = block_new(&state, random_below(&state, 1200));
    free(malloc(24));
    return block;
}

static void *free_block(void *argument) {
    struct block *block = argument;
    block_delete(block);
    return NULL;
}

static void batch(size_t number, bool leave) {
    pthread_t threads[AT_ONCE];
    uint64_t state = random_seed(number);
    for (size_t i = 0; i < AT_ONCE; i++) {
        size_t at = (number * AT_ONCE + i) % KEPT;
        if (leave) {
            if (kept[at] != NULL)
                block_delete(kept[at]);
            threads[i] = thread_start(leave_block, (void *)(number * AT_ONCE + i));
        } else {
            struct block *old = kept[at];
            kept[at] = block_new(&state, random_below(&state, 1200));
            threads[i] = thread_start(old != NULL ? free_block : leave_block, old);
        }
    }
    for (size_t i = 0; i < AT_ONCE; i++) {
        struct block *block = thread_join(threads[i]);
        if (leave)
            kept[(number * AT_ONCE + i) % KEPT] = block;
        else if (block != NULL)
            block_delete(block);
    }
}

int main(int argc, char **argv) {
    struct slm_stats early, late;
    CHECK(argc == 2, "usage: short_threads leave|free");
    bool leave = strcmp(argv[1], "leave") == 0;

    size_t batches = THREADS / AT_ONCE;
    size_t rss = 0;
    for (size_t number = 0; number < batches; number++) {
        batch(number, leave);
        if (number == batches / 10) {
            rss = rss_bytes();
            slm_stats_get(&early);
        }
    }
    slm_stats_get(&late);
    CHECK(SLM_PREFIXED || rss_bytes() <= rss + 4 * MIB,
          "RSS %zu after all threads, %zu after a tenth", rss_bytes(), rss);
    CHECK(late.caches <= AT_ONCE + 8, "%zu caches", late.caches);
    CHECK(late.metadata_bytes <= early.metadata_bytes + MIB, "%zu bytes of metadata, were %zu",
          late.metadata_bytes, early.metadata_bytes);
    for (size_t i = 0; i < KEPT; i++)
        if (kept[i] != NULL)
            block_delete(kept[i]);
    slm_stats_get(&late);
    CHECK(late.tiny.live_bytes + late.small.live_bytes <= 64 << 10, "%zu bytes live at the end",
          late.tiny.live_bytes + late.small.live_bytes);
    return 0;
}
