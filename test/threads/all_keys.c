/* Protects: a process in which every thread-specific key was taken before the heap's first call: it
 * can learn of no thread's end, and must work nevertheless, in flat memory, across fork too (field
 * case B6). */
#include "check.h"

#include <limits.h>

enum { THREADS = 4000 / SLOWNESS + 200, AT_ONCE = 8, FORKS = 100 };

static size_t keys_taken;

static __attribute__((constructor(101))) void take_all_keys(void) {
    pthread_key_t key;
    while (pthread_key_create(&key, NULL) == 0)
        keys_taken++;
}

static struct block *passed[64];
static bool stop;

static void *run(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    for (size_t i = 0; i < 50; i++) {
        struct block *block = block_new(&state, random_size(&state));
        size_t at = random_below(&state, 64);
        block = __atomic_exchange_n(&passed[at], block, __ATOMIC_ACQ_REL);
        if (block != NULL)
            block_delete(block);
    }
    return NULL;
}

static void *run_on(void *argument) {
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        run(argument);
    return NULL;
}

static void batch(size_t number) {
    pthread_t threads[AT_ONCE];
    for (size_t i = 0; i < AT_ONCE; i++)
        threads[i] = thread_start(run, (void *)(number * AT_ONCE + i));
    for (size_t i = 0; i < AT_ONCE; i++)
        thread_join(threads[i]);
}

int main(void) {
    CHECK(keys_taken > 900 && keys_taken <= PTHREAD_KEYS_MAX, "%zu keys", keys_taken);
    size_t rss = 0;
    for (size_t i = 0; i < THREADS / AT_ONCE; i++) {
        batch(i);
        if (i == THREADS / AT_ONCE / 2)
            rss = rss_bytes();
    }
    CHECK(SLM_PREFIXED || rss_bytes() <= rss + rss / 4 + 8 * MIB, "RSS %zu, was %zu", rss_bytes(),
          rss);

    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        threads[i] = thread_start(run_on, (void *)i);
    for (size_t i = 0; i < FORKS; i++) {
        pid_t child = child_fork();
        if (child == 0) {
            alarm(10);
            run((void *)i);
            _exit(0);
        }
        child_wait(child, "a child without keys");
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < 4; i++)
        thread_join(threads[i]);
    return 0;
}
