/* Protects: jemalloc's own functions (src/api/jemalloc.c): what jemalloc(3) promises of sizes,
 * alignments and cleared bytes, and that their blocks are those of malloc and free. */
#include <criterion/criterion.h>

#include "api.h"
#include "jemalloc.h"
#include "slabmalloc/slabmalloc.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

static const size_t sizes[] = {
    1,       16,   17,      100,   128,       129,           1000,      KIB,
    KIB + 1, 4000, 4 * KIB, 20000, 128 * KIB, 128 * KIB + 1, 300 * KIB, 3 * MIB - 1};
#define EACH_SIZE(i)                                                                               \
    size_t i = 0;                                                                                  \
    i < sizeof sizes / sizeof *sizes;                                                              \
    i++

/* While each block is checked, as many bytes as were asked for are the program's. */
static bool is_exact(void) { return nallocx(17, 0) == 17; }

Test(jemalloc, all_are_ours) {
    static const char *const names[] = {"mallocx", "rallocx",  "xallocx", "sallocx",
                                        "dallocx", "sdallocx", "nallocx"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_assert(is_ours(names[i]), "%s", names[i]);
}

Test(jemalloc, blocks_go_to_free_and_those_of_malloc_come_back) {
    for (EACH_SIZE(i)) {
        char *block = mallocx(sizes[i], 0);
        cr_assert_not_null(block);
        memset(block, 1, sizes[i]);
        cr_assert_geq(malloc_usable_size(block), sizes[i]);
        block = realloc(block, sizes[i] + 1);
        free(block);
        free_sized(mallocx(sizes[i], 0), sizes[i]);

        dallocx(malloc(sizes[i]), 0);
        sdallocx(malloc(sizes[i]), sizes[i], 0);
        block = rallocx(malloc(sizes[i]), 2 * sizes[i], 0);
        cr_assert_not_null(block);
        dallocx(block, MALLOCX_TCACHE_NONE);
    }
}

static uint64_t live_blocks(void) {
    static struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.tiny.allocations - stats.tiny.frees + stats.small.allocations - stats.small.frees +
           stats.large.allocations - stats.large.frees;
}

Test(jemalloc, blocks_of_every_zone_are_given_back) {
    uint64_t live_before = live_blocks();
    for (EACH_SIZE(i)) {
        dallocx(mallocx(sizes[i], 0), 0);
        sdallocx(mallocx(sizes[i], 0), sizes[i], 0);
        dallocx(rallocx(mallocx(sizes[i], 0), 2 * sizes[i], MALLOCX_LG_ALIGN(12)), 0);
    }
    cr_assert_eq(live_blocks(), live_before);
}

/* A program may use as many bytes as nallocx says, and give any size from there down to the one
 * that it asked for. */
Test(jemalloc, nallocx_tells_what_a_block_may_use) {
    static const int alignments[] = {0, 3, 4, 6, 12, 16, 21};
    for (EACH_SIZE(i))
        for (size_t k = 0; k < sizeof alignments / sizeof *alignments; k++) {
            int flags = MALLOCX_LG_ALIGN(alignments[k]);
            size_t promised = nallocx(sizes[i], flags);
            char *block = mallocx(sizes[i], flags);
            cr_assert_not_null(block);
            cr_assert(is_aligned(block, (size_t)1 << alignments[k]));
            cr_assert_geq(promised, sizes[i]);
            cr_assert_eq(sallocx(block, flags), promised, "%zu, 2^%d: %zu, not %zu", sizes[i],
                         alignments[k], sallocx(block, flags), promised);
            cr_assert_eq(malloc_usable_size(block), promised);
            memset(block, 1, promised);
            sdallocx(block, k % 2 == 0 ? sizes[i] : promised, flags);
        }
}

Test(jemalloc, a_size_of_nallocx_is_a_size_of_its_own) {
    for (EACH_SIZE(i))
        cr_assert_eq(nallocx(nallocx(sizes[i], 0), 0), nallocx(sizes[i], 0));
}

Test(jemalloc, what_there_is_no_block_of) {
    cr_assert_eq(nallocx(hidden_size(SIZE_MAX), 0), 0);
    cr_assert_eq(nallocx(hidden_size(PTRDIFF_MAX), 0), 0);
    cr_assert_eq(nallocx(hidden_size((size_t)PTRDIFF_MAX + 1), 0), 0);
    cr_assert_eq(nallocx(1, MALLOCX_LG_ALIGN(62)), 0);
    static const int flags[] = {0, MALLOCX_ZERO, MALLOCX_LG_ALIGN(12),
                                MALLOCX_LG_ALIGN(12) | MALLOCX_ZERO};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        errno = 0;
        cr_assert_null(mallocx(hidden_size(SIZE_MAX), flags[i]));
        cr_assert_eq(errno, ENOMEM);
        cr_assert_null(mallocx(hidden_size(PTRDIFF_MAX), flags[i]));
        cr_assert_null(mallocx(1, flags[i] | MALLOCX_LG_ALIGN(63)));

        char *block = mallocx(100, 0);
        memset(block, 7, 100);
        cr_assert_null(rallocx(block, hidden_size(SIZE_MAX), flags[i]));
        cr_assert_null(rallocx(block, hidden_size(PTRDIFF_MAX), flags[i]));
        cr_assert(is_all(block, 7, 100));
        cr_assert_eq(xallocx(block, hidden_size(SIZE_MAX), 0, 0), sallocx(block, 0));
        cr_assert_eq(xallocx(block, 100, hidden_size(SIZE_MAX), 0), sallocx(block, 0));
        dallocx(block, 0);
    }
}

/* Of memory that was written to before. */
static void leave_dirty_blocks(size_t size, int flags) {
    void *blocks[8];
    for (size_t i = 0; i < 8; i++) {
        blocks[i] = mallocx(size, flags);
        memset(blocks[i], 0xaa, sallocx(blocks[i], 0));
    }
    for (size_t i = 0; i < 8; i++)
        dallocx(blocks[i], 0);
}

Test(jemalloc, zero_clears_all_that_may_be_used) {
    for (EACH_SIZE(i))
        for (int power = 0; power <= 13; power += 13) {
            int flags = MALLOCX_ZERO | MALLOCX_LG_ALIGN(power);
            leave_dirty_blocks(sizes[i], MALLOCX_LG_ALIGN(power));
            char *block = mallocx(sizes[i], flags);
            cr_assert(is_aligned(block, (size_t)1 << power));
            cr_assert_geq(sallocx(block, 0), sizes[i]);
            cr_assert(is_all(block, 0, sallocx(block, 0)), "%zu, 2^%d", sizes[i], power);
            dallocx(block, 0);
        }
}

/* The border between what stays and what is cleared is what the block could use before. */
Test(jemalloc, rallocx_keeps_contents_aligns_and_clears) {
    for (EACH_SIZE(i))
        for (EACH_SIZE(k))
            for (int power = 0; power <= 16; power += 8)
                for (int zero = 0; zero <= MALLOCX_ZERO; zero += MALLOCX_ZERO) {
                    int flags = zero | MALLOCX_LG_ALIGN(power);
                    leave_dirty_blocks(sizes[k], 0);
                    char *block = mallocx(sizes[i], zero);
                    size_t old_size = sallocx(block, 0);
                    size_t kept = sizes[i] < sizes[k] ? sizes[i] : sizes[k];
                    pattern_fill(block, i, 0, sizes[i]);
                    block = rallocx(block, sizes[k], flags);
                    cr_assert_not_null(block);
                    cr_assert(is_aligned(block, (size_t)1 << power));
                    size_t size = sallocx(block, 0);
                    cr_assert_geq(size, sizes[k]);
                    cr_assert_eq(pattern_differs(block, i, kept), kept);
                    if (zero != 0 && size > old_size)
                        cr_assert(is_all(block + old_size, 0, size - old_size));
                    if (zero != 0 && old_size > sizes[i] && sizes[i] < sizes[k])
                        cr_assert(is_all(block + sizes[i], 0,
                                         (old_size < size ? old_size : size) - sizes[i]));
                    memset(block, 1, size);
                    dallocx(block, 0);
                }
}

Test(jemalloc, xallocx_stays_where_it_is_and_tells_the_size) {
    for (EACH_SIZE(i)) {
        char *block = mallocx(sizes[i], 0);
        size_t before = sallocx(block, 0);
        memset(block, 3, before);
        cr_assert_eq(xallocx(block, sizes[i], 0, 0), before);
        size_t grown = xallocx(block, 4 * sizes[i], 0, MALLOCX_ZERO);
        cr_assert_eq(sallocx(block, 0), grown);
        cr_assert(grown == before || grown >= 4 * sizes[i]);
        cr_assert(is_all(block, 3, before));
        cr_assert(is_all(block + before, 0, grown - before));
        memset(block, 4, grown);
        size_t shrunk = xallocx(block, 1, 0, 0);
        cr_assert(shrunk >= 1 && shrunk <= grown);
        cr_assert_eq(sallocx(block, 0), shrunk);
        cr_assert(is_all(block, 4, shrunk));
        dallocx(block, 0);
    }
}

/* Nothing lies behind what has just been shortened, so that it can be what it was; and a block that
 * is as long as it may be with `extra` is not shortened to be as long as it has to. */
Test(jemalloc, xallocx_resizes_large_blocks) {
    if (is_exact() || SLM_TORTURE)
        cr_skip_test("blocks of their own layout, or system calls that fail");
    char *block = mallocx(8 * MIB, 0);
    memset(block, 5, 8 * MIB);
    cr_assert_eq(xallocx(block, 4 * MIB, 0, 0), 4 * MIB);
    cr_assert_eq(xallocx(block, 8 * MIB, 0, MALLOCX_ZERO), 8 * MIB);
    cr_assert(is_all(block, 5, 4 * MIB));
    cr_assert(is_all(block + 4 * MIB, 0, 4 * MIB));
    cr_assert_eq(xallocx(block, 1 * MIB, hidden_size(SIZE_MAX - 16 * MIB), 0), 8 * MIB);
    cr_assert_eq(xallocx(block, 2 * MIB, 1 * MIB, 0), 3 * MIB);
    cr_assert_eq(xallocx(block, 2 * MIB, 0, MALLOCX_LG_ALIGN(46)), 3 * MIB, "not so aligned");
    cr_assert_eq(xallocx(block, 20 * KIB, 0, 0), 20 * KIB);
    cr_assert(is_all(block, 5, 20 * KIB));
    block = rallocx(block, 10 * MIB, 0);
    cr_assert(is_all(block, 5, 20 * KIB));
    dallocx(block, 0);
}

Test(jemalloc, arenas_and_thread_caches_are_all_the_same) {
    char *block =
        mallocx(100, MALLOCX_ARENA(7) | MALLOCX_TCACHE(3) | MALLOCX_ALIGN(256) | MALLOCX_ZERO);
    cr_assert(is_aligned(block, 256));
    cr_assert(is_all(block, 0, 100));
    block = rallocx(block, 1000, MALLOCX_ARENA(8) | MALLOCX_TCACHE_NONE);
    cr_assert_geq(sallocx(block, MALLOCX_ARENA(1)), 1000);
    sdallocx(block, 1000, MALLOCX_ARENA(9));
}
