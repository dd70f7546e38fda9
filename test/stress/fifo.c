/* Purpose: two SCHED_FIFO threads of different priorities and an ordinary one share a CPU and the
 * heap's locks. Whenever one of the former wakes it preempts the holder of a lock, which runs again
 * only if the waiter sleeps. Protects: nobody spins for a thread that can't run (field case G5).
 * Skipped where real-time scheduling is not permitted.
 *
 * fifo STEPS */
#include <time.h>

#include "stress.h"

enum { BURST = 20, NAP_NS = 100000, LIMIT_SECONDS = 40 };

static size_t steps_wanted;
static bool stop;
static size_t preempted; /* wakes that found the ordinary thread inside a call */
static bool inside;

/* LARGE blocks take one lock for all; the others' frees take their owner's. */
static void step(uint64_t *state) {
    size_t bytes = random_below(state, 2) == 0 ? 140000 : random_below(state, 30000);
    struct block *block = malloc(sizeof *block + bytes);
    CHECK(block != NULL, "malloc(%zu)", bytes);
    block_fill(block, bytes < 100 ? bytes : 100, 5);
    block = table_swap(state, block);
    if (block != NULL)
        block_delete(block);
}

static void *run_fifo(void *priority) {
    struct sched_param parameter = {.sched_priority = (int)(uintptr_t)priority};
    uint64_t state = random_seed((uintptr_t)priority);
    int error = pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter);
    if (error != 0)
        SKIP("SCHED_FIFO: %s", strerror(error));
    for (size_t i = 0; i < steps_wanted; i++) {
        struct timespec nap = {0, NAP_NS + (long)random_below(&state, NAP_NS)};
        nanosleep(&nap, NULL);
        if (__atomic_load_n(&inside, __ATOMIC_RELAXED))
            __atomic_fetch_add(&preempted, 1, __ATOMIC_RELAXED);
        for (size_t j = 0; j < BURST; j++)
            step(&state);
    }
    return NULL;
}

static void *run_ordinary(void *unused) {
    uint64_t state = random_seed(3);
    (void)unused;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        __atomic_store_n(&inside, true, __ATOMIC_RELAXED);
        step(&state);
        __atomic_store_n(&inside, false, __ATOMIC_RELAXED);
    }
    return NULL;
}

int main(int argc, char **argv) {
    uint64_t state = random_seed(4);
    CHECK(argc == 2, "usage: fifo STEPS");
    steps_wanted = number_argument(argv[1]) / SLOWNESS + 10;
    pin_to_one_cpu();
    alarm(LIMIT_SECONDS);
    pthread_t ordinary = thread_start(run_ordinary, NULL);
    pthread_t low = thread_start(run_fifo, (void *)1);
    pthread_t high = thread_start(run_fifo, (void *)2);
    thread_join(low);
    thread_join(high);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    thread_join(ordinary);
    table_empty(&state);
    heap_check("at the end");
    printf("%zu wakes found the ordinary thread inside a call\n", preempted);
    CHECK(preempted > 0, "no call was preempted");
    return 0;
}
