/* Purpose: memory of a process in which everybody has gone to sleep.
 *
 *   asleep THREADS BYTES SECONDS
 *
 * THREADS threads fill BYTES together, with blocks of 16 bytes to 1 MiB, free them and sleep; so
 * does the main thread, but for looking at what is resident, ten times a second. Nobody calls the
 * allocator (field case F1).
 *
 *   asleep threads COUNT BYTES
 *
 * COUNT threads, each of which holds one block of BYTES (0: none) and sleeps (field case F6). */
#include <sys/resource.h>

#include "memory.h"

static const char usage[] = "THREADS BYTES SECONDS | threads COUNT BYTES";
static pthread_barrier_t filled, freed;
static size_t bytes_each;

static void sleep_for_good(void) {
    for (;;)
        pause();
}

static void *fill_free_and_sleep(void *argument) {
    struct random random = {(uint64_t)(uintptr_t)argument};
    void **last = NULL;
    for (size_t live = 0; live < bytes_each;) {
        size_t size = random_log_uniform(&random, 4, 20);
        void **block = (void **)get_filled(size, 1);
        *block = last;
        last = block;
        live += size;
    }
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&filled); /* measured */
    while (last) {
        void **block = last;
        last = *block;
        free(block);
    }
    pthread_barrier_wait(&freed);
    sleep_for_good();
    return NULL;
}

static void *hold_and_sleep(void *argument) {
    (void)argument;
    unsigned char *volatile block = bytes_each ? get_filled(bytes_each, 1) : NULL;
    (void)block;
    pthread_barrier_wait(&filled);
    sleep_for_good();
    return NULL;
}

static void nap(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* Stacks of one size from one mapping: they cost the same whatever the allocator. */
static void start_all(size_t count, void *(*body)(void *)) {
    enum { STACK = 32 * 1024 };
    char *stacks = mmap(NULL, count * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED)
        fail("mmap");
    for (size_t i = 0; i < count; i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, stacks + i * STACK, STACK);
        if (pthread_create(&thread, &attributes, body, (void *)(i + 1)) != 0)
            fail("pthread_create");
        pthread_attr_destroy(&attributes);
    }
}

static int hold(size_t count, size_t bytes) {
    bytes_each = bytes;
    pthread_barrier_init(&filled, NULL, (unsigned)count + 1);
    begin_measuring();
    start_all(count, hold_and_sleep);
    pthread_barrier_wait(&filled);
    print_figure("resident", resident_bytes());
    fflush(stdout);
    _exit(0);
}

int main(int count, char **arguments) {
    if (is_mode(count, arguments, "threads"))
        return hold(number(count, arguments, 2, usage), number(count, arguments, 3, usage));
    size_t threads = number(count, arguments, 1, usage);
    size_t bytes = number(count, arguments, 2, usage);
    size_t seconds = number(count, arguments, 3, usage);
    bytes_each = bytes / threads;
    pthread_barrier_init(&filled, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&freed, NULL, (unsigned)threads + 1);
    begin_measuring();
    start_all(threads, fill_free_and_sleep);
    pthread_barrier_wait(&filled);
    size_t peak = take_sample(0, bytes);
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&freed);
    double begin = seconds_now();
    size_t after_2_s = 0, last = 0;
    for (double now = 0; now < (double)seconds; now = seconds_now() - begin) {
        last = take_sample(now, 0);
        if (now <= 2.05)
            after_2_s = last;
        nap(0.1);
    }
    print_figure("peak", peak);
    print_figure("after_2_s", after_2_s);
    print_figure("last", last);
    print_samples();
    fflush(stdout);
    _exit(0); /* the sleepers stay asleep */
}
