/* Protects: extents against a naive model of intervals: taken with an alignment, split, merged with
 * both neighbours, grown into the one behind, aged; no byte is ever in two extents or lost. */
#include "../expect.h"

#include <string.h>

#include "base/bits.h"
#include "large/extent.h"
#include "large/pagemap.h"

/* Address space that no call touches. Each page of it is live (with the block's number), free, or
 * not ours (a hole between mappings). */
enum { PAGES = 4096, HOLE = -2, FREE = -1, BLOCKS = 300 };
#define PAGE ((size_t)4096)

static const uintptr_t space = (uintptr_t)0x1234 << 32;
static int pages[PAGES];
static struct extent *blocks[BLOCKS];

static size_t page_of(const struct extent *extent) { return (extent->address - space) / PAGE; }

static void mark(const struct extent *extent, int from, int to) {
    for (size_t i = 0; i < extent->bytes / PAGE; i++) {
        EXPECT_AT(pages[page_of(extent) + i] == from, page_of(extent) + i);
        pages[page_of(extent) + i] = to;
    }
}

/* A mapping of its own: its first and last page are in the page map, as of any extent. */
static void add_free(size_t first, size_t count, uint64_t now) {
    EXPECT(extent_reserve_descriptors(4));
    EXPECT(pagemap_prepare(space + first * PAGE, space + (first + count) * PAGE - 1));
    struct extent *extent = extent_new(space + first * PAGE, count * PAGE, true, EXTENT_BUSY);
    mark(extent, HOLE, FREE);
    extent_put(extent, now);
}

static void set_up(void) {
    quiet_os();
    for (unsigned i = 0; i < PAGES; i++)
        pages[i] = HOLE;
}

/* Every run of free pages is one extent, and the cache knows how much there is. */
static void expect_free_runs(void) {
    size_t bytes = 0, count = 0;
    for (size_t i = 0; i < PAGES; i++) {
        struct extent *extent = extent_find(space + i * PAGE + 17);
        if (pages[i] == HOLE) {
            EXPECT_AT(extent == NULL, i);
        } else if (pages[i] >= 0) {
            EXPECT_AT(extent == blocks[pages[i]] && extent->state == EXTENT_LIVE, i);
        } else {
            EXPECT_AT(extent != NULL && extent->state == EXTENT_FREE, i);
            if (page_of(extent) == i) {
                EXPECT_AT(i == 0 || pages[i - 1] != FREE, i);
                bytes += extent->bytes;
                count++;
            }
            size_t end = page_of(extent) + extent->bytes / PAGE;
            EXPECT_AT(end == PAGES || pages[end] != FREE, i);
        }
    }
    EXPECT_EQ(extent_free_bytes(), bytes);
    EXPECT_EQ(extent_free_count(), count);
}

static bool naive_fits(size_t count, size_t alignment) {
    for (size_t i = 0; i + count <= PAGES; i++) {
        size_t k = 0;
        if ((space + i * PAGE) % alignment != 0)
            continue;
        while (k < count && pages[i + k] == FREE)
            k++;
        if (k == count)
            return true;
    }
    return false;
}

static void take(unsigned number, size_t count, size_t alignment) {
    EXPECT(extent_reserve_descriptors(4));
    struct extent *extent = extent_take(count * PAGE, alignment);
    if (extent == NULL)
        return;
    EXPECT(naive_fits(count, alignment));
    EXPECT_EQ(extent->bytes, count * PAGE);
    EXPECT_EQ(extent->address % alignment, 0);
    EXPECT_EQ(extent->state, EXTENT_BUSY);
    extent->state = EXTENT_LIVE;
    mark(extent, FREE, (int)number);
    blocks[number] = extent;
}

static void put(unsigned number, uint64_t now) {
    mark(blocks[number], (int)number, FREE);
    extent_put(blocks[number], now);
    blocks[number] = NULL;
}

static void grow(unsigned number, size_t count) {
    struct extent *extent = blocks[number];
    size_t behind = page_of(extent) + extent->bytes / PAGE;
    size_t room = 0;
    while (behind + room < PAGES && pages[behind + room] == FREE)
        room++;
    EXPECT(extent_reserve_descriptors(4));
    EXPECT_EQ(extent_grow_in_place(extent, count * PAGE), room >= count);
    if (room < count)
        return;
    EXPECT_EQ(page_of(extent) + extent->bytes / PAGE, behind + count);
    for (size_t i = 0; i < count; i++)
        pages[behind + i] = (int)number;
}

static void split(unsigned number, uint64_t now) {
    struct extent *extent = blocks[number];
    size_t keep = extent->bytes / PAGE / 2;
    if (keep == 0)
        return;
    EXPECT(extent_reserve_descriptors(4));
    struct extent *rest = extent_split(extent, keep * PAGE);
    EXPECT(rest != NULL);
    EXPECT_EQ(rest->address, extent->address + extent->bytes);
    mark(rest, (int)number, FREE);
    extent_put(rest, now);
}

Test(extent, agrees_with_a_naive_model_of_intervals, .init = set_up, .timeout = 120) {
    uint64_t seed = 21;
    for (size_t first = 0; first < PAGES; first += 1024)
        add_free(first, first == 2048 ? 1000 : 1024, 0); /* a hole of 24 pages */
    expect_free_runs();
    for (int step = 0; step < 20000; step++) {
        unsigned number = (unsigned)random_below(&seed, BLOCKS);
        size_t count = 1 + random_below(&seed, (size_t)1 << random_below(&seed, 9));
        if (blocks[number] == NULL)
            take(number, count, PAGE << (random_below(&seed, 4) ? 0 : random_below(&seed, 10)));
        else if (random_below(&seed, 8) == 0)
            grow(number, count);
        else if (random_below(&seed, 8) == 0)
            split(number, (uint64_t)step);
        else
            put(number, (uint64_t)step);
        if (step % 16 == 0)
            expect_free_runs();
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        if (blocks[i] != NULL)
            put(i, 20000);
    expect_free_runs();
    EXPECT_EQ(extent_free_count(), 2);
}

Test(extent, one_large_free_extent_serves_any_size_and_alignment, .init = set_up) {
    uint64_t seed = 22;
    add_free(0, PAGES, 0);
    for (unsigned log = 0; log < 11; log++) {
        for (int i = 0; i < 50; i++) {
            size_t count = 1 + random_below(&seed, 1024);
            take(0, count, PAGE << log);
            EXPECT_AT(blocks[0] != NULL, log);
            put(0, 0);
            EXPECT_EQ(extent_free_count(), 1);
        }
    }
    EXPECT_EQ(extent_free_bytes(), PAGES * PAGE);
}

Test(extent, what_is_too_large_or_can_not_be_aligned_is_not_taken, .init = set_up) {
    EXPECT(extent_take(PAGE, PAGE) == NULL);
    add_free(1, 7, 0);
    expect_free_runs();
    take(0, 8, PAGE);
    EXPECT(blocks[0] == NULL);
    take(0, 1, PAGE << 20);
    EXPECT(blocks[0] == NULL);
    take(0, 4, 4 * PAGE);
    EXPECT(blocks[0] != NULL);
    expect_free_runs();
}

Test(extent, the_oldest_expires_first_and_only_when_due, .init = set_up) {
    for (unsigned i = 0; i < 4; i++)
        add_free(i * 16, 4, 100 + i);
    EXPECT(extent_take_expired(100, SIZE_MAX) == NULL);
    struct extent *extent = extent_take_expired(102, SIZE_MAX);
    EXPECT(extent != NULL && page_of(extent) == 0 && extent->state == EXTENT_BUSY);
    EXPECT_EQ(extent_free_count(), 3);
    extent_forget(extent);
    EXPECT(extent_find(space) == NULL);
    /* Too many bytes: also those that are not due. */
    extent = extent_take_expired(0, 8 * PAGE);
    EXPECT(extent != NULL && page_of(extent) == 16);
    extent_forget(extent);
    EXPECT(extent_take_expired(0, 8 * PAGE) == NULL);
    EXPECT_EQ(extent_free_bytes(), 8 * PAGE);
}

Test(extent, zero_is_kept_by_a_split_and_lost_by_a_merge_with_what_is_not, .init = set_up) {
    add_free(0, 8, 0);
    take(0, 4, PAGE);
    take(1, 4, PAGE);
    EXPECT(blocks[0]->is_zero && blocks[1]->is_zero);
    blocks[1]->is_zero = false;
    put(0, 0);
    take(0, 4, PAGE);
    EXPECT(blocks[0]->is_zero);
    put(0, 0);
    put(1, 0);
    take(0, 2, PAGE);
    EXPECT(!blocks[0]->is_zero);
}

Test(extent, a_hidden_extent_is_found_again_where_it_is_shown, .init = set_up) {
    add_free(0, 8, 0);
    take(0, 8, PAGE);
    extent_hide(blocks[0]);
    EXPECT(extent_find(space) == NULL);
    EXPECT_EQ(blocks[0]->state, EXTENT_BUSY);
    uintptr_t to = space + 100 * PAGE;
    EXPECT(pagemap_prepare(to, to + 16 * PAGE - 1));
    extent_show(blocks[0], to, 16 * PAGE);
    EXPECT(extent_find(to) == blocks[0] && extent_find(to + 16 * PAGE - 1) == blocks[0]);
    EXPECT(extent_find(to + 7 * PAGE) == blocks[0] && extent_find(to + 16 * PAGE) == NULL);
    EXPECT(extent_find(space) == NULL);
    EXPECT_EQ(blocks[0]->state, EXTENT_LIVE);
}

Test(extent, without_memory_no_descriptor, .init = set_up) {
    os_inject(OS_MAP, 0, UINT32_MAX / 4);
    EXPECT(!extent_reserve_descriptors(4));
    os_inject(0, 0, 0);
    EXPECT(extent_reserve_descriptors(4));
}
