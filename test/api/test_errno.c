/* Protects: errno (field case 11, D1, D2): a million mixed operations, purges included, leave it as
 * it was; a free does so always, even where system calls fail below it. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "api.h"
#include "slabmalloc/slabmalloc.h"

enum { BLOCKS = 1000, STEPS = 1000000, TRIM_EVERY = 20000 };

Test(errno_kept, malloc_is_ours) { cr_assert(is_ours("malloc")); }

static void *allocate(uint64_t *random, size_t size) {
    size_t alignment = (size_t)8 << next_random(random) % 10;
    void *pointer = NULL;
    switch (next_random(random) % 12) {
    case 0:
        return calloc(1, size);
    case 1:
        return aligned_alloc(alignment, size);
    case 2:
        return posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
    case 3:
        return realloc(hidden(NULL), size);
    case 4:
        return reallocarray(hidden(NULL), 1, size);
    case 5:
        return memalign(alignment, size);
    case 6:
        return size % 2 == 0 ? valloc(size) : pvalloc(size);
    default:
        return malloc(size);
    }
}

static void release(uint64_t *random, void *pointer, size_t size) {
    switch (next_random(random) % 5) {
    case 0:
        free_sized(pointer, size);
        break;
    case 1:
        free_aligned_sized(pointer, 16, size);
        break;
    case 2:
        cfree(pointer);
        break;
    case 3:
        cr_assert_null(realloc(pointer, hidden_size(0)));
        break;
    default:
        free(pointer);
    }
}

static const char *look(size_t step, const void *block) {
    if (step % TRIM_EVERY == 0) {
        malloc_trim(0);
        return "malloc_trim";
    }
    if (step % TRIM_EVERY == 1) {
        volatile size_t arena = mallinfo2().arena;
        return (void)arena, "mallinfo2";
    }
    if (malloc_usable_size((void *)block) == 0)
        cr_assert_fail("no usable size");
    return "malloc_usable_size";
}

Test(errno_kept, over_a_million_operations, .timeout = 240) {
    static void *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    uint64_t random = 0x9e3779b97f4a7c15;
    for (size_t step = 0; step < STEPS; step++) {
        size_t i = next_random(&random) % BLOCKS;
        const char *what;
        errno = ERRNO_MARK;
        if (blocks[i] == NULL) {
            sizes[i] = random_size(&random);
            blocks[i] = allocate(&random, sizes[i]);
            what = "allocation";
            if (blocks[i] == NULL)
                cr_assert_fail("no memory for %zu bytes, step %zu", sizes[i], step);
        } else if (step % TRIM_EVERY < 2 || next_random(&random) % 16 == 0) {
            what = look(step, blocks[i]);
        } else if (next_random(&random) % 4 == 0) {
            sizes[i] = random_size(&random) + 1;
            blocks[i] = realloc(blocks[i], sizes[i]);
            what = "realloc";
            if (blocks[i] == NULL)
                cr_assert_fail("no memory for %zu bytes, step %zu", sizes[i], step);
        } else {
            release(&random, blocks[i], sizes[i]);
            blocks[i] = NULL;
            what = "free";
        }
        if (errno != ERRNO_MARK)
            cr_assert_fail("%s set errno to %d (%zu bytes, step %zu)", what, errno, sizes[i], step);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

/* The first call of a process and its largest frees go through every system call there is. */
Test(errno_kept, where_mappings_come_and_go) {
    for (size_t size = (size_t)1 << 20; size <= (size_t)1 << 28; size *= 2) {
        errno = ERRNO_MARK;
        char *block = malloc(size);
        block[0] = 1;
        block = hidden(realloc(block, size + size / 2));
        block = hidden(realloc(block, size / 2));
        free(block);
        malloc_trim(0);
        cr_assert_eq(errno, ERRNO_MARK, "size %zu: %d", size, errno);
    }
}

/* --- a free that gives back what has been free for long --------------------------------------- */

static void errno_after(void (*call)(void *), void *block, const char *name) {
    errno = ERRNO_MARK;
    call(block);
    cr_assert_eq(errno, ERRNO_MARK, "%s set errno to %d", name, errno);
}

static void aligned_sized(void *block) { free_aligned_sized(block, 4096, (size_t)1 << 20); }
static void to_nothing(void *block) { cr_assert_null(realloc(block, hidden_size(0))); }

static size_t cached_bytes(void) {
    static struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.large.cached_bytes;
}

/* Each gives back what was freed more than a second before (in torture, it may be gone by then; of
 * sampled blocks, whatever libc frees beside it makes it young again). */
Test(errno_kept, by_frees_that_give_memory_back, .timeout = 60) {
    static const struct {
        const char *name;
        void (*call)(void *);
    } ways[] = {{"free", free},
                {"free_aligned_sized", aligned_sized},
                {"realloc to 0", to_nothing}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        /* Neighbours of live blocks do not merge, which would make what is old young again. */
        void *block = malloc((size_t)1 << 20);
        void *apart = malloc((size_t)1 << 20);
        void *old = malloc((size_t)3 << 20);
        void *end = malloc((size_t)1 << 20);
        free(old);
        usleep(1100000);
        size_t before = cached_bytes();
        errno_after(ways[i].call, block, ways[i].name);
        cr_assert(keeps_addresses() || cached_bytes() < before, "%s gave nothing back",
                  ways[i].name);
        free(apart);
        free(end);
        malloc_trim(0);
    }
}

/* ENOMEM and nothing else, from every function, when the system refuses memory or the size is
 * absurd; posix_memalign returns it. */
Test(errno_kept, failures_say_why) {
    static const size_t sizes[] = {(size_t)1 << 50, PTRDIFF_MAX, SIZE_MAX};
    void *block = malloc(100);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = hidden_size(sizes[i]);
        void *results[9];
        int errors[9], n = 0;
#define TRY(call) (errno = ERRNO_MARK, results[n] = hidden(call), errors[n++] = errno)
        TRY(malloc(size));
        TRY(calloc(1, size));
        TRY(realloc(hidden(NULL), size));
        TRY(realloc(hidden(block), size));
        TRY(reallocarray(hidden(block), size, 1));
        TRY(aligned_alloc(64, size));
        TRY(memalign(4096, size));
        TRY(valloc(size));
        TRY(pvalloc(size));
#undef TRY
        for (int j = 0; j < n; j++)
            cr_assert(results[j] == NULL && errors[j] == ENOMEM, "call %d: %p, errno %d", j,
                      results[j], errors[j]);
        void *result = &result;
        errno = ERRNO_MARK;
        cr_assert_eq(posix_memalign(&result, 64, size), ENOMEM);
        cr_assert(result == (void *)&result && errno == ERRNO_MARK);
    }
    free(block);
}
