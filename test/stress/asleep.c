/* Purpose: a program that has freed all it had, and sleeps, holds next to nothing (field case F1):
 * nobody calls the allocator any more, there is no thread of its own, and what was freed last is a
 * moment old. Protects: then at most KEPT_MOST is resident, of which the option keep_free is most,
 * whatever the number of threads and the sizes; and what did so and goes on is no slower for it:
 * the second time round next to nothing goes and has to come again. That is, within purge_delay,
 * which is longer here: where a page fault takes 12 us, a round takes seconds.
 *
 * asleep THREADS MEBIBYTES DOUBLINGS     blocks of 16 bytes to 16 << DOUBLINGS */
#include <sys/resource.h>

#include "held.h"

enum { KEPT_MOST = 40 << 20, ROUNDS = 3 };

static pthread_barrier_t barrier;
static size_t bytes_each;
static unsigned doublings;

static void *fill(uint64_t seed) {
    uint64_t state = random_seed(seed);
    void *chain = NULL;
    for (size_t bytes, sum = 0; sum < bytes_each; sum += bytes) {
        bytes = log_uniform(&state, 16, doublings);
        chain_block(&chain, bytes);
    }
    return chain;
}

static void *work(void *argument) {
    for (int round = 0; round < ROUNDS; round++) {
        void *chain = fill((uintptr_t)argument);
        pthread_barrier_wait(&barrier); /* all is live */
        pthread_barrier_wait(&barrier); /* measured */
        free_chain(chain);
        pthread_barrier_wait(&barrier); /* all is free */
        pthread_barrier_wait(&barrier); /* measured */
    }
    return NULL;
}

static void print_zone(const char *name, const struct slm_zone_stats *zone) {
    printf("    %s: %zu slabs of %zu KiB in use, %zu empty that hold memory\n", name, zone->slabs,
           zone->slab_bytes >> 10, zone->slabs_dirty);
}

static size_t faults_so_far(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_minflt;
}

int main(int argc, char **argv) {
    CHECK(argc == 4, "usage: asleep THREADS MEBIBYTES DOUBLINGS");
    size_t count = number_argument(argv[1]);
    size_t bytes = number_argument(argv[2]) * MIB;
    doublings = (unsigned)number_argument(argv[3]);
    size_t faults[ROUNDS];
    bytes_each = bytes / count;
    need_memory(bytes + bytes / 2);
    CHECK(slm_option_set("purge_delay", "60000"), "purge_delay");
    pthread_t *threads = map_table(count * sizeof *threads);
    pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
    free(malloc(1));
    size_t start = smaps_total("Anonymous:");
    for (size_t i = 0; i < count; i++)
        start_on_small_stack(&threads[i], work, (void *)(i + 1));
    for (int round = 0; round < ROUNDS; round++) {
        faults[round] = faults_so_far();
        pthread_barrier_wait(&barrier);
        size_t full = smaps_total("Anonymous:") - start;
        faults[round] = faults_so_far() - faults[round];
        CHECK(full >= bytes, "the blocks are not resident: %zu", full);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        size_t kept = smaps_total("Anonymous:") - start;
        printf("%zu MiB of %zu MiB stay; to fill them took %zu faults\n", kept >> 20, full >> 20,
               faults[round]);
        struct slm_stats stats;
        slm_stats_get(&stats);
        print_zone("TINY", &stats.tiny);
        print_zone("SMALL", &stats.small);
        printf("    LARGE: %zu KiB cached\n", stats.large.cached_bytes >> 10);
        fflush(stdout);
        CHECK(round > 0 || kept <= KEPT_MOST, "%zu bytes stay", kept);
        pthread_barrier_wait(&barrier);
    }
    for (size_t i = 0; i < count; i++)
        thread_join(threads[i]);
    /* Slabs that held other classes before, and threads that run on other moments: not none. */
    CHECK(faults[2] < faults[0] / 4, "%zu faults, %zu at first", faults[2], faults[0]);
    heap_check("at the end");
    return 0;
}
