/* Protects: blocks handed at random between threads keep their contents, whoever allocates, resizes
 * and frees them, while threads end and new ones take their place; at the end nothing is live that
 * was not at the start.
 *
 * handover THREADS STEPS: each thread lives for a part of the steps and is then replaced. */
#include "check.h"

enum { SLOTS = 4096, LIFE = 2000, THREADS_MAX = 64 };

static struct block *slots[SLOTS];
static size_t steps_left;
static size_t thread_number;

static void *run(void *unused) {
    uint64_t state = random_seed(__atomic_fetch_add(&thread_number, 1, __ATOMIC_RELAXED));
    (void)unused;
    for (size_t step = 0; step < LIFE; step++) {
        size_t bytes = random_size(&state);
        size_t slot = random_below(&state, SLOTS);
        struct block *block = random_below(&state, 4) > 0 ? block_new(&state, bytes) : NULL;
        block = __atomic_exchange_n(&slots[slot], block, __ATOMIC_ACQ_REL);
        if (block == NULL)
            continue;
        if (random_below(&state, 3) > 0) {
            block_delete(block);
            continue;
        }
        block = block_resize(&state, block, random_size(&state));
        slot = random_below(&state, SLOTS);
        block = __atomic_exchange_n(&slots[slot], block, __ATOMIC_ACQ_REL);
        if (block != NULL)
            block_delete(block);
    }
    return NULL;
}

/* Keeps one thread after the other running. */
static void *keep_running(void *unused) {
    (void)unused;
    while (__atomic_fetch_sub(&steps_left, LIFE, __ATOMIC_RELAXED) > LIFE)
        thread_join(thread_start(run, NULL));
    __atomic_fetch_add(&steps_left, LIFE, __ATOMIC_RELAXED);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t keepers[THREADS_MAX];
    CHECK(argc == 3, "usage: handover THREADS STEPS");
    size_t threads = strtoul(argv[1], NULL, 10);
    CHECK(threads >= 1 && threads <= THREADS_MAX, "%zu threads", threads);

    /* libc keeps memory of its own for the threads it has had: let it have that first. */
    steps_left = threads * LIFE * 2;
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < threads; i++)
            keepers[i] = thread_start(keep_running, NULL);
        for (size_t i = 0; i < threads; i++)
            thread_join(keepers[i]);
        size_t in_slots = 0;
        for (size_t i = 0; i < SLOTS; i++) {
            if (slots[i] == NULL)
                continue;
            in_slots++;
            block_delete(slots[i]);
            slots[i] = NULL;
        }
        CHECK(in_slots > 0, "no block was handed over");
        static size_t live_before;
        if (round == 0)
            live_before = live_bytes();
        /* Stacks that libc keeps have thread vectors: a few blocks more or less. */
        CHECK(live_bytes() <= live_before + threads * 1024, "%zu bytes live, before %zu",
              live_bytes(), live_before);
        steps_left = strtoul(argv[2], NULL, 10) / SLOWNESS + LIFE;
    }
    return 0;
}
