/* Protects: of freed LARGE mappings, as many bytes are kept as live, as the longest of late has, or
 * as the option keep_free says; never more than before there was that option; once they are missed,
 * they are kept. */
#include "../expect.h"

#include "core/account.h"
#include "core/keep.h"
#include "core/options.h"
#include "large/extent.h"
#include "large/large.h"

#define MIB ((size_t)1 << 20)
enum { BLOCKS = 64, KEPT = 8 };

static char *blocks[BLOCKS];

static size_t cached(void) {
    struct large_stats now;
    large_stats(&now);
    return now.cached_bytes / MIB;
}

static void set_up(void) {
    quiet_os();
    store_relaxed(&option_values[OPTION_keep_free], KEPT * MIB);
    store_relaxed(&option_values[OPTION_large_cache], 128 * MIB);
    store_relaxed(&option_values[OPTION_purge_delay], 60000);
    keep_note_excess(); /* or there is a credit */
}

static void take(size_t count) {
    for (size_t i = 0; i < count; i++) {
        blocks[i] = large_alloc(MIB, 16, NULL);
        EXPECT(blocks[i] != NULL);
        blocks[i][0] = 1;
    }
}

static void drop(size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        EXPECT_EQ(large_free(blocks[i]), FAULT_NONE);
}

Test(keep_free, as_much_as_lives_or_as_the_option_says, .init = set_up) {
    take(BLOCKS);
    drop(0, BLOCKS / 2);
    EXPECT(SLM_TORTURE || cached() == BLOCKS / 2);
    drop(BLOCKS / 2, BLOCKS - KEPT / 2);
    EXPECT(SLM_TORTURE || cached() <= KEPT);
    drop(BLOCKS - KEPT / 2, BLOCKS);
    EXPECT(SLM_TORTURE || (cached() >= KEPT - 1 && cached() <= KEPT));
    EXPECT_EQ(account.held, cached() * MIB);
}

/* Until there is more than the bound of the cache. */
Test(keep_free, a_small_program_keeps_more, .init = set_up) {
    keep_had_excess = false;
    store_relaxed(&option_values[OPTION_large_cache], BLOCKS / 2 * MIB);
    take(BLOCKS / 2);
    drop(0, BLOCKS / 2);
    EXPECT(SLM_TORTURE || cached() == BLOCKS / 2);
    take(BLOCKS);
    drop(0, BLOCKS);
    EXPECT(keep_had_excess);
    EXPECT(SLM_TORTURE || cached() <= KEPT);
}

Test(keep_free, the_second_time_round_it_is_all_there, .init = set_up) {
    for (int round = 0; round < 3 && !SLM_TORTURE; round++) {
        size_t before = cached();
        take(BLOCKS);
        EXPECT_AT(before == (round == 0 ? 0 : round == 1 ? KEPT : BLOCKS), round);
        drop(0, BLOCKS);
        EXPECT_AT(round == 0 || cached() == BLOCKS, round);
    }
    large_purge_expired(UINT64_MAX); /* in vain: less is kept after that */
    EXPECT(SLM_TORTURE || cached() == 0);
    take(BLOCKS);
    drop(0, BLOCKS);
    EXPECT(SLM_TORTURE || cached() <= KEPT);
}

Test(keep_free, the_longest_block_of_late_stays_whole, .init = set_up) {
    for (int round = 0; round < 3; round++) {
        char *block = large_alloc(40 * MIB, 16, NULL);
        EXPECT(block != NULL);
        EXPECT_EQ(large_free(block), FAULT_NONE);
        EXPECT(SLM_TORTURE || cached() == 40);
    }
    large_purge_expired(UINT64_MAX);
    take(BLOCKS);
    drop(0, BLOCKS);
    EXPECT(SLM_TORTURE || cached() <= KEPT);
}

Test(keep_free, the_bound_of_the_cache_holds_beside_it, .init = set_up) {
    store_relaxed(&option_values[OPTION_large_cache], 20 * MIB);
    char *block = large_alloc(40 * MIB, 16, NULL);
    EXPECT_EQ(large_free(block), FAULT_NONE);
    EXPECT(cached() <= 20);
    store_relaxed(&option_values[OPTION_keep_free], OPTION_UNLIMITED);
    take(BLOCKS);
    drop(0, BLOCKS);
    EXPECT(SLM_TORTURE || (cached() >= 18 && cached() <= 20));
}
