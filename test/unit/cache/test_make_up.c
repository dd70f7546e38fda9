/* Protects: a heap that comes to hold more than it ever did makes up for it with what is free
 * elsewhere, whatever grows: LARGE with what slabs have, slabs with what LARGE keeps; a heap as
 * large as before by nothing, nor one that is to keep all.
 *
 * What it grows by counts as held before: so of all that is needed elsewhere, one block after
 * another, half is made up for at least; of one block, all. */
#include "../expect.h"

#include "core/options.h"
#include "large/large.h"

#define MIB ((size_t)1 << 20)
enum { BYTES = 1024, BLOCKS = 32 * 1024, KEPT = 40 };

#include "thinned.h"

/* Nothing goes for its age, nor because there is much of it. */
static void set_up(void) {
    quiet_os();
    stay_here();
    heap_set_up();
    zones[ZONE_TINY].next_purge_ms = zones[ZONE_SMALL].next_purge_ms = UINT64_MAX;
    cache_self->next_look_ms = UINT64_MAX;
    store_relaxed(&option_values[OPTION_keep_free], 1024 * MIB);
    store_relaxed(&option_values[OPTION_large_cache], 1024 * MIB);
    store_relaxed(&option_values[OPTION_purge_delay], 3600000);
}

static char *take_large(size_t bytes) {
    char *block = heap_malloc(bytes);
    EXPECT(block != NULL);
    return memset(block, 1, bytes);
}

static size_t cached(void) {
    struct large_stats now;
    large_stats(&now);
    return now.cached_bytes;
}

/* The torture build refuses a fifth of the purges. */
static const size_t slack = (SLM_TORTURE ? BLOCKS * BYTES / 3 : 0) + 2 * MIB;

Test(make_up, large_blocks_by_empty_slabs, .init = set_up) {
    fill_all();
    free_all();
    size_t before = resident_bytes(ZONE_TINY);
    EXPECT(SLM_TORTURE || before >= (size_t)BLOCKS * BYTES);
    for (int i = 0; i < 20; i++)
        take_large(MIB);
    EXPECT(SLM_TORTURE || resident_bytes(ZONE_TINY) + 10 * MIB <= before + slack);
    EXPECT(resident_bytes(ZONE_TINY) <= before);
    expect_whole();
}

Test(make_up, a_large_block_that_grows_by_empty_slabs, .init = set_up) {
    enum fault fault;
    fill_all();
    char *block = take_large(MIB);
    free_all();
    size_t before = resident_bytes(ZONE_TINY);
    block = heap_realloc(block, 21 * MIB, &fault);
    EXPECT(block != NULL && block[MIB - 1] == 1);
    EXPECT(SLM_TORTURE || resident_bytes(ZONE_TINY) + 20 * MIB <= before + slack);
    expect_whole();
}

Test(make_up, large_blocks_by_free_pages_of_slabs_in_use, .init = set_up) {
    fill_all();
    thin_out();
    size_t before = resident_bytes(ZONE_TINY);
    take_large(20 * MIB);
    EXPECT(resident_bytes(ZONE_TINY) + 20 * MIB <= before + slack);
    expect_contents();
    free_rest();
    expect_whole();
}

Test(make_up, slabs_by_what_is_kept_of_large_blocks, .init = set_up) {
    EXPECT_EQ(heap_free(take_large(40 * MIB)), FAULT_NONE);
    EXPECT(SLM_TORTURE || cached() >= 40 * MIB);
    fill_all();
    EXPECT(cached() + (size_t)BLOCKS * BYTES / 2 <= 40 * MIB + slack);
    EXPECT(SLM_TORTURE || cached() > 0);
    for (size_t i = 0; i < BLOCKS; i += KEPT)
        EXPECT(blocks[i][0] == (char)(i % 127 + 1));
    expect_whole();
}

/* It is the sum that counts: LARGE has been as large as that before, and slabs as well. */
Test(make_up, the_heap_as_a_whole, .init = set_up) {
    char *block = take_large(24 * MIB);
    EXPECT_EQ(heap_free(block), FAULT_NONE);
    large_purge();
    fill_all();
    free_all();
    size_t before = resident_bytes(ZONE_TINY);
    block = take_large(24 * MIB);
    EXPECT(SLM_TORTURE || resident_bytes(ZONE_TINY) + 20 * MIB <= before + slack);
    expect_whole();
}

Test(make_up, a_heap_as_large_as_before_makes_no_system_calls, .init = set_up) {
    for (int round = 0; round < 6 && !SLM_TORTURE; round++) {
        if (round == 2)
            os_inject(OS_PURGE | OS_COMMIT | OS_MAP, 0, 1000000);
        char *block = take_large(24 * MIB);
        fill_all();
        EXPECT_EQ(heap_free(block), FAULT_NONE);
        free_all();
    }
    EXPECT_EQ(os_injected(), 0);
}

Test(make_up, not_if_all_is_to_be_kept, .init = set_up) {
    store_relaxed(&option_values[OPTION_keep_free], OPTION_UNLIMITED);
    EXPECT_EQ(heap_free(take_large(40 * MIB)), FAULT_NONE);
    fill_all();
    EXPECT(SLM_TORTURE || cached() >= 40 * MIB);
    free_all();
    size_t before = resident_bytes(ZONE_TINY);
    take_large(80 * MIB);
    EXPECT(resident_bytes(ZONE_TINY) == before);
}

/* A call for each slab would cost more than it is worth. */
Test(make_up, of_large_not_a_little_at_a_time, .init = set_up) {
    EXPECT_EQ(heap_free(take_large(8 * MIB)), FAULT_NONE);
    size_t before = cached();
    size_t owed = 0;
    for (; owed + 65536 < MAKE_UP_LEAST_BYTES && !SLM_TORTURE; owed += 65536)
        EXPECT_AT(large_purge_some(65536) == 0, owed);
    EXPECT(SLM_TORTURE || large_purge_some(65536) == MAKE_UP_LEAST_BYTES);
    EXPECT(SLM_TORTURE || cached() == before - MAKE_UP_LEAST_BYTES);
    large_purge_some(1024 * MIB);
    EXPECT_EQ(cached(), 0);
    EXPECT_EQ(large_purge_some(1024 * MIB), 0); /* what can't be given back is not owed later */
    EXPECT_EQ(heap_free(take_large(8 * MIB)), FAULT_NONE);
    EXPECT(SLM_TORTURE || cached() >= 8 * MIB);
}

/* A second free of one whose memory went is no less exact for it. */
Test(make_up, what_went_of_large_is_still_known, .init = set_up) {
    char *block = take_large(8 * MIB);
    EXPECT_EQ(heap_free(block), FAULT_NONE);
    large_purge_some(1024 * MIB);
    EXPECT_EQ(cached(), 0);
    EXPECT(SLM_TORTURE || heap_free(block) == FAULT_DOUBLE_FREE);
    expect_whole();
}

/* A heap that grows by what the loop body keeps, round after round, while it needs the same again
 * that it has just freed: that goes a few times, not as often as the heap grows. */
enum { ROUNDS = 64, MISSED_MOST = 4 };

static size_t purge_calls(void) {
    return zones[ZONE_TINY].purges + zones[ZONE_SMALL].purges;
}

Test(make_up, a_large_block_that_is_missed_stays, .init = set_up) {
    size_t went = 0;
    take_large(20 * MIB);
    for (int round = 0; round < ROUNDS; round++) {
        EXPECT_EQ(heap_free(take_large(8 * MIB)), FAULT_NONE);
        size_t before = cached();
        for (size_t i = 0; i < BLOCKS / ROUNDS * 2; i++)
            EXPECT(heap_malloc(BYTES) != NULL);
        went += before - cached();
    }
    EXPECT(went > 0);
    EXPECT(SLM_TORTURE || went <= MISSED_MOST * 8 * MIB);
    EXPECT(SLM_TORTURE || cached() >= 6 * MIB);
}

Test(make_up, slabs_that_are_missed_stay, .init = set_up) {
    take_large(20 * MIB);
    size_t start = purge_calls();
    size_t went = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < BLOCKS / 4; i++)
            fill_block(i, heap_malloc(BYTES));
        for (size_t i = 0; i < BLOCKS / 4; i++)
            EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
        size_t before = resident_bytes(ZONE_TINY);
        take_large(MIB);
        went += before - resident_bytes(ZONE_TINY);
    }
    EXPECT(SLM_TORTURE || purge_calls() > start);
    EXPECT(SLM_TORTURE || went <= MISSED_MOST * (size_t)BLOCKS / 4 * BYTES);
}

/* The next malloc is likely to need it. */
Test(make_up, an_empty_slab_that_a_thread_keeps_stays, .init = set_up) {
    unsigned cls = class_of(BYTES);
    size_t count = 2 * class_slots(cls, 0) + 1;
    take_large(20 * MIB);
    for (size_t i = 0; i < count; i++)
        fill_block(i, heap_malloc(BYTES));
    for (size_t i = 0; i < count; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    EXPECT(SLM_TORTURE || cache_self->bins[cls].lists[LIST_SPARSE] != NULL);
    size_t before = resident_bytes(ZONE_TINY);
    for (int i = 0; i < 20; i++)
        take_large(MIB);
    EXPECT(SLM_TORTURE || resident_bytes(ZONE_TINY) == before);
}
