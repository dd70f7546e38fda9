/* Protects: headers of empty TINY slabs go back by the page, with what remote bits they had, and
 * nothing is lost by it: addresses in them are told apart as before, neighbours keep theirs, and a
 * slab that is used again is as good as new. */
#include "zones.h"

#include <sys/mman.h>

#include "core/account.h"
#include "slab/range.h"
#include "slab/verify.h"
#include "slab/view.h"

enum { SLABS = 120, ME = 64, CLASSES = 7, KEPT = 60 };

static struct slab *slabs[SLABS];

static const struct range *tiny(void) { return &zones[ZONE_TINY].ranges[0]; }
static bool is_gone(unsigned number) { return range_gone(tiny(), number) != 0; }

static size_t resident_between(uintptr_t from, uintptr_t to) {
    static unsigned char vector[64];
    from = round_down(from, os_page_bytes);
    size_t pages = (to - from + os_page_bytes - 1) / os_page_bytes;
    size_t count = 0;
    EXPECT(pages <= sizeof vector && mincore((void *)from, pages * os_page_bytes, vector) == 0);
    for (size_t i = 0; i < pages; i++)
        count += vector[i] & 1;
    return count;
}

static size_t resident_headers(void) {
    return resident_between(tiny()->headers, tiny()->headers + SLABS * sizeof(struct slab));
}

static size_t resident_remote(void) {
    return resident_between(tiny()->remote, tiny()->remote + (size_t)SLABS * SLAB_REMOTE_BYTES);
}

static void take_all(void) {
    set_up();
    for (unsigned i = 0; i < SLABS; i++) {
        slabs[i] = acquire_written(i % CLASSES, ME);
        EXPECT_EQ(slabs[i]->number, i);
        zone_remote_bits(slabs[i])[i % 8] = 0; /* it has some */
    }
}

static void purge(void) {
    zone_purge(ZONE_TINY, PURGE_EVERYTHING);
    while (SLM_TORTURE && zones[ZONE_TINY].dirty > 0) /* in which purges fail now and then */
        zone_purge(ZONE_TINY, PURGE_EVERYTHING);
}

static void release_all_but(unsigned kept) {
    for (unsigned i = 0; i < SLABS; i++)
        if (i != kept)
            release(slabs[i]);
}

static void verify(void) {
    struct violation violation = {0};
    size_t shelved = 0;
    bool whole = zone_verify(ZONE_TINY, &shelved, &violation);
    EXPECT_AT(whole, violation.where);
}

Test(headers, those_of_empty_slabs_go, .init = take_all) {
    EXPECT(resident_headers() >= SLABS * sizeof(struct slab) / os_page_bytes);
    EXPECT(resident_remote() == SLABS * SLAB_REMOTE_BYTES / os_page_bytes);
    release_all_but(SLABS);
    verify();
    purge();
    EXPECT(resident_headers() <= 2 || SLM_TORTURE); /* at both ends, shared with others */
    EXPECT(resident_remote() <= 2 || SLM_TORTURE);
    verify();
}

static bool count(struct slab *slab, void *context) {
    size_t *used = context;
    *used += load_relaxed(&slab->owner) != 0;
    return true;
}

Test(headers, a_walk_does_not_bring_them_back, .init = take_all) {
    size_t used = 0;
    release_all_but(KEPT);
    purge();
    size_t before = resident_headers();
    zone_walk(count, &used);
    EXPECT_EQ(used, 1);
    for (unsigned i = 0; i < SLABS; i++)
        EXPECT_AT((range_slab_seen(tiny(), i)->owner != 0) == (i == KEPT), i);
    EXPECT_EQ(resident_headers(), before);
}

Test(headers, what_lies_there_is_told_apart_as_before, .init = take_all) {
    enum { PROBES = 64 };
    static enum fault faults[SLABS][PROBES];
    static size_t slots[SLABS][PROBES];
    size_t slot, kinds[FAULT_FOREIGN + 1] = {0};
    release_all_but(SLABS);
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < SLABS; i++) {
            uintptr_t memory = tiny()->base + ((uintptr_t)i << TINY_SLAB_SHIFT);
            for (unsigned p = 0; p < PROBES; p++) {
                uintptr_t address = memory + p * 1016 + p % 3 * 8;
                struct slab *slab = zone_find(address);
                EXPECT_AT(slab == slabs[i], i);
                enum fault fault = slab_examine(slab, address, &slot);
                EXPECT_AT(pass == 0 || (fault == faults[i][p] && slot == slots[i][p]), i);
                faults[i][p] = fault;
                slots[i][p] = slot;
                kinds[fault]++;
            }
        }
        purge();
    }
    EXPECT(SLM_TORTURE || is_gone(SLABS / 2));
    EXPECT(kinds[FAULT_DOUBLE_FREE] > SLABS && kinds[FAULT_INTERIOR] > SLABS);
    EXPECT_EQ(kinds[FAULT_NONE] + kinds[FAULT_EMPTY_SLAB], 0);
}

Test(headers, a_copy_tells_number_and_class, .init = take_all) {
    struct slab copy;
    release_all_but(SLABS);
    purge();
    for (unsigned i = 0; i < SLABS; i++) {
        const struct slab *shape = zone_shape(slabs[i], &copy);
        EXPECT_AT(shape == &copy && copy.number == i && copy.cls == i % CLASSES, i);
        EXPECT_AT(copy.state == SLAB_EMPTY && copy.owner == 0 && copy.zone == ZONE_TINY, i);
        EXPECT_AT(copy.slot_bytes == size_classes[i % CLASSES].slot_bytes, i);
        EXPECT_AT(slab_is_free(&copy, copy.slots - 1), i);
        struct slab_view view;
        EXPECT_AT(!slab_look(slabs[i], &view), i);
    }
}

Test(headers, that_of_a_used_slab_stays, .init = take_all) {
    struct slab before = *slabs[KEPT];
    release_all_but(KEPT);
    purge();
    EXPECT(memcmp(&before, slabs[KEPT], sizeof before) == 0);
    EXPECT(!is_gone(KEPT));
    EXPECT(SLM_TORTURE || (is_gone(KEPT - 10) && is_gone(KEPT + 10)));
    EXPECT(SLM_TORTURE || resident_headers() <= 4);
    verify();
}

/* Also where another thread, which freed a free block, set a bit in a header that was gone. */
Test(headers, a_slab_that_is_used_again_is_as_good_as_new, .init = take_all) {
    release_all_but(SLABS);
    purge();
    uint64_t *stray = zone_remote_bits(slabs[KEPT]);
    EXPECT(stray == range_remote_bits(tiny(), KEPT));
    stray[0] = 3;
    range_remote_bits(tiny(), KEPT + 1)[5] = 1;
    for (unsigned i = 0; i < SLABS; i++) {
        struct slab *slab = zone_acquire((i + 3) % CLASSES, ME);
        EXPECT_AT(slab == slabs[i] && slab->number == i && slab->zone == ZONE_TINY, i);
        EXPECT_AT(!is_gone(i) && zone_find(zone_slab_memory(slab)) == slab, i);
        EXPECT_EQ(slab_count_free(slab), slab->slots);
        for (unsigned w = 0; w < SLAB_WORDS; w++)
            EXPECT_AT(zone_remote_bits(slab)[w] == 0, i);
        struct violation violation;
        EXPECT_AT(slab_verify_shape(slab, &violation), i);
    }
    verify();
    release_all_but(SLABS);
    verify();
}

Test(headers, they_stay_where_the_system_refuses, .init = take_all) {
    release_all_but(SLABS);
    os_inject(OS_PURGE, 1, UINT32_MAX / 4); /* the slabs go, at once */
    zone_purge(ZONE_TINY, PURGE_EVERYTHING);
    os_inject(OS_PURGE, 0, 0);
    for (unsigned i = 0; i < SLABS; i++)
        EXPECT_AT(!is_gone(i) && slabs[i]->number == i, i);
    verify();
    purge();
    verify();
}

Test(headers, they_stay_where_checks_keep_more_of_slabs, .init = take_all) {
    zone_keep_headers();
    release_all_but(SLABS);
    purge();
    for (unsigned i = 0; i < SLABS; i++)
        EXPECT_AT(!is_gone(i), i);
}

/* What has pages that can't be accessed is not forgotten. */
static void take_decommitted(void) {
    verify();
    for (unsigned i = 0; i < SLABS; i++) {
        struct slab *slab = acquire_written(i % CLASSES, ME); /* or it would crash */
        EXPECT_AT(slab == slabs[i] && !slab->is_decommitted, i);
    }
    verify();
    EXPECT_EQ(account.held, (size_t)SLABS << TINY_SLAB_SHIFT);
}

Test(headers, those_of_decommitted_slabs_stay, .init = take_all) {
    release_all_but(SLABS);
    EXPECT(zone_decommit(ZONE_TINY) > 0);
    purge();
    for (unsigned i = 0; i < SLABS; i++)
        EXPECT_AT(!is_gone(i) || !slabs[i]->is_decommitted, i);
    take_decommitted();
}

Test(headers, they_do_not_come_back_to_note_that_slabs_are_decommitted, .init = take_all) {
    release_all_but(SLABS);
    purge();
    EXPECT(zone_decommit(ZONE_TINY) > 0);
    EXPECT(resident_headers() <= 2 || SLM_TORTURE);
    EXPECT_EQ(zone_decommit(ZONE_TINY), 0);
    take_decommitted();
}

/* In a child that was forked while another thread was giving headers back: nothing was charged for
 * those slabs. */
Test(headers, what_is_in_hand_is_taken_back_after_a_fork, .init = take_all) {
    struct zone *zone = &zones[ZONE_TINY];
    struct range *range = &zone->ranges[0];
    release_all_but(SLABS);
    purge();
    size_t held = account.held;
    for (unsigned i = 0; i < SLABS; i++)
        if (is_gone(i))
            hbitmap_remove(&range->empty, i), zone->bare++;
    EXPECT(zone->bare > 0);
    zone_recover_purged();
    EXPECT_EQ(zone->purging + zone->bare + zone->dirty, 0);
    EXPECT_EQ(account.held, held);
    take_decommitted();
}
