/* Protects: each resident page is divided among what lies in it, to the byte: live and free slots,
 * slabs' edges, empty slabs, LARGE blocks, kept mappings, metadata; and the parts add up to what
 * mincore counts, whatever has been touched, freed and given back. */
#include "../expect.h"

#include <string.h>

#include "cache/cache.h"
#include "os/metadata.h"
#include "report/breakdown.h"
#include "slab/zone.h"

enum { COUNT = 4000 };

static char *blocks[COUNT];

static void set_up(void) {
    slm_free(slm_malloc(1));
    quiet_os();
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        zones[kind].next_purge_ms = UINT64_MAX;
    store_relaxed(&option_values[OPTION_keep_free], OPTION_UNLIMITED);
}

static size_t sum_of_parts(const struct slm_breakdown *b) {
    return b->live_slots.resident_bytes + b->large_live.resident_bytes +
           b->free_slots.resident_bytes + b->rests.resident_bytes +
           b->empty_slabs.resident_bytes + b->large_spare.resident_bytes +
           b->large_free.resident_bytes + b->metadata.resident_bytes;
}

static struct slm_breakdown get(void) {
    struct slm_breakdown b;
    EXPECT_EQ(breakdown_collect(&b), 0);
    EXPECT_EQ(sum_of_parts(&b), b.total.resident_bytes);
    EXPECT_EQ(b.total.bytes, b.live_slots.bytes + b.large_live.bytes + b.free_slots.bytes +
                                 b.rests.bytes + b.empty_slabs.bytes + b.large_spare.bytes +
                                 b.large_free.bytes + b.metadata.bytes);
    EXPECT(b.total.resident_bytes <= b.total.bytes);
    size_t live = 0;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        live += b.classes[cls].live.resident_bytes;
    EXPECT_EQ(b.live_slots.resident_bytes, live);
    return b;
}

Test(breakdown, every_class_touched_whole_is_what_lives_what_is_free_and_the_edges,
     .init = set_up) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        size_t bytes = size_classes[cls].slot_bytes;
        size_t slots = ((size_t)1 << slab_shift_of((enum zone_kind)size_classes[cls].zone)) / bytes;
        for (size_t i = 0; i < slots && i < COUNT; i++)
            memset(blocks[i] = slm_malloc(bytes), 1, bytes);
        for (size_t i = 0; i < slots && i < COUNT; i += 2)
            slm_free(blocks[i]);
        struct slm_breakdown b = get();
        const struct slm_class_breakdown *c = &b.classes[cls];
        EXPECT_EQ(c->slot_bytes, bytes);
        size_t live = (slots < COUNT ? slots : COUNT) / 2 * bytes;
        EXPECT_AT(c->live.bytes == live, cls);
        EXPECT_AT(c->live.resident_bytes == live, cls); /* a slot is touched, so its pages are */
        EXPECT_AT(c->free_slots.resident_bytes <= c->free_slots.bytes, cls);
        EXPECT_AT(c->free_slots.resident_bytes + bytes >= live, cls);
        EXPECT_AT(c->rests.resident_bytes <= c->rests.bytes, cls);
        size_t pages = c->live.resident_bytes + c->free_slots.resident_bytes +
                       c->rests.resident_bytes;
        EXPECT_AT(pages % os_page_bytes == 0, cls);
    }
}

/* One slot that ends in the middle of a page, others beside it free or never touched. */
Test(breakdown, a_page_counts_as_the_bytes_that_lie_in_it, .init = set_up) {
    enum { BYTES = 5120 };
    for (unsigned i = 0; i < 3; i++)
        blocks[i] = slm_malloc(BYTES);
    struct slab *slab = zone_find((uintptr_t)blocks[0]);
    size_t start = slab->base - zone_slab_memory(slab);
    EXPECT_EQ(start % os_page_bytes, 0);
    EXPECT(blocks[1] == blocks[0] + BYTES && blocks[2] == blocks[1] + BYTES);
    blocks[0][0] = 1;     /* the first page: all of it is block 0's */
    blocks[1][4000] = 1;  /* bytes 8192..12287 are in: 2048 of block 1, 2048 of block 2 */
    slm_free(blocks[2]);
    struct slm_breakdown b = get();
    const struct slm_class_breakdown *c = &b.classes[class_of(BYTES)];
    EXPECT_EQ(c->live.bytes, 2 * BYTES);
    EXPECT_EQ(c->live.resident_bytes, 4096 + 2048);
    EXPECT_EQ(c->free_slots.resident_bytes, 2048);
    EXPECT_EQ(c->rests.resident_bytes, 0);
}

Test(breakdown, empty_slabs_hold_memory_until_they_are_purged, .init = set_up) {
    size_t before = get().empty_slabs.resident_bytes;
    for (unsigned i = 0; i < COUNT; i++)
        memset(blocks[i] = slm_malloc(1024), 1, 1024);
    EXPECT(get().live_slots.resident_bytes >= COUNT * 1024);
    for (unsigned i = 0; i < COUNT; i++)
        slm_free(blocks[i]);
    struct slm_breakdown b = get();
    EXPECT_EQ(b.classes[class_of(1024)].live.bytes, 0);
    EXPECT(b.empty_slabs.resident_bytes >= before + (COUNT - 200) * 1024);
    slm_malloc_trim(0);
    b = get();
    EXPECT_EQ(b.empty_slabs.resident_bytes, SLM_TORTURE ? b.empty_slabs.resident_bytes : 0);
    EXPECT(b.empty_slabs.bytes >= (COUNT - 200) * 1024);
}

Test(breakdown, large_blocks_their_spare_room_and_what_is_kept, .init = set_up) {
    enum { BYTES = 1 << 20 };
    char *block = slm_malloc(BYTES);
    memset(block, 1, BYTES / 2);
    struct slm_breakdown b = get();
    EXPECT_EQ(b.large_live.bytes, BYTES);
    EXPECT_EQ(b.large_live.resident_bytes, BYTES / 2);
    EXPECT_EQ(b.large_spare.bytes + b.large_free.bytes, 0);
    block = slm_realloc(block, 4 * BYTES);
    memset(block, 1, 4 * BYTES);
    b = get();
    EXPECT_EQ(b.large_live.bytes, 4 * BYTES);
    EXPECT_EQ(b.large_live.resident_bytes, 4 * BYTES);
    EXPECT_EQ(b.large_spare.bytes, SLM_TORTURE ? b.large_spare.bytes : BYTES / 2);
    EXPECT_EQ(b.large_spare.resident_bytes, 0);
    slm_free(block);
    b = get();
    EXPECT_EQ(b.large_live.bytes, 0);
    if (!SLM_TORTURE)
        EXPECT_EQ(b.large_free.resident_bytes, 4 * BYTES);
    slm_malloc_trim(0);
    if (!SLM_TORTURE)
        EXPECT_EQ(get().large_free.bytes, 0);
}

Test(breakdown, metadata_is_headers_bitmaps_caches_and_tables, .init = set_up) {
    struct slm_breakdown before = get();
    EXPECT(before.metadata.bytes >= metadata_bytes());
    EXPECT(before.metadata.resident_bytes >= sizeof(struct cache));
    void *memory = metadata_alloc(1 << 20);
    memset(memory, 1, 1 << 20);
    struct slm_breakdown after = get();
    EXPECT(after.metadata.resident_bytes >= before.metadata.resident_bytes + (1 << 20));
    EXPECT(after.metadata.bytes >= before.metadata.bytes + (1 << 20));
}
