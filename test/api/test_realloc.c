/* Protects: realloc and malloc_usable_size (field cases 15, 17, D7, D10): contents survive every
 * change of size across TINY, SMALL and LARGE, whatever way the block was allocated; the usable
 * size is stable, all of it is the program's, and realloc carries all of it along. */
#include <criterion/criterion.h>
#include <sys/mman.h>

#include "api.h"

enum { BLOCKS = 60, STEPS = 6000 };

Test(realloc_model, malloc_is_ours) { cr_assert(is_ours("malloc")); }

static void *allocate(uint64_t *random, size_t size) {
    size_t alignment = (size_t)64 << next_random(random) % 16; /* 64 .. 2 MiB */
    switch (next_random(random) % 4) {
    case 0:
        return malloc(size);
    case 1:
        return calloc(1, size);
    case 2:
        return aligned_alloc(alignment, size);
    default:
        return realloc(hidden(NULL), size);
    }
}

/* Sizes at the borders of classes and zones, or anywhere. */
static size_t pick_size(uint64_t *random) {
    static const size_t borders[] = {16,    128,    1024,   1280,    4096,    65536,
                                     98304, 131072, 135168, 1 << 20, 2 << 20, 5 << 20};
    uint64_t r = next_random(random);
    if (r % 2 == 0)
        return borders[(r >> 8) % (sizeof borders / sizeof *borders)] + (r >> 32) % 3 - 1;
    return random_size(random) + 1;
}

Test(realloc_model, keeps_contents_across_all_borders, .timeout = 120) {
    void *blocks[BLOCKS] = {0};
    size_t sizes[BLOCKS] = {0};
    uint64_t random = 0xdecafbad12345;
    for (size_t step = 0; step < STEPS; step++) {
        size_t i = next_random(&random) % BLOCKS;
        size_t size = pick_size(&random);
        if (blocks[i] == NULL || next_random(&random) % 16 == 0) {
            free(blocks[i]);
            blocks[i] = allocate(&random, size);
            cr_assert_not_null(blocks[i]);
            pattern_fill(blocks[i], i, 0, size);
        } else {
            size_t kept = sizes[i] < size ? sizes[i] : size;
            void *resized = hidden(realloc(blocks[i], size));
            if (resized == NULL || !is_aligned(resized, 16) || malloc_usable_size(resized) < size)
                cr_assert_fail("realloc(%zu -> %zu): %p", sizes[i], size, resized);
            if (pattern_differs(resized, i, kept) != kept)
                cr_assert_fail("realloc(%zu -> %zu): byte %zu differs", sizes[i], size,
                               pattern_differs(resized, i, kept));
            blocks[i] = resized;
            pattern_fill(resized, i, kept, size);
        }
        sizes[i] = size;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        cr_assert_eq(pattern_differs(blocks[i], i, sizes[i]), sizes[i]);
        free(blocks[i]);
    }
}

/* --- nothing is read behind the source ------------------------------------------------------- */

static bool ends_before_a_hole(const char *block, size_t bytes) {
    uintptr_t start, end;
    char access[5];
    uintptr_t behind = (uintptr_t)block + bytes;
    return !find_mapping(behind, &start, &end, access) || access[0] != 'r';
}

/* Allocates slots of one class to the border of what is writable, and resizes the one there. */
static void resize_at_the_border(size_t slot_bytes) {
    enum { SLOTS_MAX = 1000000 };
    static char *slots[SLOTS_MAX];
    char *source = NULL;
    size_t count = 0;
    while (source == NULL && count < SLOTS_MAX) {
        char *slot = slots[count++] = malloc(slot_bytes);
        cr_assert_eq(malloc_usable_size(slot), slot_bytes);
        /* Slabs, and what is writable of a zone, end at such borders only. */
        if (is_aligned(slot + slot_bytes, 65536) && ends_before_a_hole(slot, slot_bytes))
            source = slot;
    }
    cr_assert_not_null(source, "no slot at the border of what is writable");
    pattern_fill(source, 5, 0, slot_bytes);
    char *moved = hidden(realloc(source, 3 * slot_bytes));
    cr_assert_eq(pattern_differs(moved, 5, slot_bytes), slot_bytes);
    moved = hidden(realloc(moved, 10));
    cr_assert_eq(pattern_differs(moved, 5, 10), 10);
    free(moved);
    for (size_t i = 0; i + 1 < count; i++)
        free(slots[i]);
}

Test(realloc_source, small_at_the_end_of_the_writable_zone) { resize_at_the_border(131072); }

/* The class of 32 bytes fills its slab to the last byte. */
Test(realloc_source, tiny_at_the_end_of_the_writable_zone) { resize_at_the_border(32); }

/* The system moves a mapping only if all of it has the same properties: this one must be copied. */
Test(realloc_source, large_at_a_wall_is_copied_whole) {
    enum { BYTES = 8 << 20 };
    void *wall = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *block = malloc(BYTES);
    cr_assert_neq(wall, MAP_FAILED);
    cr_assert(ends_before_a_hole(block, BYTES));
    pattern_fill(block, 3, 0, BYTES);
    cr_assert_eq(madvise(block + BYTES / 2, BYTES / 4, MADV_DONTFORK), 0);
    char *moved = hidden(realloc(block, BYTES + 50000));
    cr_assert_eq(pattern_differs(moved, 3, BYTES), BYTES);
    free(moved);
    free(hidden(calloc(1, BYTES))); /* perhaps in the old place */
}

Test(realloc_source, large_before_an_inaccessible_page) {
    enum { BYTES = 64 << 20 };
    /* The system places mappings downwards: the block comes to lie right below the wall. */
    void *wall = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *block = malloc(BYTES);
    cr_assert_neq(wall, MAP_FAILED);
    cr_assert(ends_before_a_hole(block, BYTES), "wall %p, block %p", wall, (void *)block);
    pattern_fill(block, 9, 0, BYTES);
    block = hidden(realloc(block, BYTES + 4096));
    cr_assert_eq(pattern_differs(block, 9, BYTES), BYTES);
    block = hidden(realloc(block, 100000)); /* copied into SMALL */
    cr_assert_eq(pattern_differs(block, 9, 100000), 100000);
    free(block);
}

/* --- usable size ----------------------------------------------------------------------------- */

static const size_t probes[] = {0,    1,    15,    16,    17,     100,    112,    129,    1000,
                                1024, 1025, 4096,  5000,  40000,  131072, 131073, 200000, 1 << 20,
                                3000000};
enum { PROBES = sizeof probes / sizeof *probes, COPIES = 20 };

Test(usable_size, is_stable_and_all_of_it_writable) {
    char *blocks[PROBES][COPIES];
    size_t usable[PROBES][COPIES];
    for (size_t c = 0; c < COPIES; c++) {
        for (size_t i = 0; i < PROBES; i++) {
            blocks[i][c] = hidden(malloc(probes[i]));
            usable[i][c] = malloc_usable_size(blocks[i][c]);
            cr_assert_geq(usable[i][c], probes[i]);
            memset(blocks[i][c], (int)(i * COPIES + c), usable[i][c]);
        }
    }
    for (size_t c = 0; c < COPIES; c++) {
        for (size_t i = 0; i < PROBES; i++) {
            cr_assert_eq(malloc_usable_size(blocks[i][c]), usable[i][c]);
            cr_assert_eq(usable[i][c], usable[i][0]);
            cr_assert(is_all(blocks[i][c], (int)(i * COPIES + c) & 0xff, usable[i][c]),
                      "block of %zu was overwritten", probes[i]);
        }
    }
    for (size_t c = 0; c < COPIES; c++)
        for (size_t i = 0; i < PROBES; i++)
            free(blocks[i][c]);
}

Test(usable_size, grows_with_the_request_and_stays_close_to_it) {
    size_t last = 0;
    for (size_t size = 1; size <= (size_t)8 << 20; size += size / 50 + 1) {
        void *block = hidden(malloc(size));
        size_t usable = malloc_usable_size(block);
        cr_assert_geq(usable, last, "size %zu", size);
        cr_assert_leq(usable, size + size / 4 + 16, "size %zu: %zu", size, usable);
        if (size > (size_t)1 << 20)
            cr_assert_leq(usable, size + size / 50, "size %zu: %zu", size, usable);
        last = usable;
        free(block);
    }
}

Test(usable_size, realloc_keeps_all_of_it) {
    for (size_t i = 0; i < PROBES; i++) {
        for (size_t j = 0; j < PROBES; j++) {
            char *block = hidden(malloc(probes[i]));
            size_t usable = malloc_usable_size(block);
            size_t size = probes[j] + 1;
            size_t kept = usable < size ? usable : size;
            memset(block, 0x6b, usable);
            block = hidden(realloc(block, size));
            cr_assert(is_all(block, 0x6b, kept), "%zu -> %zu", usable, size);
            free(block);
        }
    }
}

Test(usable_size, realloc_up_to_it_does_not_move) {
    for (size_t i = 0; i < PROBES; i++) {
        char *block = hidden(malloc(probes[i]));
        size_t usable = malloc_usable_size(block);
        uintptr_t before = (uintptr_t)block;
        block = hidden(realloc(block, usable));
        cr_assert_eq((uintptr_t)block, before);
        cr_assert_eq(malloc_usable_size(block), usable);
        free(block);
    }
}

/* What realloc left behind or in front of a LARGE block is not part of it. */
Test(usable_size, of_resized_large_blocks_follows_the_request) {
    char *block = hidden(malloc((size_t)1 << 20));
    size_t size = (size_t)1 << 20;
    for (; size <= (size_t)8 << 20; size += 100000) {
        block = hidden(realloc(block, size));
        size_t usable = malloc_usable_size(block);
        cr_assert(size <= usable && usable < size + 4096, "size %zu: %zu", size, usable);
        memset(block, 0x42, usable);
    }
    for (size -= 100000; size > 300000; size -= 100000) {
        block = hidden(realloc(block, size));
        size_t usable = malloc_usable_size(block);
        cr_assert(size <= usable && usable < size + 4096, "size %zu: %zu", size, usable);
        cr_assert(is_all(block, 0x42, size));
    }
    free(block);
}
