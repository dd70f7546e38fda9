/* Protects: a C program linked with -static or -static-pie against the static library: every
 * function that libc's malloc has is there, so that libc's is not linked too, which would
 * be an error of duplicate symbols; threads and fork work (field cases 3, A5, A12). */
#include "check.h"

static __attribute__((constructor(101))) void early(void) { free(malloc(10)); }

static void *run(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    struct block *block = block_new(&state, 10);
    for (size_t i = 0; i < 10000; i++)
        block = block_resize(&state, block, random_size(&state));
    return block;
}

static void call_each(void) {
    void *pointer = NULL;
    free(calloc(3, 5));
    free(aligned_alloc(64, 64));
    free(memalign(128, 1));
    free(valloc(1));
    free(pvalloc(1));
    CHECK(posix_memalign(&pointer, 64, 100) == 0, "posix_memalign");
    pointer = reallocarray(pointer, 10, 20);
    CHECK(malloc_usable_size(pointer) >= 200, "malloc_usable_size");
    CHECK(mallinfo2().uordblks >= 200, "mallinfo2");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* programs call it still */
    CHECK(mallinfo().uordblks >= 200, "mallinfo");
#pragma GCC diagnostic pop
    free(pointer);
    malloc_trim(0);
    CHECK(mallopt(M_ARENA_MAX, 1) == 1, "mallopt");
    malloc_stats();
    FILE *null = fopen("/dev/null", "w");
    CHECK(null != NULL && malloc_info(0, null) == 0 && fclose(null) == 0, "malloc_info");
}

int main(void) {
    pthread_t threads[4];
    call_each();
    for (size_t i = 0; i < 4; i++)
        threads[i] = thread_start(run, (void *)i);
    pid_t child = child_fork();
    if (child == 0) {
        block_delete(run((void *)9));
        _exit(0);
    }
    child_wait(child, "a child of a static program");
    for (size_t i = 0; i < 4; i++)
        block_delete(thread_join(threads[i]));
    struct slm_stats stats;
    slm_stats_get(&stats);
    CHECK(stats.tiny.allocations > 10000, "the heap was not used");
    return 0;
}
