/* Protects: routing by size, realloc in place and moved, calloc's zeroes after every way that
 * memory can be dirty, usable sizes, and memory given back by a trim. */
#include "../expect.h"

#include <string.h>
#include <sys/mman.h>

#include "cache/hot.h"
#include "heap/heap.h"
#include "large/large.h"
#include "slabmalloc/slabmalloc.h"

static void set_up(void) {
    slm_free(slm_malloc(1));
    os_inject(0, 0, 0);
}

static bool reads_as(const void *memory, int byte, size_t bytes) {
    const char *at = memory;
    return bytes == 0 || (at[0] == (char)byte && memcmp(at, at + 1, bytes - 1) == 0);
}

Test(heap, every_size_is_served_by_its_zone_with_a_stable_usable_size, .init = set_up) {
    for (size_t bytes = 0; bytes <= SMALL_MAX_BYTES + 5000; bytes += bytes < 2100 ? 1 : 251) {
        char *block = heap_malloc(bytes);
        enum fault fault;
        size_t usable = heap_usable(block, &fault);
        struct slab *slab = zone_find((uintptr_t)block);
        EXPECT_EQ(fault, FAULT_NONE);
        if (bytes <= SMALL_MAX_BYTES) {
            EXPECT_EQ(usable, size_classes[class_of(bytes)].slot_bytes);
            EXPECT_EQ(slab->zone, bytes <= TINY_MAX_BYTES ? ZONE_TINY : ZONE_SMALL);
        } else {
            EXPECT_AT(slab == NULL && usable == large_usable(block), bytes);
            EXPECT_AT(usable >= bytes && usable < bytes + os_page_bytes, bytes);
        }
        memset(block, 1, usable);
        EXPECT_EQ(heap_usable(block, &fault), usable);
        EXPECT_EQ(heap_usable(block + 1, &fault), 0);
        EXPECT_EQ(fault, FAULT_INTERIOR);
        EXPECT_EQ(heap_free(block), FAULT_NONE);
        EXPECT_EQ(heap_usable(block, &fault), 0);
        EXPECT_AT(fault == FAULT_DOUBLE_FREE || (slab == NULL && fault == FAULT_FOREIGN), bytes);
    }
}

Test(heap, aligned_blocks_of_every_size_are_aligned, .init = set_up) {
    static const size_t sizes[] = {0,    1,    16,    17,     100,    1024,
                                   1025, 5000, 65536, 131072, 131073, 400000};
    for (size_t alignment = 1; alignment <= (size_t)1 << 30; alignment *= 2) {
        for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            char *one = heap_malloc_aligned(sizes[i], alignment);
            char *other = heap_malloc_aligned(sizes[i], alignment);
            enum fault fault;
            EXPECT_AT(one != NULL && other != NULL && one != other, alignment);
            EXPECT_AT((uintptr_t)one % alignment == 0, alignment);
            EXPECT_AT((uintptr_t)other % alignment == 0, alignment);
            EXPECT_AT(heap_usable(one, &fault) >= sizes[i] && fault == FAULT_NONE, alignment);
            memset(one, 1, heap_usable(one, &fault));
            memset(other, 2, heap_usable(other, &fault));
            EXPECT_AT(reads_as(one, 1, sizes[i]), alignment);
            EXPECT_EQ(heap_free(one), FAULT_NONE);
            EXPECT_EQ(heap_free(other), FAULT_NONE);
        }
    }
}

/* --- realloc ---- */

static char *resize(char *block, size_t bytes) {
    enum fault fault = FAULT_FOREIGN;
    char *resized = heap_realloc(block, bytes, &fault);
    EXPECT_EQ(fault, FAULT_NONE);
    EXPECT_AT(resized != NULL, bytes);
    return resized;
}

Test(heap, realloc_within_the_slot_stays_and_beyond_it_moves, .init = set_up) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        size_t bytes = size_classes[cls].slot_bytes;
        char *block = heap_malloc(bytes);
        memset(block, 3, bytes);
        EXPECT_AT(resize(block, bytes) == block, cls);
        EXPECT_AT(resize(block, bytes - 1) == block, cls);
        EXPECT_AT(resize(block, bytes / 2) == block, cls);
        char *moved = resize(block, bytes + 1);
        EXPECT_AT(moved != block, cls);
        EXPECT_AT(reads_as(moved, 3, bytes), cls);
        enum fault fault;
        EXPECT_AT(heap_usable(moved, &fault) > bytes, cls);
        EXPECT_AT(heap_usable(block, &fault) == 0 && fault == FAULT_DOUBLE_FREE, cls);
        EXPECT_EQ(heap_free(moved), FAULT_NONE);
    }
}

Test(heap, a_block_shrunk_to_little_moves_to_a_smaller_class, .init = set_up) {
    char *block = heap_malloc(100000);
    memset(block, 4, 100000);
    char *shrunk = resize(block, 100);
    enum fault fault;
    EXPECT(shrunk != block && reads_as(shrunk, 4, 100));
    EXPECT_EQ(heap_usable(shrunk, &fault), 112);
    EXPECT(resize(shrunk, 1) == shrunk); /* too little to win */
}

Test(heap, realloc_crosses_zones_with_its_contents, .init = set_up) {
    static const size_t sizes[] = {10,      1024, 1025,   131072, 131073, 5000000, 300000,
                                   9000000, 1,    200000, 64,     131073, 131072,  2000};
    char *block = heap_malloc(1);
    size_t last = 1;
    memset(block, 5, 1);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = resize(block, sizes[i]);
        EXPECT_AT(reads_as(block, 5, sizes[i] < last ? sizes[i] : last), i);
        memset(block, 5, sizes[i]);
        last = sizes[i];
    }
    EXPECT_EQ(heap_free(block), FAULT_NONE);
}

Test(heap, realloc_of_what_is_no_block_is_a_fault, .init = set_up) {
    enum fault fault;
    char *block = heap_malloc(100);
    EXPECT(heap_realloc(block + 16, 200, &fault) == NULL);
    EXPECT_EQ(fault, FAULT_INTERIOR);
    EXPECT_EQ(heap_free(block), FAULT_NONE);
    EXPECT(heap_realloc(block, 200, &fault) == NULL);
    EXPECT_EQ(fault, FAULT_DOUBLE_FREE);
    EXPECT(heap_realloc(&fault, 200, &fault) == NULL);
    EXPECT_EQ(fault, FAULT_FOREIGN);
}

Test(heap, realloc_without_memory_keeps_the_block, .init = set_up) {
    enum fault fault;
    char *block = heap_malloc(1000);
    char *large = heap_malloc(1000000);
    memset(block, 6, 1000);
    memset(large, 7, 1000000);
    os_inject(OS_MAP | OS_COMMIT | OS_REMAP, 0, UINT32_MAX / 4);
    EXPECT(heap_realloc(block, 50000, &fault) == NULL && fault == FAULT_NONE);
    EXPECT(heap_realloc(block, 500000, &fault) == NULL && fault == FAULT_NONE);
    EXPECT(heap_realloc(large, 5000000, &fault) == NULL && fault == FAULT_NONE);
    EXPECT(heap_realloc(large, 50000, &fault) == large && fault == FAULT_NONE);
    os_inject(0, 0, 0);
    EXPECT(reads_as(block, 6, 1000));
    EXPECT(reads_as(large, 7, 50000));
    EXPECT_EQ(heap_free(block), FAULT_NONE);
    EXPECT_EQ(heap_free(large), FAULT_NONE);
}

/* --- calloc ---- */

/* Takes slots of the size until a slab is full or 2 MiB are, checks, dirties and frees them. */
static void calloc_round(size_t bytes) {
    static char *blocks[SLAB_SLOTS_MAX];
    size_t count = 0;
    for (size_t calls = 0; calls < SLAB_SLOTS_MAX && count * bytes < 2 << 20; calls++) {
        char *block = slm_calloc(1, bytes);
        EXPECT_AT(block != NULL && reads_as(block, 0, bytes), bytes);
        memset(block, 0xee, slm_malloc_usable_size(block));
        blocks[count++] = block;
        if (calls % 3 == 2) /* reused while its neighbours live */
            slm_free(blocks[--count]);
    }
    while (count > 0)
        slm_free(blocks[--count]);
}

Test(heap, calloc_is_zero_when_fresh_dirtied_freed_and_purged, .init = set_up, .timeout = 120) {
    for (unsigned cls = 0; cls <= CLASS_COUNT; cls++) {
        size_t bytes = cls < CLASS_COUNT ? size_classes[cls].slot_bytes : 300000;
        calloc_round(bytes);
        calloc_round(bytes);
        heap_trim();
        calloc_round(bytes);
        os_inject(OS_PURGE, 0, UINT32_MAX / 4);
        heap_trim();
        os_inject(0, 0, 0);
        calloc_round(bytes - 7);
    }
}

/* One slab of 8 slots: fresh ones are not cleared again, others are. */
Test(heap, calloc_after_malloc_in_the_same_slab, .init = set_up) {
    char *dirty[3];
    for (unsigned i = 0; i < 3; i++) {
        dirty[i] = heap_malloc(SMALL_MAX_BYTES);
        memset(dirty[i], 1, SMALL_MAX_BYTES);
    }
    EXPECT_EQ(heap_free(dirty[1]), FAULT_NONE);
    for (unsigned i = 0; i < 4; i++) {
        char *block = heap_calloc(SMALL_MAX_BYTES);
        EXPECT_AT(reads_as(block, 0, SMALL_MAX_BYTES), i);
        EXPECT_AT(i > 0 || block == dirty[1], i);
        memset(block, 2, SMALL_MAX_BYTES);
    }
}

/* --- trim ---- */

static size_t resident_pages(const char *memory, size_t bytes) {
    static unsigned char vector[1 << 14];
    size_t count = 0;
    if (mincore((void *)memory, bytes, vector) != 0)
        return 0;
    for (size_t i = 0; i < bytes / os_page_bytes; i++)
        count += vector[i] & 1;
    return count;
}

Test(heap, a_trim_gives_the_memory_of_what_was_freed_back, .init = set_up) {
    enum { COUNT = 256, BYTES = 65536 };
    static char *blocks[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = heap_malloc(BYTES);
        memset(blocks[i], 1, BYTES);
    }
    char *large = heap_malloc(8 << 20);
    memset(large, 1, 8 << 20);
    for (unsigned i = 0; i < COUNT; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    EXPECT_EQ(heap_free(large), FAULT_NONE);
    size_t trimmed = heap_trim();
    EXPECT(SLM_TORTURE || trimmed >= (size_t)COUNT * BYTES / 2 + (8 << 20));
    EXPECT(resident_pages(large, 8 << 20) == 0 || SLM_TORTURE);
    size_t resident = 0;
    for (unsigned i = 0; i < COUNT; i++)
        resident += resident_pages(blocks[i], BYTES);
    EXPECT(resident * os_page_bytes <= (size_t)2 << SMALL_SLAB_SHIFT || SLM_TORTURE);
    EXPECT(heap_trim() == 0 || SLM_TORTURE);
}

Test(heap, a_trim_leaves_live_blocks_alone, .init = set_up) {
    static char *blocks[2000];
    for (unsigned i = 0; i < 2000; i++) {
        blocks[i] = heap_malloc(i * 37 % 3000);
        memset(blocks[i], (int)i, i * 37 % 3000);
    }
    for (unsigned i = 0; i < 2000; i += 2)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    heap_trim();
    for (unsigned i = 1; i < 2000; i += 2) {
        EXPECT_AT(reads_as(blocks[i], (int)i, i * 37 % 3000), i);
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    }
}
