/* Purpose: where blocks lie.
 *
 * Protects: every block's address is below 2^47, and a multiple of 16, so that programs that keep
 * other bits in a pointer's upper 17 work (field case E6): all size classes, LARGE blocks,
 * alignments to 1 GiB; with addresses taken from the bottom up too (ADDR_COMPAT_LAYOUT), and from
 * several threads. */
#include "hostile.h"

#include <sys/personality.h>

enum { SMALL_SIZES = 2700, LARGE_SIZES = 40, KEPT = 64 };

static void check(void *pointer, size_t bytes, size_t alignment) {
    uintptr_t address = (uintptr_t)pointer;
    CHECK(pointer != NULL, "no memory for %zu bytes at %zu", bytes, alignment);
    CHECK((address + bytes) >> 47 == 0, "%zu bytes at %p", bytes, pointer);
    CHECK(address % alignment == 0 && address % 16 == 0, "%p for alignment %zu", pointer,
          alignment);
}

static void *run(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    void *kept[KEPT] = {NULL};
    for (size_t i = 0; i < SMALL_SIZES + LARGE_SIZES; i++) {
        size_t at = i % KEPT;
        size_t bytes = i < SMALL_SIZES ? i * 50 : random_below(&state, 64 * MIB);
        free(kept[at]);
        kept[at] = malloc(bytes);
        check(kept[at], bytes, 16);
        kept[at] = realloc(kept[at], bytes + bytes / 2 + 1);
        check(kept[at], bytes + bytes / 2 + 1, 16);
        void *zeros = calloc(1, i + 1);
        check(zeros, i + 1, 16);
        free(zeros);
    }
    for (size_t alignment = 16; alignment <= (size_t)1 << 30; alignment *= 2) {
        void *block = aligned_alloc(alignment, 100);
        check(block, 100, alignment);
        free(block);
    }
    for (size_t i = 0; i < KEPT; i++)
        free(kept[i]);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "bottom_up") == 0) {
        if (personality(ADDR_COMPAT_LAYOUT) == -1)
            SKIP("personality: %s", strerror(errno));
        execl("/proc/self/exe", argv[0], (char *)NULL);
        CHECK(false, "execl: %s", strerror(errno));
    }
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        threads[i] = thread_start(run, (void *)i);
    run((void *)2);
    for (size_t i = 0; i < 2; i++)
        thread_join(threads[i]);
    return 0;
}
