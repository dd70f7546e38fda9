/* Protects: calloc gives zeros (field case 13, D9): in every class and in LARGE, after the memory
 * was dirty and freed, after it was given back, after neighbours of other states, and with
 * "known to be zero" shortcuts in play. */
#include <criterion/criterion.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api.h"
#include "slabmalloc/slabmalloc.h"

enum { BLOCKS_MAX = 4200, ROUNDS = 3 };

static void *blocks[BLOCKS_MAX];

Test(calloc_zero, malloc_is_ours) { cr_assert(is_ours("malloc")); }

/* Enough blocks for three slabs (64 KiB of TINY, 1 MiB of SMALL); four of LARGE. */
static size_t block_count(size_t size) {
    if (size > 131072)
        return 4;
    size_t count = (size <= 4096 ? 3 * (size_t)65536 : 3 * ((size_t)1 << 20)) / size + 2;
    return count < BLOCKS_MAX ? count : BLOCKS_MAX;
}

static void fill_with_calloc(size_t size, size_t count, const char *when) {
    for (size_t i = 0; i < count; i++) {
        blocks[i] = i % 2 == 0 ? calloc(1, size) : calloc(size, 1);
        if (blocks[i] == NULL || !is_all(blocks[i], 0, size))
            cr_assert_fail("calloc(%zu), block %zu, %s", size, i, when);
        memset(blocks[i], 0xa5, malloc_usable_size(blocks[i]));
    }
}

static void free_all(size_t count) {
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

/* Frees every second block and takes the slots again, so that full and empty words mix. */
static void refill_every_second(size_t size, size_t count) {
    for (size_t i = 0; i < count; i += 2)
        free(blocks[i]);
    for (size_t i = 0; i < count; i += 2) {
        blocks[i] = calloc(1, size);
        if (!is_all(blocks[i], 0, size))
            cr_assert_fail("calloc(%zu) into a gap", size);
        memset(blocks[i], 0x5a, size);
    }
}

static void check_size(size_t size) {
    size_t count = block_count(size);
    for (int round = 0; round < ROUNDS; round++) {
        fill_with_calloc(size, count, round == 0 ? "fresh" : "after dirty and trim");
        refill_every_second(size, count);
        free_all(count);
        fill_with_calloc(size, count, "after dirty and free");
        free_all(count);
        malloc_trim(0);
    }
}

Test(calloc_zero, in_every_class, .timeout = 120) {
    size_t size = 1;
    unsigned classes = 0;
    while (size <= 131072) {
        void *probe = hidden(malloc(size));
        size_t usable = malloc_usable_size(probe);
        free(probe);
        check_size(usable);
        size = usable + 1;
        classes++;
    }
    cr_assert_eq(classes, SLM_CLASS_COUNT, "%u classes", classes);
}

Test(calloc_zero, in_large_blocks, .timeout = 120) {
    for (size_t size = 131073; size <= (size_t)4 << 20; size = size * 2 - 1000)
        check_size(size);
}

/* Slabs move between classes; a fresh one half used by one class is dirty for the next. */
Test(calloc_zero, when_slabs_change_their_class, .timeout = 120) {
    uint64_t random = 77;
    static const size_t sizes[] = {16, 48, 1024, 3000, 4608, 20000, 65000, 131072, 150000};
    for (int round = 0; round < 120; round++) {
        size_t size = sizes[next_random(&random) % (sizeof sizes / sizeof *sizes)];
        size_t count = 1 + next_random(&random) % (size > 131072 ? 4 : block_count(size));
        bool dirty = next_random(&random) % 2 == 0;
        for (size_t i = 0; i < count; i++) {
            blocks[i] = dirty ? malloc(size) : calloc(1, size);
            cr_assert_not_null(blocks[i]);
            if (!dirty && !is_all(blocks[i], 0, size))
                cr_assert_fail("calloc(%zu), round %d", size, round);
            memset(blocks[i], 0xff, size);
        }
        free_all(count);
        if (next_random(&random) % 4 == 0)
            malloc_trim(0);
    }
}

/* Parts that realloc cut off or took in lie in the cache of free mappings, dirty. */
Test(calloc_zero, after_large_blocks_were_resized) {
    for (int round = 0; round < 20; round++) {
        size_t size = (size_t)1 << 20;
        char *a = hidden(calloc(1, size));
        cr_assert(is_all(a, 0, size));
        memset(a, 1, size);
        a = hidden(realloc(a, size / 2));
        char *b = hidden(calloc(1, size / 2));
        cr_assert(is_all(b, 0, size / 2), "round %d", round);
        memset(b, 2, size / 2);
        a = hidden(realloc(a, 3 * size));
        memset(a, 3, 3 * size);
        free(b);
        free(a);
        char *c = hidden(calloc(4, size));
        cr_assert(is_all(c, 0, 4 * size), "round %d", round);
        memset(c, 4, 4 * size);
        char *d = hidden(aligned_alloc((size_t)1 << 21, size));
        memset(d, 5, size);
        free(c);
        free(d);
    }
}

/* --- other ways in which memory goes back ---- */

static const size_t all_kinds[] = {16, 112, 1024, 4608, 12000, 65536, 131072, 300000};
enum { KINDS = sizeof all_kinds / sizeof *all_kinds, OF_EACH = 400 };
static void *kinds[KINDS][OF_EACH];

static void dirty_and_free_all_kinds(void) {
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < OF_EACH; i++)
            memset(kinds[k][i] = malloc(all_kinds[k]), 0xdb, all_kinds[k]);
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < OF_EACH; i++)
            free(kinds[k][i]);
}

static void check_all_kinds(const char *when) {
    for (size_t k = 0; k < KINDS; k++) {
        for (size_t i = 0; i < OF_EACH; i++) {
            kinds[k][i] = calloc(1, all_kinds[k]);
            if (kinds[k][i] == NULL || !is_all(kinds[k][i], 0, all_kinds[k]))
                cr_assert_fail("calloc(%zu), block %zu, %s", all_kinds[k], i, when);
        }
    }
    for (size_t k = 0; k < KINDS; k++)
        for (size_t i = 0; i < OF_EACH; i++)
            free(kinds[k][i]);
}

static size_t dirty_slabs(void) {
    static struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.small.slabs_dirty;
}

/* By itself: slabs that have been empty for a second, noticed by a later free. */
Test(calloc_zero, after_purges_by_time, .timeout = 60) {
    cr_assert(slm_option_set("keep_free", "all"));
    dirty_and_free_all_kinds();
    size_t dirty = dirty_slabs();
    for (int round = 0; round < 2; round++) {
        usleep(1200000);
        void *pair[20];
        for (int i = 0; i < 20; i++)
            pair[i] = malloc(131072);
        for (int i = 0; i < 20; i++)
            free(pair[i]);
    }
    cr_assert(SLM_TORTURE || (dirty > 20 && dirty_slabs() < dirty), "%zu dirty, then %zu", dirty,
              dirty_slabs());
    check_all_kinds("after purges by time");
}

static void be_refused(void) {
    struct rlimit back, none;
    cr_assert_eq(getrlimit(RLIMIT_AS, &back), 0);
    none = back;
    none.rlim_cur = 1;
    cr_assert_eq(setrlimit(RLIMIT_AS, &none), 0);
    void *refused = malloc((size_t)1 << 40);
    cr_assert_eq(setrlimit(RLIMIT_AS, &back), 0);
    cr_assert_null(refused);
}

/* The system refuses memory: what is free is given back, with its charge, and taken again. */
Test(calloc_zero, after_memory_was_refused, .timeout = 60) {
    dirty_and_free_all_kinds();
    be_refused(); /* the first purge of the process */
    cr_assert(SLM_TORTURE || dirty_slabs() == 0, "%zu dirty slabs", dirty_slabs());
    check_all_kinds("after memory was refused");
    dirty_and_free_all_kinds();
    cr_assert(SLM_TORTURE || dirty_slabs() > 20, "%zu dirty slabs", dirty_slabs());
    be_refused();
    cr_assert(SLM_TORTURE || dirty_slabs() == 0, "%zu dirty slabs", dirty_slabs());
    check_all_kinds("after memory was refused");
}

/* Slots that realloc left, in every class. */
Test(calloc_zero, after_realloc_in_slabs) {
    for (int round = 0; round < 3; round++) {
        for (size_t k = 0; k < KINDS; k++) {
            for (size_t i = 0; i < OF_EACH; i++) {
                size_t to = all_kinds[(k + i) % KINDS];
                char *block = calloc(1, all_kinds[k]);
                cr_assert(is_all(block, 0, all_kinds[k]), "class %zu", all_kinds[k]);
                memset(block, 0xee, all_kinds[k]);
                block = hidden(realloc(block, to));
                memset(block, 0xef, to);
                free(block);
            }
        }
    }
}
