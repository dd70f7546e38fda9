/* Protects: the promises of C23, POSIX and the GNU manual that concern arguments rather than sizes
 * (field cases 14, 16, D4, D5, D8): overflowing products, alignments that are none, zero sizes,
 * realloc to 0, what a failure leaves alone, and every way to free. */
#include <criterion/criterion.h>

#include "api.h"

Test(contract, malloc_is_ours) { cr_assert(is_ours("malloc")); }

/* --- overflow -------------------------------------------------------------------------------- */

static const size_t overflowing[][2] = {
    {SIZE_MAX / 2 + 1, 2}, /* wraps to 0 */
    {2, SIZE_MAX / 2 + 1},
    {SIZE_MAX, SIZE_MAX}, /* wraps to 1 */
    {SIZE_MAX, 2},
    {SIZE_MAX / 16 + 2, 16}, /* wraps to 16 */
    {(size_t)1 << 32, (size_t)1 << 32},
    {((size_t)1 << 32) + 1, ((size_t)1 << 32) + 1},
    {(size_t)PTRDIFF_MAX, 2}, /* no overflow, too large */
    {(size_t)PTRDIFF_MAX / 2 + 1, 2},
    {1, (size_t)PTRDIFF_MAX + 1},
};

Test(contract, products_that_overflow_fail_and_change_nothing) {
    char *block = malloc(100);
    memset(block, 0x3c, 100);
    for (size_t i = 0; i < sizeof overflowing / sizeof *overflowing; i++) {
        size_t count = hidden_size(overflowing[i][0]);
        size_t size = hidden_size(overflowing[i][1]);
        errno = ERRNO_MARK;
        cr_assert_null(calloc(count, size), "calloc(%zx, %zx)", count, size);
        cr_assert_eq(errno, ENOMEM);
        errno = ERRNO_MARK;
        cr_assert_null(reallocarray(NULL, count, size), "reallocarray(%zx, %zx)", count, size);
        cr_assert_eq(errno, ENOMEM);
        errno = ERRNO_MARK;
        cr_assert_null(reallocarray(hidden(block), count, size));
        cr_assert_eq(errno, ENOMEM);
        cr_assert_geq(malloc_usable_size(block), 100);
        cr_assert(is_all(block, 0x3c, 100));
    }
    free(block);
}

Test(contract, reallocarray_multiplies) {
    char *block = hidden(reallocarray(NULL, 10, 30));
    cr_assert_geq(malloc_usable_size(block), 300);
    memset(block, 0x11, 300);
    block = hidden(reallocarray(block, 1000, 300));
    cr_assert_geq(malloc_usable_size(block), 300000);
    cr_assert(is_all(block, 0x11, 300));
    errno = ERRNO_MARK;
    cr_assert_null(reallocarray(block, hidden_size(0), 300)); /* freed, as by realloc */
    cr_assert_eq(errno, ERRNO_MARK);
}

Test(contract, realloc_that_fails_leaves_the_block) {
    static const size_t sizes[] = {1, 500, 5000, 200000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *block = malloc(sizes[i]);
        memset(block, (int)i + 1, sizes[i]);
        for (size_t size = (size_t)PTRDIFF_MAX - 1; size != (size_t)PTRDIFF_MAX + 3; size++) {
            errno = ERRNO_MARK;
            cr_assert_null(realloc(hidden(block), hidden_size(size)));
            cr_assert_eq(errno, ENOMEM);
        }
        cr_assert(is_all(block, (int)i + 1, sizes[i]));
        free(block);
    }
}

/* --- alignment ------------------------------------------------------------------------------- */

Test(contract, posix_memalign_names_its_errors_and_leaves_the_result) {
    static const size_t invalid[] = {0, 1, 2, 4, 3, 7, 12, 24, 40, 48, 4095, 4097, SIZE_MAX,
                                     SIZE_MAX / 2 + 2};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        void *result = &result;
        errno = ERRNO_MARK;
        cr_assert_eq(posix_memalign(&result, hidden_size(invalid[i]), 64), EINVAL);
        cr_assert_eq(result, (void *)&result);
        size_t alignment = hidden_size(invalid[i]);
        cr_assert_eq(posix_memalign(&result, alignment, hidden_size(SIZE_MAX)), EINVAL);
        cr_assert_eq(errno, ERRNO_MARK);
    }
    for (size_t alignment = 8; alignment <= (size_t)1 << 30; alignment *= 2) {
        void *result = &result;
        errno = ERRNO_MARK;
        cr_assert_eq(posix_memalign(&result, alignment, hidden_size(PTRDIFF_MAX)), ENOMEM);
        cr_assert_eq(result, (void *)&result);
        cr_assert_eq(posix_memalign(&result, alignment, 7), 0);
        cr_assert(is_aligned(result, alignment));
        cr_assert_eq(errno, ERRNO_MARK);
        free(result);
    }
}

Test(contract, aligned_alloc_wants_a_power_of_two_and_any_size) {
    static const size_t invalid[] = {0, 3, 6, 12, 24, 1000, 4097, SIZE_MAX, SIZE_MAX / 2 + 2};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        errno = ERRNO_MARK;
        cr_assert_null(aligned_alloc(hidden_size(invalid[i]), 64), "%zx", invalid[i]);
        cr_assert_eq(errno, EINVAL);
    }
    for (size_t alignment = 1; alignment <= (size_t)1 << 30; alignment *= 2) {
        char *pointer = hidden(aligned_alloc(alignment, 33)); /* C17: no multiple needed */
        cr_assert(is_aligned(pointer, alignment < 16 ? 16 : alignment));
        memset(pointer, 1, 33);
        free(pointer);
    }
}

Test(contract, memalign_rounds_the_alignment_up) {
    static const size_t given[][2] = {{0, 16},   {1, 16},    {2, 16},     {3, 16},
                                      {17, 32},  {48, 64},   {65, 128},   {1000, 1024},
                                      {4097, 8192}, {100000, 131072}, {(1 << 20) + 1, 1 << 21}};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        errno = ERRNO_MARK;
        void *pointer = hidden(memalign(hidden_size(given[i][0]), 100));
        cr_assert_not_null(pointer);
        cr_assert(is_aligned(pointer, given[i][1]), "memalign(%zu): %p", given[i][0], pointer);
        cr_assert_eq(errno, ERRNO_MARK);
        free(pointer);
    }
    errno = ERRNO_MARK;
    cr_assert_null(memalign(hidden_size(SIZE_MAX / 2 + 2), 100));
    cr_assert_eq(errno, EINVAL);
    errno = ERRNO_MARK;
    cr_assert_null(memalign(hidden_size(SIZE_MAX), 100));
    cr_assert_eq(errno, EINVAL);
}

Test(contract, valloc_and_pvalloc_give_pages) {
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *v = hidden(valloc(sizes[i]));
        char *p = hidden(pvalloc(sizes[i]));
        size_t whole = sizes[i] == 0 ? 4096 : (sizes[i] + 4095) / 4096 * 4096;
        cr_assert(is_aligned(v, 4096));
        cr_assert(is_aligned(p, 4096));
        cr_assert_geq(malloc_usable_size(v), sizes[i]);
        cr_assert_geq(malloc_usable_size(p), whole);
        memset(v, 1, malloc_usable_size(v));
        memset(p, 2, whole);
        free(v);
        free(p);
    }
}

/* Blocks side by side, so that an alignment that only the first of a slab has does not pass. */
Test(contract, all_blocks_of_an_alignment_are_aligned) {
    enum { BLOCKS = 200 };
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        for (size_t size = 1; size <= 4 * alignment && size <= 131072; size += size / 2 + 1) {
            void *blocks[BLOCKS];
            size_t expected = alignment < 16 ? 16 : alignment;
            size_t count = size > 8192 || alignment > 8192 ? 8 : BLOCKS;
            for (size_t i = 0; i < count; i++) {
                blocks[i] = hidden(aligned_alloc(alignment, size));
                if (blocks[i] == NULL || !is_aligned(blocks[i], expected) ||
                    malloc_usable_size(blocks[i]) < size)
                    cr_assert_fail("aligned_alloc(%zu, %zu): %p", alignment, size, blocks[i]);
            }
            for (size_t i = 0; i < count; i++)
                free(blocks[i]);
        }
    }
}

Test(contract, every_pointer_is_16_byte_aligned) {
    void *blocks[64];
    for (size_t size = 0; size <= 2100; size++) {
        for (size_t i = 0; i < 64; i += 4) {
            blocks[i] = malloc(size);
            blocks[i + 1] = calloc(size, 1);
            blocks[i + 2] = realloc(hidden(NULL), size);
            blocks[i + 3] = aligned_alloc(1, size);
        }
        for (size_t i = 0; i < 64; i++) {
            if (blocks[i] == NULL || !is_aligned(blocks[i], 16))
                cr_assert_fail("size %zu, way %zu: %p", size, i % 4, blocks[i]);
            free(blocks[i]);
        }
    }
}

/* --- nothing, and to nothing ----------------------------------------------------------------- */

Test(contract, empty_blocks_are_unique) {
    enum { KINDS = 9, ROUNDS = 50 };
    void *blocks[KINDS * ROUNDS];
    size_t count = 0;
    errno = ERRNO_MARK;
    for (int round = 0; round < ROUNDS; round++) {
        blocks[count++] = malloc(hidden_size(0));
        blocks[count++] = calloc(hidden_size(0), 8);
        blocks[count++] = calloc(8, hidden_size(0));
        blocks[count++] = realloc(hidden(NULL), 0);
        blocks[count++] = reallocarray(hidden(NULL), 0, 5);
        blocks[count++] = aligned_alloc(64, hidden_size(0));
        blocks[count++] = memalign(4096, hidden_size(0));
        blocks[count++] = valloc(hidden_size(0));
        cr_assert_eq(posix_memalign(&blocks[count++], 32, hidden_size(0)), 0);
    }
    cr_assert_eq(errno, ERRNO_MARK);
    for (size_t i = 0; i < count; i++) {
        cr_assert_not_null(blocks[i], "kind %zu", i % KINDS);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(blocks[i], blocks[j], "kinds %zu and %zu", i % KINDS, j % KINDS);
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

static size_t live_blocks(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

Test(contract, realloc_to_0_frees_and_keeps_errno) {
    static const size_t sizes[] = {0, 1, 700, 9000, 131072, 500000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t before = live_blocks();
        void *block = hidden(malloc(sizes[i]));
        cr_assert_gt(live_blocks(), before);
        errno = ERRNO_MARK;
        cr_assert_null(realloc(block, hidden_size(0)));
        cr_assert_eq(errno, ERRNO_MARK);
        cr_assert_eq(live_blocks(), before, "size %zu", sizes[i]);
    }
}

Test(contract, null_may_be_freed_in_every_way) {
    errno = ERRNO_MARK;
    free(hidden(NULL));
    cfree(hidden(NULL));
    free_sized(hidden(NULL), 100);
    free_aligned_sized(hidden(NULL), 64, 100);
    cr_assert_eq(malloc_usable_size(hidden(NULL)), 0);
    cr_assert_eq(errno, ERRNO_MARK);
}

/* Hints may be right, wrong or absurd: the block is freed, and nothing else happens (D12). */
Test(contract, every_way_of_freeing_frees) {
    static const size_t sizes[] = {0, 24, 1000, 30000, 400000};
    static const size_t hints[] = {0, 1, 24, 1000, 30000, 400000, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t h = 0; h < sizeof hints / sizeof *hints; h++) {
            size_t before = live_blocks();
            void *sized = malloc(sizes[i]);
            void *aligned = aligned_alloc(64, sizes[i]);
            void *plain = malloc(sizes[i]);
            errno = ERRNO_MARK;
            free_sized(sized, hints[h]);
            free_aligned_sized(aligned, 64, hints[h]);
            cfree(plain);
            cr_assert_eq(errno, ERRNO_MARK);
            cr_assert_eq(live_blocks(), before, "size %zu, hint %zu", sizes[i], hints[h]);
        }
    }
}
