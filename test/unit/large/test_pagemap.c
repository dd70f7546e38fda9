/* Protects: the page map against a naive table, for every 64-bit value, and its memory: nodes set
 * aside make a later entry possible when there is no memory. */
#include "../expect.h"

#include <string.h>

#include "large/extent.h"
#include "large/pagemap.h"

enum { ENTRIES = 600 };

static struct {
    uintptr_t page;
    struct extent *extent;
} naive[ENTRIES];
static struct extent extents[ENTRIES];

static struct extent *naive_get(uintptr_t address) {
    for (unsigned i = 0; i < ENTRIES; i++)
        if (naive[i].extent != NULL && naive[i].page == address >> 12)
            return naive[i].extent;
    return NULL;
}

static struct extent *naive_below(uintptr_t address) {
    struct extent *best = NULL;
    uintptr_t best_page = 0;
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (naive[i].extent == NULL || naive[i].page > address >> 12)
            continue;
        if (best == NULL || naive[i].page > best_page) {
            best = naive[i].extent;
            best_page = naive[i].page;
        }
    }
    return best;
}

/* Near another entry, at a border of nodes, or anywhere. */
static uintptr_t random_address(uint64_t *seed) {
    uintptr_t address = random_next(seed) >> (17 + random_below(seed, 40));
    if (random_below(seed, 3) == 0)
        address = (naive[random_below(seed, ENTRIES)].page + random_below(seed, 5)) << 12;
    if (random_below(seed, 3) == 0)
        address &= UINTPTR_MAX << (12 + 11 * random_below(seed, 3));
    return address & (((uintptr_t)1 << 47) - 1);
}

Test(pagemap, agrees_with_a_naive_table, .init = quiet_os) {
    uint64_t seed = 11;
    for (int step = 0; step < 20000; step++) {
        unsigned i = (unsigned)random_below(&seed, ENTRIES);
        if (naive[i].extent == NULL) {
            uintptr_t address = random_address(&seed);
            if (naive_get(address) != NULL)
                continue;
            EXPECT(pagemap_prepare(address, address));
            naive[i].page = address >> 12;
            naive[i].extent = &extents[i];
            pagemap_set(address, &extents[i]);
        } else {
            pagemap_set(naive[i].page << 12, NULL);
            naive[i].extent = NULL;
        }
        uintptr_t probe = random_address(&seed) | random_below(&seed, 4096);
        EXPECT_AT(pagemap_get(probe) == naive_get(probe), probe);
        if (step % 16 == 0)
            EXPECT_AT(pagemap_below(probe) == naive_below(probe), probe);
    }
}

Test(pagemap, any_value_may_be_looked_up, .init = quiet_os) {
    uint64_t seed = 12;
    for (int i = 0; i < 100000; i++)
        EXPECT(pagemap_get(random_next(&seed) >> random_below(&seed, 64)) == NULL);
    EXPECT(pagemap_get(UINTPTR_MAX) == NULL && pagemap_get(0) == NULL);
    EXPECT(pagemap_below(UINTPTR_MAX) == NULL && pagemap_below(0) == NULL);
    EXPECT(pagemap_below(((uintptr_t)1 << 47) - 1) == NULL);
    EXPECT(!pagemap_prepare((uintptr_t)1 << 47, 4096));
    EXPECT(!pagemap_prepare(4096, UINTPTR_MAX));
}

Test(pagemap, the_lowest_and_the_highest_page_of_user_space, .init = quiet_os) {
    uintptr_t top = ((uintptr_t)1 << 47) - 1;
    EXPECT(pagemap_prepare(0, top));
    pagemap_set(0, &extents[0]);
    pagemap_set(top, &extents[1]);
    EXPECT(pagemap_get(4095) == &extents[0] && pagemap_get(4096) == NULL);
    EXPECT(pagemap_get(top) == &extents[1] && pagemap_get(top - 4096) == NULL);
    EXPECT(pagemap_below(top - 4096) == &extents[0]);
    EXPECT(pagemap_below(top) == &extents[1]);
}

Test(pagemap, without_memory_nothing_can_be_prepared_but_with_nodes_set_aside, .init = quiet_os) {
    struct pagemap_nodes nodes;
    uintptr_t one = (uintptr_t)3 << 40;
    uintptr_t other = (uintptr_t)5 << 42;
    os_inject(OS_MAP, 0, UINT32_MAX / 4);
    EXPECT(!pagemap_prepare(one, other));
    EXPECT(!pagemap_reserve_nodes(&nodes, 2));
    os_inject(0, 0, 0);
    EXPECT(pagemap_reserve_nodes(&nodes, 2));
    /* Whatever is left of a chunk is used up. */
    os_inject(OS_MAP, 0, UINT32_MAX / 4);
    for (uintptr_t i = 100; i < 4000; i++)
        if (!pagemap_prepare(i << 35, i << 35))
            break;
    EXPECT(!pagemap_prepare(one, other));
    pagemap_return_nodes(&nodes);
    EXPECT(pagemap_prepare(one, other));
    pagemap_set(one, &extents[0]);
    pagemap_set(other, &extents[1]);
    EXPECT(pagemap_get(one) == &extents[0] && pagemap_get(other) == &extents[1]);
    EXPECT(pagemap_get(one + 4096) == NULL);
    EXPECT(pagemap_below(other - 1) == &extents[0]);
}
