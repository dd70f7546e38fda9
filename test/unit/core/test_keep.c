/* Protects: how much free memory is kept (core/keep.h): as much as lives, or the option's value;
 * what went and is missed in time is kept from then on, no more than went; what is kept in vain is
 * not; the same of what went for growth elsewhere, but half of it, and apart. */
#include "../expect.h"

#include "core/keep.h"

#define MIB ((size_t)1 << 20)

static void set(uint64_t keep_free, uint64_t purge_delay) {
    quiet_os();
    store_relaxed(&option_values[OPTION_keep_free], keep_free);
    store_relaxed(&option_values[OPTION_purge_delay], purge_delay);
    keep_note_excess(); /* or there is a credit */
}

Test(keep, as_much_as_lives_or_as_the_option_says) {
    struct keep keep = {0};
    set(8 * MIB, 60000);
    EXPECT_EQ(keep_most(&keep, 0), 8 * MIB);
    EXPECT_EQ(keep_most(&keep, 8 * MIB), 8 * MIB);
    EXPECT_EQ(keep_most(&keep, 9 * MIB), 9 * MIB);
    set(0, 60000);
    EXPECT_EQ(keep_most(&keep, 0), 0);
    EXPECT_EQ(keep_most(&keep, 1), 1);
}

Test(keep, until_there_was_more_sixteen_times_as_much) {
    struct keep keep = {0};
    quiet_os();
    store_relaxed(&option_values[OPTION_keep_free], 8 * MIB);
    EXPECT_EQ(keep_most(&keep, 9 * MIB), 128 * MIB);
    EXPECT_EQ(keep_most(&keep, 129 * MIB), 129 * MIB);
    store_relaxed(&option_values[OPTION_keep_free], 0);
    EXPECT_EQ(keep_most(&keep, 0), 0);
    store_relaxed(&option_values[OPTION_keep_free], 8 * MIB);
    keep_note_excess();
    EXPECT_EQ(keep_most(&keep, 9 * MIB), 9 * MIB);
}

Test(keep, all_of_it_where_an_option_says_so) {
    struct keep keep = {0};
    set(OPTION_UNLIMITED, 60000);
    EXPECT_EQ(keep_most(&keep, 0), SIZE_MAX);
    set(8 * MIB, OPTION_UNLIMITED);
    EXPECT_EQ(keep_most(&keep, 5), SIZE_MAX);
}

Test(keep, what_went_and_is_missed_is_kept_from_then_on) {
    struct keep keep = {0};
    set(8 * MIB, 60000);
    keep_note_needed(&keep, 50 * MIB); /* nothing went: that is growth */
    EXPECT_EQ(keep_most(&keep, 0), 8 * MIB);
    keep_note_gone(&keep, 20 * MIB);
    EXPECT_EQ(keep_most(&keep, 0), 8 * MIB);
    keep_note_needed(&keep, 5 * MIB);
    EXPECT_EQ(keep_most(&keep, 0), 13 * MIB);
    keep_note_needed(&keep, 50 * MIB); /* of which no more than the rest would have been there */
    EXPECT_EQ(keep_most(&keep, 0), 28 * MIB);
    EXPECT_EQ(keep_most(&keep, 100 * MIB), 120 * MIB);
    keep_note_needed(&keep, 50 * MIB);
    EXPECT_EQ(keep_most(&keep, 0), 28 * MIB);
}

/* Of one of which 20 MiB went, and were needed again. */
static struct keep after_need(uint64_t purge_delay) {
    struct keep keep = {0};
    set(8 * MIB, purge_delay);
    keep_note_gone(&keep, 20 * MIB);
    keep_note_needed(&keep, 20 * MIB);
    return keep;
}

Test(keep, what_is_needed_too_late_is_not_missed) {
    struct keep keep = after_need(0);
    EXPECT_EQ(keep_most(&keep, 0), 8 * MIB);
    set(8 * MIB, 60000);
    keep_note_needed(&keep, 20 * MIB); /* nor is it later on */
    EXPECT_EQ(keep_most(&keep, 0), 8 * MIB);
}

Test(keep, what_is_kept_in_vain_is_kept_no_longer) {
    struct keep keep = after_need(60000);
    keep_note_expired(&keep, 15 * MIB);
    EXPECT_EQ(keep_most(&keep, 0), 13 * MIB);
    keep_note_expired(&keep, 15 * MIB);
    EXPECT_EQ(keep_most(&keep, 0), 8 * MIB);
}

Test(keep, of_what_was_made_up_for_half_is_missed) {
    struct keep keep = {0};
    set(8 * MIB, 60000);
    EXPECT_EQ(keep_may_make_up(&keep, 30 * MIB), 30 * MIB);
    keep_note_made_up(&keep, 20 * MIB);
    keep_note_needed(&keep, 20 * MIB);
    EXPECT_EQ(keep_may_make_up(&keep, 30 * MIB), 20 * MIB);
    EXPECT_EQ(keep_may_make_up(&keep, 10 * MIB), 0);
    EXPECT_EQ(keep_most(&keep, 0), 8 * MIB); /* of which the bound knows nothing */
    keep_note_expired(&keep, 4 * MIB);
    EXPECT_EQ(keep_may_make_up(&keep, 30 * MIB), 24 * MIB);
}
