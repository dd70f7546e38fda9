/* Protects: of a zone's empty slabs, so many keep their memory as the option keep_free says, or a
 * part of those in use; more goes back at once, from the top; once, if it is needed again. */
#include "zones.h"

#include "core/account.h"

enum { TINY_CLASS = 4, SMALL_CLASS = TINY_CLASSES + 8, ME = 64, SLABS = 64, KEPT = 8, LIVE = 48 };

static struct slab *slabs[SLABS];

/* KEPT slabs of the kind. */
static void keep(unsigned kind) {
    store_relaxed(&option_values[OPTION_keep_free],
                  (uint64_t)KEPT << slab_shift_of((enum zone_kind)kind));
    keep_note_excess(); /* or there is a credit */
}

static bool is_as_kept(const struct zone *zone, size_t kept) {
    return SLM_TORTURE || (zone->dirty >= kept && zone->dirty <= kept + kept / 4);
}

static void take_all(unsigned kind) {
    for (unsigned i = 0; i < SLABS; i++)
        slabs[i] = acquire_written(kind == ZONE_TINY ? TINY_CLASS : SMALL_CLASS, ME);
}

static void release_from(unsigned from, unsigned end) {
    for (unsigned i = from; i < end; i++)
        release(slabs[i]);
}

/* A quarter more than is to be kept is not worth system calls. */
Test(excess, no_more_is_kept_than_the_option_says_or_a_part_of_what_lives, .init = set_up) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        const struct zone *zone = &zones[kind];
        keep(kind);
        take_all(kind);
        release_from(LIVE, SLABS);
        EXPECT(is_as_kept(zone, LIVE / KEEP_FREE_LIVE_PART));
        release_from(KEPT, LIVE);
        EXPECT(is_as_kept(zone, KEPT));
        EXPECT(SLM_TORTURE || zone->purges < SLABS / 2);
        release_from(0, KEPT);
        EXPECT(is_as_kept(zone, KEPT));
        for (unsigned i = 0; i < SLABS; i++)
            EXPECT_AT(!slabs[i]->is_zero || is_zero(slabs[i]), i);
        EXPECT_EQ(zone->has_purger, 0);
    }
}

/* Until there is so much of it. */
Test(excess, a_small_program_keeps_more, .init = set_up) {
    keep(ZONE_TINY);
    keep_had_excess = false;
    take_all(ZONE_TINY);
    release_from(0, SLABS);
    EXPECT_EQ(zones[ZONE_TINY].dirty, SLABS);
    store_relaxed(&option_values[OPTION_keep_free],
                  ((uint64_t)SLABS << TINY_SLAB_SHIFT) / (2 * KEEP_FREE_CREDIT));
    take_all(ZONE_TINY);
    release_from(0, SLABS);
    EXPECT(keep_had_excess);
    EXPECT(SLM_TORTURE || zones[ZONE_TINY].dirty <= SLABS / 4);
}

Test(excess, the_lowest_stay, .init = set_up) {
    keep(ZONE_TINY);
    take_all(ZONE_TINY);
    release_from(0, SLABS);
    for (unsigned i = 0; i < SLABS; i++)
        if (i < KEPT / 2)
            EXPECT_AT(!slabs[i]->is_zero, i);
        else if (i >= SLABS / 2 && i < SLABS - KEPT)
            EXPECT_AT(!hbitmap_has(&zones[ZONE_TINY].ranges[0].dirty, i) || SLM_TORTURE, i);
    if (!SLM_TORTURE)
        EXPECT_EQ(account.held, zones[ZONE_TINY].dirty << TINY_SLAB_SHIFT);
}

/* The second time round nothing goes; but when it was kept in vain, it does again. */
Test(excess, a_program_that_needs_it_again_pays_once, .init = set_up) {
    struct zone *zone = &zones[ZONE_TINY];
    keep(ZONE_TINY);
    store_relaxed(&option_values[OPTION_purge_delay], 60000);
    if (SLM_TORTURE)
        return; /* in which purges fail */
    for (unsigned round = 0; round < 4; round++) {
        uint64_t purges = zone->purges;
        take_all(ZONE_TINY);
        release_from(0, SLABS);
        EXPECT_AT((zone->purges > purges) == (round == 0), round);
    }
    EXPECT(zone->dirty >= SLABS - KEPT);
    EXPECT(zone_purge_expired(ZONE_TINY, PURGE_ANY_AGE) > 0);
    uint64_t purges = zone->purges;
    take_all(ZONE_TINY);
    release_from(0, SLABS);
    EXPECT(zone->purges > purges);
    EXPECT(is_as_kept(zone, KEPT));
}

/* So that no single free takes long. */
Test(excess, it_goes_32_mib_at_a_time, .init = set_up) {
    struct zone *zone = &zones[ZONE_SMALL];
    keep(ZONE_SMALL);
    zone->has_purger = 1; /* another thread is at it */
    take_all(ZONE_SMALL);
    release_from(0, SLABS);
    EXPECT_EQ(zone->dirty, SLABS);
    zone->has_purger = 0;
    zone_purge_excess(ZONE_SMALL);
    EXPECT(zone->dirty >= SLABS - 32 && (SLM_TORTURE || zone->dirty == SLABS - 32));
    zone_purge_excess(ZONE_SMALL);
    EXPECT(SLM_TORTURE || zone->dirty == KEPT);
}

Test(excess, with_the_option_all_none_goes, .init = set_up) {
    take_all(ZONE_SMALL);
    release_from(0, SLABS);
    EXPECT_EQ(zones[ZONE_SMALL].dirty, SLABS);
    EXPECT_EQ(zones[ZONE_SMALL].purges, 0);
}

/* Of a thread that is giving back just now there is nothing in the child. */
Test(excess, a_forked_child_gives_back_too, .init = set_up) {
    struct zone *zone = &zones[ZONE_TINY];
    keep(ZONE_TINY);
    zone->has_purger = 1;
    take_all(ZONE_TINY);
    release_from(0, SLABS / 2 + KEPT);
    EXPECT_EQ(zone->dirty, SLABS / 2 + KEPT);
    zone_recover_purged();
    release_from(SLABS / 2 + KEPT, SLABS);
    EXPECT(is_as_kept(zone, KEPT));
}
