/* Protects: the heap needs little stack: threads with the smallest stack there is, and a handler on
 * an alternate stack of 16 KiB, go through its slowest ways; ten thousand sleeping threads with a
 * block each cost a bounded amount of memory (field cases 23, B7). */
#include "check.h"

#include <limits.h>

enum { SLEEPERS = 2000 / (SLOWNESS > 4 ? 4 : SLOWNESS), ALTERNATE_BYTES = 16 << 10 };

/* First calls, LARGE, refills, remote frees, purges. */
static void *use_all(void *argument) {
    struct block *others = argument;
    uint64_t state = random_seed(5);
    if (others != NULL)
        block_delete(others);
    for (size_t i = 0; i < 300; i++)
        block_delete(block_resize(&state, block_new(&state, random_size(&state)), 200000));
    malloc_trim(0);
    return block_new(&state, 1000);
}

static void start_small(pthread_t *thread, void *(*run)(void *), void *argument) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    /* What sanitizers add to frames is not ours. */
    size_t bytes = (size_t)sysconf(_SC_THREAD_STACK_MIN) * (SLM_PREFIXED ? 32 : 1);
    CHECK(pthread_attr_setstacksize(&attributes, bytes) == 0, "pthread_attr_setstacksize");
    int error = pthread_create(thread, &attributes, run, argument);
    CHECK(error == 0, "pthread_create: %s", strerror(error));
    pthread_attr_destroy(&attributes);
}

static void on_small_stacks(void) {
    uint64_t state = random_seed(6);
    for (size_t i = 0; i < 20; i++) {
        pthread_t thread;
        start_small(&thread, use_all, block_new(&state, 300));
        block_delete(thread_join(thread));
    }
}

static struct block *from_handler;

/* Raised where no call of the heap is going on. */
static void handler(int signal) {
    (void)signal;
    from_handler = use_all(from_handler);
}

static void on_alternate_stack(void) {
    static char stack[ALTERNATE_BYTES * (SLM_PREFIXED ? 32 : 1)];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    CHECK(sigaltstack(&alternate, NULL) == 0, "sigaltstack");
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
    for (size_t i = 0; i < 10; i++)
        raise(SIGUSR1);
    block_delete(from_handler);
}

static pthread_barrier_t asleep, awake;

static void *sleep_with_block(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    struct block *block = block_new(&state, 1000);
    pthread_barrier_wait(&asleep);
    pthread_barrier_wait(&awake);
    block_delete(block);
    return NULL;
}

static void sleepers(void) {
    static pthread_t threads[SLEEPERS];
    struct slm_stats stats;
    pthread_barrier_init(&asleep, NULL, SLEEPERS + 1);
    pthread_barrier_init(&awake, NULL, SLEEPERS + 1);
    for (size_t i = 0; i < SLEEPERS; i++)
        start_small(&threads[i], sleep_with_block, (void *)i);
    pthread_barrier_wait(&asleep);
    slm_stats_get(&stats);
    /* A cache each; the slab of one block, of which two pages are touched, is in the RSS that
     * follows (kernel and libc take some for a thread too). */
    CHECK(stats.caches <= SLEEPERS + 64, "%zu caches", stats.caches);
    size_t per_thread = rss_bytes() / SLEEPERS;
    size_t most = (DEEP_FRAMES ? 48 : 40) << 10; /* of code that is not optimised, each is larger */
    CHECK(SLM_PREFIXED || per_thread <= most, "%zu bytes per sleeping thread", per_thread);
    pthread_barrier_wait(&awake);
    for (size_t i = 0; i < SLEEPERS; i++)
        thread_join(threads[i]);
}

int main(void) {
    on_small_stacks();
    on_alternate_stack();
    sleepers();
    return 0;
}
