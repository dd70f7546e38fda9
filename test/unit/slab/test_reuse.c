/* Protects: which empty slab a zone takes, what goes back of one whose pages are gone, what a slab
 * of a large zone is told of its free slots, and from when on growth is to be made up for. */
#include "zones.h"

enum { TINY_CLASS = 4, ME = 64 };

Test(reuse, one_that_has_memory_is_taken_before_one_that_has_none, .init = set_up) {
    struct slab *clean = zone_acquire(TINY_CLASS, ME), *dirty = zone_acquire(TINY_CLASS, ME);
    struct slab *used = zone_acquire(TINY_CLASS, ME);
    release(clean);
    size_t purged = zone_purge(ZONE_TINY, PURGE_EVERYTHING);
    EXPECT(purged == slab_bytes_of(clean) || SLM_TORTURE); /* which refuses now and then */
    release(dirty);
    EXPECT(zone_acquire(TINY_CLASS, ME) == (purged > 0 ? dirty : clean));
    EXPECT(zone_acquire(TINY_CLASS, ME) == (purged > 0 ? clean : dirty));
    EXPECT(zone_acquire(TINY_CLASS, ME) == used + 1);
}

/* Of its slots from `from` on, pages go back while the others live; then all are free. */
static struct slab *release_purged_from(size_t from) {
    struct slab *slab = zone_acquire(TINY_CLASS, ME);
    memset((void *)zone_slab_memory(slab), 1, slab_bytes_of(slab));
    for (size_t slot = 0; slot < from; slot++)
        EXPECT(slab_take(slab, &(size_t){0}));
    slab->countdown--; /* as frees do */
    slab_purge_pages(slab);
    release(slab);
    return slab;
}

Test(reuse, of_a_slab_whose_pages_are_gone_but_for_a_few_these_go_too, .init = set_up) {
    struct slab *one = zone_acquire(TINY_CLASS, ME);
    size_t slots = one->slots;
    size_t dirty = zones[ZONE_TINY].dirty;
    release_purged_from(slots / 2);
    EXPECT_EQ(zones[ZONE_TINY].dirty, dirty + 1);
    struct slab *hollow = release_purged_from(slots / 2); /* the same one, formatted anew */
    EXPECT_EQ(zones[ZONE_TINY].dirty, dirty + 1);
    EXPECT(!hollow->is_zero);
    hollow = release_purged_from(slots / 8);
    if (SLM_TORTURE)
        return;
    EXPECT_EQ(zones[ZONE_TINY].dirty, dirty);
    EXPECT(hollow->is_zero && is_zero(hollow));
}

/* A free slot is worth more in a large heap: cache_relink_mark. */
Test(reuse, slabs_of_a_large_zone_are_used_again_for_fewer_free_slots, .init = set_up) {
    struct slab *slab = NULL;
    size_t large = RELINK_LARGE_BYTES >> TINY_SLAB_SHIFT;
    for (size_t i = 1; i <= 4 * large; i++) {
        slab = zone_acquire(TINY_CLASS, ME);
        EXPECT_AT(slab->relink_fraction == (i < large       ? 0
                                            : i < 4 * large ? RELINK_FRACTION
                                                            : 4 * RELINK_FRACTION),
                  i);
    }
    EXPECT_EQ(zones[ZONE_TINY].relink_fraction, 4 * RELINK_FRACTION);
    release(slab);
    EXPECT_EQ(zone_acquire(TINY_CLASS, ME)->relink_fraction, 4 * RELINK_FRACTION);
}

Test(reuse, a_small_zone_makes_up_for_nothing_and_then_for_all, .init = set_up) {
    size_t held = zones[ZONE_TINY].held_peak << TINY_SLAB_SHIFT;
    size_t slab_bytes = (size_t)1 << TINY_SLAB_SHIFT;
    zone_take_growth(ZONE_TINY);
    size_t grown = 0;
    do {
        EXPECT_AT(zone_take_growth(ZONE_TINY) == 0, grown);
        EXPECT(zone_acquire(TINY_CLASS, ME) != NULL);
        grown += slab_bytes;
    } while (held + grown <= MAKE_UP_FROM_BYTES);
    EXPECT_EQ(zone_take_growth(ZONE_TINY), grown);
    EXPECT_EQ(zone_take_growth(ZONE_TINY), 0);
    EXPECT(zone_acquire(TINY_CLASS, ME) != NULL);
    EXPECT_EQ(zone_take_growth(ZONE_TINY), slab_bytes);
}
