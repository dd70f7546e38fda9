/* Protects: LARGE blocks: contents and zeroes, alignment up to 1 GiB, resizing, reuse without
 * system calls, memory given back, counts, and that system calls which fail leave everything
 * usable. */
#include "../expect.h"

#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "core/options.h"
#include "large/extent.h"
#include "large/large.h"

#define MIB ((size_t)1 << 20)

static struct large_stats stats(void) {
    struct large_stats now;
    large_stats(&now);
    return now;
}

static bool reads_as(const void *memory, int byte, size_t bytes) {
    const char *at = memory;
    return at[0] == (char)byte && memcmp(at, at + 1, bytes - 1) == 0;
}

static char *take(size_t bytes, size_t alignment) {
    bool is_zero = false;
    char *block = large_alloc(bytes, alignment, &is_zero);
    EXPECT_AT(block != NULL, bytes);
    EXPECT_AT((uintptr_t)block % alignment == 0 && (uintptr_t)block % os_page_bytes == 0, bytes);
    EXPECT_AT(large_usable(block) >= bytes, bytes);
    EXPECT_AT(!is_zero || bytes == 0 || reads_as(block, 0, large_usable(block)), bytes);
    return block;
}

static void drop(void *block) { EXPECT_EQ(large_free(block), FAULT_NONE); }

/* In torture some mappings are not taken back at the first attempt. */
static void purge_all(void) {
    for (int attempts = SLM_TORTURE ? 10 : 1; attempts > 0; attempts--)
        large_purge();
}

Test(large, a_block_has_whole_pages, .init = quiet_os) {
    for (size_t bytes = 0; bytes <= 2 * MIB; bytes = bytes * 2 + 1) {
        char *block = take(bytes, 16);
        size_t least = bytes != 0 ? bytes : 1;
        EXPECT_EQ(large_usable(block), round_up(least, os_page_bytes));
        memset(block, 1, large_usable(block));
    }
}

/* aligned_alloc(2 MiB, 0) ends here. */
Test(large, blocks_of_no_bytes_are_unique_at_every_alignment, .init = quiet_os) {
    for (size_t alignment = 4096; alignment <= 64 * MIB; alignment *= 4) {
        char *one = large_alloc(0, alignment, NULL);
        char *other = large_alloc(0, alignment, NULL);
        EXPECT_AT(one != NULL && other != NULL && one != other, alignment);
        EXPECT_AT(large_usable(one) > 0 && large_usable(other) > 0, alignment);
        drop(one);
        drop(other);
    }
}

Test(large, alignments_up_to_1_gib, .init = quiet_os) {
    for (size_t alignment = 16; alignment <= (size_t)1 << 30; alignment *= 2) {
        char *one = take(300000, alignment);
        char *other = take(1, alignment);
        memset(one, 1, 300000);
        *other = 2;
        EXPECT(reads_as(one, 1, 300000));
        drop(one);
        drop(other);
    }
    purge_all();
    EXPECT_EQ(stats().cached_bytes, 0);
}

Test(large, too_much_is_null_and_changes_nothing, .init = quiet_os) {
    char *block = take(MIB, 16);
    struct large_stats before = stats();
    EXPECT(large_alloc(PTRDIFF_MAX, 16, NULL) == NULL);
    EXPECT(large_alloc(PTRDIFF_MAX, (size_t)1 << 62, NULL) == NULL);
    EXPECT(large_alloc((size_t)1 << 46, (size_t)1 << 46, NULL) == NULL);
    EXPECT(large_resize(block, PTRDIFF_MAX) == NULL);
    struct large_stats after = stats();
    EXPECT_EQ(after.live_bytes, before.live_bytes);
    EXPECT_EQ(after.live_count, 1);
    EXPECT_EQ(after.allocations, 1);
    EXPECT_EQ(large_usable(block), MIB);
}

Test(large, a_freed_block_is_reused_without_a_system_call_and_not_as_zero, .init = quiet_os) {
    bool is_zero = false;
    char *block = large_alloc(7 * MIB, 16, &is_zero);
    EXPECT(is_zero);
    memset(block, 1, 7 * MIB);
    EXPECT_EQ(stats().mappings, 1);
    if (SLM_TORTURE) /* keeps nothing for long */
        return;
    for (int i = 0; i < 100; i++) {
        drop(block);
        size_t bytes = 7 * MIB - (size_t)i * 8192;
        char *again = large_alloc(bytes, 16, &is_zero);
        EXPECT_AT(again == block && !is_zero, i);
        EXPECT_EQ(large_usable(again), bytes);
    }
    EXPECT_EQ(stats().mappings, 1);
    EXPECT_EQ(stats().unmappings, 0);
}

Test(large, one_freed_block_serves_several_smaller_ones_and_is_whole_again, .init = quiet_os) {
    char *pieces[8];
    char *block = take(20 * MIB, 16);
    memset(block, 1, 20 * MIB);
    drop(block);
    if (SLM_TORTURE)
        return;
    for (unsigned i = 0; i < 8; i++) {
        pieces[i] = take(2 * MIB, 16);
        EXPECT_AT(pieces[i] >= block && pieces[i] < block + 20 * MIB, i);
        memset(pieces[i], (int)i, 2 * MIB);
    }
    for (unsigned i = 0; i < 8; i++) {
        EXPECT_AT(reads_as(pieces[i], (int)i, 2 * MIB), i);
        drop(pieces[i]);
    }
    EXPECT_EQ(stats().cached_count, 1);
    EXPECT(take(20 * MIB, 16) == block);
    EXPECT_EQ(stats().mappings, 1);
}

Test(large, a_cached_mapping_is_lengthened_rather_than_another_made, .init = quiet_os) {
    char *block = take(8 * MIB, 16);
    memset(block, 6, 8 * MIB);
    drop(block);
    uint64_t mappings = stats().mappings;
    bool is_zero = true;
    block = large_alloc(12 * MIB, 16, &is_zero);
    EXPECT(block != NULL && large_usable(block) == 12 * MIB);
    if (!SLM_TORTURE) { /* which drops cached mappings at once */
        EXPECT_EQ(stats().mappings, mappings);
        EXPECT(!is_zero && block[0] == 6 && block[8 * MIB - 1] == 6 && block[8 * MIB] == 0);
    }
    EXPECT_EQ(stats().live_bytes, 12 * MIB);
    EXPECT_EQ(stats().cached_bytes, 0);
    memset(block, 7, 12 * MIB);
    drop(block);
    /* Less than half of what is needed is left alone, and so is all if the alignment is special. */
    char *longer = take(25 * MIB, 16);
    char *aligned = take(13 * MIB, 2 * MIB);
    if (!SLM_TORTURE)
        EXPECT_EQ(stats().mappings, mappings + 2);
    drop(longer);
    drop(aligned);
}

/* What the system has moved never joins its neighbours: there would be as many as blocks. */
Test(large, only_so_many_mappings_are_moved_to_serve_malloc, .init = quiet_os) {
    enum { BLOCKS = 4 * LARGE_MOVED_MAX };
    void *blocks[BLOCKS];
    unsigned resized = 0;
    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = take(MIB, 16);
    for (; resized < BLOCKS && extent_moved_count() < LARGE_MOVED_MAX; resized++) {
        blocks[resized] = large_resize(blocks[resized], 3 * MIB);
        EXPECT_AT(blocks[resized] != NULL, resized);
    }
    EXPECT_EQ(extent_moved_count(), LARGE_MOVED_MAX);
    struct violation violation;
    EXPECT(large_verify(&violation));

    drop(take(80 * MIB, 16));
    void *longer = take(120 * MIB, 16);
    EXPECT_EQ(extent_moved_count(), LARGE_MOVED_MAX);
    if (!SLM_TORTURE) /* which drops cached mappings at once */
        EXPECT(stats().cached_bytes >= 80 * MIB);
    drop(longer);
    large_purge();
    for (unsigned i = 0; i < BLOCKS; i++)
        drop(blocks[i]);
    /* Torture refuses each fifth call: what the system did not take back stays, and stays moved. */
    for (unsigned i = 0; i < (SLM_TORTURE ? 16 : 1); i++)
        large_purge();
    EXPECT_EQ(extent_moved_count(), 0);
}

Test(large, a_cached_mapping_that_can_not_be_lengthened_stays_cached, .init = quiet_os) {
    drop(take(8 * MIB, 16));
    uint64_t mappings = stats().mappings;
    size_t cached = stats().cached_bytes;
    os_inject(OS_REMAP, 0, 1);
    char *block = take(12 * MIB, 16);
    if (!SLM_TORTURE) {
        EXPECT_EQ(os_injected(), 1);
        EXPECT_EQ(stats().mappings, mappings + 1);
        EXPECT_EQ(stats().cached_bytes, cached);
    }
    os_inject(0, 0, 0);
    EXPECT_EQ(stats().live_bytes, 12 * MIB);
    drop(block);
}

Test(large, what_is_freed_wrongly_is_told_and_nothing_is_done, .init = quiet_os) {
    uintptr_t start = 0;
    size_t bytes = 0;
    char *block = take(MIB, 16);
    EXPECT_EQ(large_free(block + os_page_bytes), FAULT_INTERIOR);
    EXPECT_EQ(large_free(block + 1), FAULT_INTERIOR);
    EXPECT_EQ(large_free(block + MIB - 1), FAULT_INTERIOR);
    EXPECT_EQ(large_examine((uintptr_t)block + 5000, &start, &bytes), FAULT_INTERIOR);
    EXPECT_EQ(start, (uintptr_t)block);
    EXPECT_EQ(bytes, MIB);
    EXPECT_EQ(large_examine((uintptr_t)block, &start, &bytes), FAULT_NONE);
    EXPECT_EQ(large_free((char *)16), FAULT_FOREIGN);
    EXPECT_EQ(large_free((void *)UINTPTR_MAX), FAULT_FOREIGN);
    EXPECT_EQ(large_usable(block), MIB);
    EXPECT_EQ(large_usable(block + os_page_bytes), 0);
    EXPECT(large_resize(block + os_page_bytes, 2 * MIB) == NULL);
    drop(block);
    EXPECT_EQ(large_usable(block), 0);
    EXPECT_EQ(large_free(block),
              SLM_TORTURE && stats().cached_count == 0 ? FAULT_FOREIGN : FAULT_DOUBLE_FREE);
    purge_all();
    EXPECT_EQ(large_free(block), FAULT_FOREIGN);
    EXPECT_EQ(stats().frees, 1);
}

/* --- resizing ---- */

Test(large, resizing_keeps_the_contents_up_and_down, .init = quiet_os) {
    uint64_t seed = 31;
    size_t bytes = MIB;
    char *block = take(bytes, 16);
    memset(block, 5, bytes);
    for (int i = 0; i < 300; i++) {
        size_t to = 200000 + random_below(&seed, i % 50 == 0 ? 64 * MIB : 3 * MIB);
        size_t kept = to < bytes ? to : bytes;
        char *resized = large_resize(block, to);
        if (SLM_TORTURE && resized == NULL) { /* refused: it is as it was */
            EXPECT_AT(large_usable(block) >= bytes && reads_as(block, 5, bytes), i);
            continue;
        }
        EXPECT_AT(resized != NULL, i);
        EXPECT_AT(large_usable(resized) == round_up(to, os_page_bytes), i);
        EXPECT_AT(resized == block || large_usable(block) == 0, i);
        EXPECT_AT(reads_as(resized, 5, kept), i);
        memset(resized, 5, large_usable(resized));
        block = resized;
        bytes = to;
        if (i % 7 == 0)
            drop(take(random_below(&seed, 4 * MIB), 16)); /* something free to grow into */
        EXPECT_EQ(stats().live_count, 1);
        EXPECT_AT(stats().live_bytes >= bytes, i);
    }
    EXPECT_EQ(stats().frees + 1, stats().allocations);
    drop(block);
    EXPECT_EQ(stats().live_bytes, 0);
}

Test(large, growing_again_and_again_seldom_asks_the_system, .init = quiet_os) {
    char *block = take(MIB, 16);
    size_t moves = 0;
    for (size_t bytes = MIB; bytes < 64 * MIB; bytes += 16384) {
        char *resized = large_resize(block, bytes);
        moves += resized != block;
        block = resized;
        block[bytes - 1] = 1;
    }
    EXPECT(moves <= 40);
}

Test(large, a_shrunk_block_gives_its_tail_back, .init = quiet_os) {
    store_relaxed(&option_values[OPTION_keep_free], OPTION_UNLIMITED);
    char *block = take(16 * MIB, 16);
    memset(block, 6, 16 * MIB);
    EXPECT(large_resize(block, MIB) == block);
    EXPECT_EQ(large_usable(block), MIB);
    EXPECT_EQ(stats().live_bytes, MIB);
    EXPECT_EQ(stats().cached_bytes, 15 * MIB);
    purge_all();
    unsigned char vector;
    EXPECT(mincore(block + MIB, os_page_bytes, &vector) != 0);
    EXPECT(reads_as(block, 6, MIB));
    drop(block);
}

/* --- failing system calls ---- */

Test(large, without_memory_there_is_null_and_later_a_block, .init = quiet_os) {
    os_inject(OS_MAP, 0, UINT32_MAX / 4);
    EXPECT(large_alloc(MIB, 16, NULL) == NULL);
    EXPECT(large_alloc(MIB, 4 * MIB, NULL) == NULL);
    EXPECT_EQ(large_lock()->word, 0);
    EXPECT_EQ(stats().allocations, 0);
    EXPECT_EQ(stats().live_count, 0);
    /* The mapping, then each of what it needs for its own tables, is refused in turn. */
    for (uint32_t skip = 0; skip < 6; skip++) {
        os_inject(OS_MAP, skip, 1);
        char *block = large_alloc(MIB << skip, 16, NULL);
        if (block != NULL) {
            memset(block, 1, MIB << skip);
            drop(block);
        }
        EXPECT_EQ(stats().live_count, 0);
        EXPECT_EQ(stats().live_bytes, 0);
    }
    os_inject(0, 0, 0);
    drop(take(MIB, 16));
}

Test(large, memory_that_the_system_does_not_take_back_is_used_again, .init = quiet_os) {
    char *block = take(8 * MIB, 16);
    memset(block, 1, 8 * MIB);
    drop(block);
    if (SLM_TORTURE && stats().cached_count == 0)
        return; /* it is gone already */
    os_inject(OS_UNMAP, 0, UINT32_MAX / 4);
    EXPECT_EQ(large_purge(), 8 * MIB); /* purged instead; its addresses stay ours */
    EXPECT(os_injected() >= 1);
    EXPECT_EQ(stats().cached_bytes, 0);
    bool is_zero = false;
    EXPECT(large_alloc(8 * MIB, 16, &is_zero) == block);
    EXPECT(is_zero && reads_as(block, 0, 8 * MIB));
    memset(block, 1, 8 * MIB);
    drop(block);
    os_inject(OS_UNMAP | OS_PURGE, 0, UINT32_MAX / 4);
    EXPECT_EQ(large_purge(), 0);
    EXPECT(large_alloc(8 * MIB, 16, &is_zero) == block);
    EXPECT(!is_zero && reads_as(block, 1, 8 * MIB));
    drop(block);
    os_inject(0, 0, 0);
    EXPECT_EQ(large_purge(), 8 * MIB);
    EXPECT_EQ(stats().cached_bytes, 0);
}

Test(large, a_block_that_the_system_does_not_move_stays_as_it_is, .init = quiet_os) {
    char *block = take(MIB, 16);
    memset(block, 9, MIB);
    os_inject(OS_REMAP, 0, UINT32_MAX / 4);
    EXPECT(large_resize(block, 100 * MIB) == NULL);
    EXPECT(os_injected() >= 1);
    EXPECT_EQ(large_usable(block), MIB);
    EXPECT_EQ(stats().live_bytes, MIB);
    EXPECT(reads_as(block, 9, MIB));
    os_inject(OS_REMAP, 0, 1); /* roomy fails, exact does not */
    char *grown = large_resize(block, 100 * MIB);
    EXPECT(grown != NULL && large_usable(grown) == 100 * MIB && reads_as(grown, 9, MIB));
    drop(grown);
}

/* --- counts ---- */

Test(large, counts_add_up, .init = quiet_os) {
    char *blocks[10];
    for (unsigned i = 0; i < 10; i++)
        blocks[i] = take((i + 1) * MIB, 16);
    struct large_stats now = stats();
    EXPECT_EQ(now.live_count, 10);
    EXPECT_EQ(now.live_bytes, 55 * MIB);
    EXPECT_EQ(now.peak_bytes, 55 * MIB);
    EXPECT_EQ(now.allocations, 10);
    EXPECT_EQ(now.frees, 0);
    EXPECT_EQ(now.mappings, 10);
    EXPECT_EQ(now.cached_bytes, 0);
    for (unsigned i = 0; i < 10; i += 2)
        drop(blocks[i]);
    now = stats();
    EXPECT_EQ(now.live_count, 5);
    EXPECT_EQ(now.live_bytes, 30 * MIB);
    EXPECT_EQ(now.frees, 5);
    EXPECT_EQ(now.peak_bytes, 55 * MIB);
    purge_all();
    now = stats();
    EXPECT_EQ(now.cached_bytes, 0);
    EXPECT_EQ(now.cached_count, 0);
    EXPECT(now.unmappings >= 1);
    EXPECT_EQ(now.live_bytes, 30 * MIB);
}

Test(large, the_cache_is_bounded, .init = quiet_os) {
    char *blocks[40];
    for (unsigned i = 0; i < 40; i++)
        blocks[i] = take(16 * MIB, 16);
    for (unsigned i = 0; i < 40; i++)
        drop(blocks[i]);
    EXPECT(stats().cached_bytes <= LARGE_CACHE_MIN_BYTES + 16 * MIB);
    EXPECT_EQ(stats().live_bytes, 0);
}

/* As a vector that grew beyond the bound: perf/bench grow-doubling faulted all of it in again. */
Test(large, of_one_that_is_too_long_the_beginning_is_kept, .init = quiet_os) {
    char *long_one = take(LARGE_CACHE_MIN_BYTES + 8 * MIB, 16);
    *long_one = 7;
    drop(long_one);
    EXPECT(stats().cached_bytes <= LARGE_CACHE_MIN_BYTES);
    if (SLM_TORTURE) /* all of it may be refused to be taken back, or to be kept */
        return;
    EXPECT_EQ(stats().cached_bytes, LARGE_CACHE_MIN_BYTES);
    size_t mappings = stats().mappings;
    char *again = take(LARGE_CACHE_MIN_BYTES, 16);
    EXPECT(again == long_one && *again == 7);
    EXPECT_EQ(stats().mappings, mappings);
    drop(again);
    char *longer = take(3 * LARGE_CACHE_MIN_BYTES, 16); /* of which more than half is too much */
    drop(longer);
    EXPECT(stats().cached_bytes <= LARGE_CACHE_MIN_BYTES);
}

/* --- options ---------------------------------------------------------------------------------- */

static void choose(const char *options) {
    TEXT(complaints, 128);
    options_parse(options, &complaints);
    EXPECT_EQ(complaints.used, 0);
}

static void take_and_drop(unsigned count, size_t bytes) {
    char *blocks[16];
    for (unsigned i = 0; i < count; i++)
        blocks[i] = take(bytes, 16);
    for (unsigned i = 0; i < count; i++)
        drop(blocks[i]);
}

Test(large, a_cache_of_no_bytes_keeps_nothing, .init = quiet_os) {
    choose("large_cache=0,purge_delay=never");
    char *live = take(100 * MIB, 16); /* as much as is live may be kept otherwise */
    take_and_drop(10, MIB);
    EXPECT(stats().cached_bytes == 0 || SLM_TORTURE); /* where some unmapping is refused */
    drop(live);
    EXPECT(stats().cached_bytes == 0 || SLM_TORTURE);
}

Test(large, the_cache_is_as_large_as_chosen, .init = quiet_os) {
    char *blocks[10], *between[10]; /* so that those do not merge */
    choose("large_cache=3M,purge_delay=never");
    for (unsigned i = 0; i < 10; i++) {
        blocks[i] = take(MIB, 16);
        between[i] = take(MIB / 4, 16);
    }
    for (unsigned i = 0; i < 10; i++)
        drop(blocks[i]);
    /* Where the system has put two side by side, they go together. */
    EXPECT(stats().cached_bytes <= 3 * MIB && stats().cached_bytes >= MIB);
    for (unsigned i = 0; i < 10; i++)
        drop(between[i]);
}

Test(large, nothing_is_kept_without_a_delay, .init = quiet_os) {
    choose("purge_delay=0,large_cache=1G");
    char *block = take(10 * MIB, 16);
    take_and_drop(10, MIB);
    EXPECT(stats().cached_bytes == 0 || SLM_TORTURE);
    EXPECT(large_resize(block, 2 * MIB) == block);
    EXPECT(stats().cached_bytes == 0 || SLM_TORTURE);
    drop(block);
    EXPECT(stats().cached_bytes == 0 || SLM_TORTURE);
}

static void wait_ms(uint64_t milliseconds) {
    uint32_t word = 0;
    for (uint64_t start = os_clock_ms(); os_clock_ms() <= start + milliseconds;)
        os_wait_for(&word, 0, 1);
}

Test(large, what_was_kept_for_the_delay_goes_with_the_next_call, .init = quiet_os) {
    choose("purge_delay=60000");
    take_and_drop(1, 8 * MIB);
    EXPECT_EQ(stats().cached_bytes, 8 * MIB);
    wait_ms(30);
    take_and_drop(1, MIB);
    EXPECT_EQ(stats().cached_bytes, 8 * MIB);
    choose("purge_delay=20");
    char *block = take(20 * MIB, 16);
    drop(block);
    wait_ms(30);
    block = take(30 * MIB, 16);
    EXPECT_EQ(stats().cached_bytes, 0);
    drop(block);
    choose("purge_delay=never");
    wait_ms(30);
    block = take(100 * MIB, 16);
    EXPECT_EQ(stats().cached_bytes, 30 * MIB);
}
