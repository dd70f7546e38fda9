/* Purpose: memory that is free goes back to the system.
 *
 * Protects: threads that filled much memory, freed it and fell asleep keep little of it once
 * another thread calls malloc_trim (field case 22, F1): the RSS itself falls, not only a figure of
 * MADV_FREE (F2). Without malloc_trim it is the next calls that give back what has been free for a
 * second (README, Limits); a process in which nobody calls keeps it if it has no background thread
 * (threads_background has that), which is checked too, so that the documentation is changed with
 * the behaviour. Large blocks cost what was asked for: at most 2 % more above 1 MiB, in usable
 * bytes and in address space (F9). */
#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>

#include "api.h"
#include "slabmalloc/slabmalloc.h"

#define MIB ((size_t)1 << 20)

/* --- figures ---- */

static size_t figure(const char *path, const char *name) {
    char line[256];
    size_t kib = 0;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    while (kib == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoul(line + strlen(name), NULL, 10);
    fclose(file);
    cr_assert_gt(kib, 0, "%s in %s", name, path);
    return kib << 10;
}

static size_t resident_bytes(void) { return figure("/proc/self/status", "VmRSS:"); }
static size_t mapped_bytes(void) { return figure("/proc/self/status", "VmSize:"); }

/* --- threads that fall asleep ---- */

enum { THREADS = 20, FILL_BYTES = 8 << 20, BLOCKS_MAX = FILL_BYTES / 16 };

static pthread_barrier_t filled, freed, awake;

/* Each fills its part with blocks of its own size, from 16 bytes to LARGE, in a chain. */
static void *fill_free_and_sleep(void *number) {
    static const size_t sizes[] = {16, 100, 1000, 5000, 40000, 131072, 300000, 2000000};
    size_t size = sizes[(uintptr_t)number % (sizeof sizes / sizeof *sizes)];
    void **last = NULL;
    for (size_t i = 0; i < FILL_BYTES / size; i++) {
        void **block = malloc(size);
        memset(block, 1, size);
        *block = last;
        last = block;
    }
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&filled); /* measured */
    while (last != NULL) {
        void **block = last;
        last = *block;
        free(block);
    }
    pthread_barrier_wait(&freed);
    pthread_barrier_wait(&awake);
    return NULL;
}

Test(give_back, what_sleeping_threads_freed, .timeout = 120) {
    pthread_t threads[THREADS];
    size_t before = resident_bytes();
    pthread_barrier_init(&filled, NULL, THREADS + 1);
    pthread_barrier_init(&freed, NULL, THREADS + 1);
    pthread_barrier_init(&awake, NULL, THREADS + 1);
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, fill_free_and_sleep, (void *)i), 0);
    pthread_barrier_wait(&filled);
    size_t peak = resident_bytes();
    cr_assert_geq(peak - before, THREADS * (size_t)FILL_BYTES * 9 / 10);
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&freed);
    malloc_trim(0);
    size_t left = resident_bytes();
    /* A thread keeps its current slab of a class, of 1 MiB at most. */
    size_t most = before + THREADS * (MIB + 256 * 1024);
    if (!SLM_TORTURE)
        cr_assert_leq(left, most, "%zu before, %zu at most, %zu left", before, peak, left);
    pthread_barrier_wait(&awake);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* --- without malloc_trim ---- */

enum { SLABS_BYTES = 96 << 20, BLOCK_BYTES = 1000, BLOCKS = SLABS_BYTES / BLOCK_BYTES };
enum { SECOND_US = 1000000 };

static void *blocks[BLOCKS];

/* Enough for a slab of its own to become empty, and a mapping of its own. */
static void call_a_little(void) {
    for (size_t i = 0; i < 1000; i++)
        blocks[i] = malloc(BLOCK_BYTES);
    for (size_t i = 0; i < 1000; i++)
        free(blocks[i]);
    free(hidden(malloc(MIB)));
}

Test(give_back, by_the_next_calls_after_a_second, .timeout = 60) {
    slm_option_set("background", "off"); /* Criterion's process may have threads */
    size_t before = resident_bytes();
    for (size_t i = 0; i < BLOCKS; i++)
        memset(blocks[i] = malloc(BLOCK_BYTES), 1, BLOCK_BYTES);
    char *large = malloc(32 * MIB); /* fewer than the cache takes */
    memset(large, 1, 32 * MIB);
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    free(large);
    size_t held = resident_bytes();
    usleep(SECOND_US + SECOND_US / 2);
    size_t idle = resident_bytes();
    call_a_little();
    usleep(SECOND_US + SECOND_US / 2); /* purges are half a second apart at least */
    call_a_little();
    size_t left = resident_bytes();
    if (SLM_TORTURE)
        return;
    cr_assert_geq(held, before + 32 * MIB, "nothing was kept to be given back");
    cr_assert_geq(idle + MIB, held, "an idle process gave back: the documentation says no");
    cr_assert_leq(left, before + 16 * MIB, "%zu before, %zu after", before, left);
}

/* --- what large blocks cost ---- */

/* Torture refuses the system calls that give back: what was freed before may go only now. */
static void check_cost(size_t size, size_t alignment) {
    malloc_trim(0);
    size_t before = mapped_bytes();
    char *block = hidden(alignment > 16 ? memalign(alignment, size) : malloc(size));
    cr_assert_not_null(block, "%zu bytes", size);
    block[0] = block[size - 1] = 1;
    size_t usable = malloc_usable_size(block);
    size_t after = mapped_bytes();
    size_t cost = SLM_TORTURE && after < before ? 0 : after - before;
    cr_assert(usable >= size && usable - size <= size / 50, "%zu: %zu usable", size, usable);
    /* Of a mapping made larger for its alignment, the rest stays for a second, to be used. */
    size_t most = size + size / 50 + 2 * MIB + (alignment > 4096 ? alignment : 0);
    cr_assert_leq(cost, most, "%zu at %zu: %zu mapped", size, alignment, cost);
    free(block);
}

Test(give_back, large_blocks_cost_what_they_hold) {
    static const size_t sizes[] = {MIB + 1, 5 * MIB - 1, 540 * 1000 * 1000, ((size_t)4 << 30) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_cost(sizes[i], 16);
        check_cost(sizes[i], 2 * MIB);
        check_cost(sizes[i], (size_t)1 << 30);
    }
}

/* The spare address space of an aligned mapping goes back with the rest. */
Test(give_back, address_space_too) {
    malloc_trim(0);
    size_t before = mapped_bytes();
    for (int i = 0; i < 20; i++) {
        char *block = hidden(memalign((size_t)1 << 30, 100 * MIB));
        block[0] = 1;
        free(block);
    }
    malloc_trim(0);
    if (!SLM_TORTURE)
        cr_assert_leq(mapped_bytes(), before + MIB, "%zu, was %zu", mapped_bytes(), before);
}
