/* Protects: the zones: lookup of every address, lowest slab first, what is known to be zero, memory
 * given back for good, and growth to the last slab of a range and into further ranges. */
#include "zones.h"

#include <sys/mman.h>

#include "core/options.h"
#include "slab/range.h"
#include "slab/view.h"
#include "slab/verify.h"

enum { TINY_CLASS = 4, SMALL_CLASS = TINY_CLASSES + 2, ME = 64 };

/* Failures of os_reserve that leave a new range the smallest size there is. */
static unsigned halvings(void) {
    unsigned count = 0;
    for (size_t bytes = RESERVE_BYTES; bytes > RESERVE_MIN_BYTES; bytes /= 2)
        count++;
    return count;
}

/* Both zones with a first range of the smallest size. */
static void set_up_small(void) {
    quiet_os();
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        EXPECT(range_reserve(&zones[kind].ranges[0], (enum zone_kind)kind, RESERVE_MIN_BYTES));
        zones[kind].range_count = 1;
    }
    EXPECT(zone_init());
    no_automatic_purge();
}

static size_t resident_pages(const struct slab *slab) {
    static unsigned char vector[256];
    size_t pages = slab_bytes_of(slab) / os_page_bytes;
    size_t count = 0;
    EXPECT(mincore((void *)zone_slab_memory(slab), slab_bytes_of(slab), vector) == 0);
    for (size_t i = 0; i < pages; i++)
        count += vector[i] & 1;
    return count;
}

Test(zone, a_slab_is_claimed_owned_formatted_and_found, .init = set_up) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = zone_acquire(cls, ME);
        EXPECT_AT(slab != NULL, cls);
        EXPECT_EQ(slab->state, SLAB_CLAIMED);
        EXPECT_EQ(slab->owner, ME);
        EXPECT_EQ(slab->cls, cls);
        EXPECT_EQ(slab->zone, size_classes[cls].zone);
        EXPECT_EQ(slab_count_free(slab), slab->slots);
        uintptr_t memory = zone_slab_memory(slab);
        EXPECT_EQ(memory % slab_bytes_of(slab), 0);
        EXPECT_AT(zone_find(memory) == slab && zone_find_slow(memory) == slab, cls);
        EXPECT_AT(zone_find(memory + slab_bytes_of(slab) - 1) == slab, cls);
        EXPECT_AT(zone_find(memory - 1) != slab, cls);
        EXPECT_AT(zone_find(memory + slab_bytes_of(slab)) != slab, cls);
        EXPECT_AT(is_zero(slab), cls);
        memset((void *)memory, 1, slab_bytes_of(slab));
    }
    EXPECT_EQ(zones[ZONE_TINY].used, TINY_CLASSES);
    EXPECT_EQ(zones[ZONE_SMALL].used, SMALL_CLASSES);
}

Test(zone, the_lowest_empty_slab_is_taken_whatever_its_class_was, .init = set_up) {
    struct slab *slabs[40];
    for (unsigned i = 0; i < 40; i++) {
        slabs[i] = zone_acquire(TINY_CLASS, ME);
        EXPECT_AT(i == 0 || slabs[i] == slabs[i - 1] + 1, i);
    }
    static const unsigned released[] = {17, 3, 39, 8};
    static const unsigned order[] = {3, 8, 17, 39};
    for (unsigned i = 0; i < 4; i++) {
        release(slabs[released[i]]);
        EXPECT_EQ(slabs[released[i]]->owner, 0);
        EXPECT_EQ(slabs[released[i]]->state, SLAB_EMPTY);
    }
    EXPECT_EQ(zones[ZONE_TINY].used, 36);
    EXPECT_EQ(zones[ZONE_TINY].used_peak, 40);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_AT(zone_acquire(TINY_CLASS + i, ME) == slabs[order[i]], i);
    EXPECT(zone_acquire(TINY_CLASS, ME) == slabs[39] + 1);
}

Test(zone, only_an_untouched_slab_stays_known_as_zero, .init = set_up) {
    struct slab *slab = zone_acquire(SMALL_CLASS, ME);
    EXPECT_EQ(slab->fresh_from, 0);
    release(slab);
    EXPECT_EQ(slab->is_zero, 1);
    EXPECT_EQ(zones[ZONE_SMALL].dirty, 0);

    EXPECT(zone_acquire(SMALL_CLASS, ME) == slab);
    slab->fresh_from = 1; /* as after one allocation */
    memset((void *)zone_slab_memory(slab), 1, 4096);
    release(slab);
    EXPECT_EQ(slab->is_zero, 0);
    EXPECT_EQ(zones[ZONE_SMALL].dirty, 1);
    EXPECT(zone_acquire(SMALL_CLASS, ME) == slab);
    EXPECT_EQ(slab->fresh_from, slab->slots);
    EXPECT_EQ(zones[ZONE_SMALL].dirty, 0);
    release(slab);
    EXPECT_EQ(slab->is_zero, 0);
}

/* Slabs 0, 1, 2 and 5, 6 are empty: two runs, two system calls. */
Test(zone, a_purge_gives_runs_of_empty_slabs_back_and_keeps_the_others, .init = set_up) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        unsigned cls = kind == ZONE_TINY ? TINY_CLASS : SMALL_CLASS;
        struct slab *slabs[8];
        for (unsigned i = 0; i < 8; i++)
            slabs[i] = acquire_written(cls, ME);
        for (unsigned i = 0; i < 7; i++)
            if (i != 3 && i != 4)
                release(slabs[i]);
        EXPECT_EQ(zones[kind].dirty, 5);
        EXPECT_EQ(zone_purge((enum zone_kind)kind, 0), 0);
        EXPECT_EQ(zones[kind].purges, 0);
        EXPECT_EQ(zone_purge((enum zone_kind)kind, UINT64_MAX), 5 * slab_bytes_of(slabs[0]));
        EXPECT_EQ(zones[kind].purges, 2);
        EXPECT_EQ(zones[kind].dirty, 0);
        for (unsigned i = 0; i < 8; i++) {
            bool used = i == 3 || i == 4 || i == 7;
            size_t pages = slab_bytes_of(slabs[i]) / os_page_bytes;
            EXPECT_AT(resident_pages(slabs[i]) == (used ? pages : 0), i);
            EXPECT_AT(used || (is_zero(slabs[i]) && slabs[i]->is_zero), i);
            EXPECT_AT(!used || *(char *)zone_slab_memory(slabs[i]) == 7, i);
        }
        EXPECT_EQ(zone_purge((enum zone_kind)kind, UINT64_MAX), 0);
        EXPECT(zone_acquire(cls, ME) == slabs[0]);
        EXPECT_EQ(slabs[0]->fresh_from, 0);
    }
}

Test(zone, a_purge_that_fails_leaves_the_slabs_dirty_and_usable, .init = set_up) {
    struct slab *slab = zone_acquire(SMALL_CLASS, ME);
    slab->fresh_from = 5;
    release(slab);
    os_inject(OS_PURGE, 0, 1);
    EXPECT_EQ(zone_purge(ZONE_SMALL, UINT64_MAX), 0);
    EXPECT_EQ(os_injected(), 1);
    EXPECT_EQ(slab->is_zero, 0);
    EXPECT_EQ(zones[ZONE_SMALL].dirty, 1);
    EXPECT_EQ(zone_purge(ZONE_SMALL, UINT64_MAX), slab_bytes_of(slab));
    EXPECT_EQ(zones[ZONE_SMALL].dirty, 0);
    EXPECT(zone_acquire(SMALL_CLASS, ME) == slab);
}

/* Slabs from before have none between them; a refused one becomes a slab. */
Test(zone, with_guards_no_two_slabs_touch, .init = set_up) {
    struct slab *last[ZONE_COUNT];
    for (unsigned i = 0; i < 2; i++) {
        last[ZONE_TINY] = zone_acquire(TINY_CLASS, ME);
        last[ZONE_SMALL] = zone_acquire(SMALL_CLASS, ME);
    }
    zone_use_guards();
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        unsigned cls = kind == ZONE_TINY ? TINY_CLASS : SMALL_CLASS;
        struct violation violation;
        size_t shelved = 0;
        struct slab *before = last[kind];
        size_t guards = 0;
        EXPECT_EQ(before->number, 1);
        for (unsigned i = 0; i < 300; i++) {
            if (i == 200)
                os_inject(OS_UNMAP, 0, 1);
            struct slab *slab = zone_acquire(cls, ME);
            bool guarded = slab->number == before->number + 2;
            EXPECT_AT(guarded == (i != 200) || SLM_TORTURE, i);
            EXPECT_AT(guarded || slab->number == before->number + 1, i);
            uintptr_t between = zone_slab_memory(slab) - 1;
            struct slab *found = zone_find(between);
            size_t slot;
            *(char *)(zone_slab_memory(slab) + slab_bytes_of(slab) - 1) = 1;
            EXPECT_AT(slab_is_guard(found) == guarded, i);
            EXPECT_AT(!guarded || slab_examine(found, between, &slot) == FAULT_EMPTY_SLAB, i);
            EXPECT_AT(!guarded || resident_pages(found) == 0, i);
            struct slab_view view;
            slab->state = SLAB_CURRENT;
            EXPECT_AT(slab_look(slab, &view) && view.base == slab->base, i); /* as others see it */
            slab->state = SLAB_CLAIMED;
            guards += guarded;
            before = slab;
        }
        EXPECT_EQ(zones[kind].guards, guards);
        EXPECT(guards == 299 || (SLM_TORTURE && guards > 100));
        EXPECT_EQ(zones[kind].used, 302);
        before->fresh_from = 1;
        release(before);
        hbitmap_remove(&zones[kind].ranges[0].empty, before->number);
        hbitmap_remove(&zones[kind].ranges[0].dirty, before->number);
        zones[kind].dirty = 0;
        zones[kind].purging = 1;
        zone_recover_purged(); /* as in a forked child: guards are not taken for lost slabs */
        EXPECT_EQ(zones[kind].purging, 0);
        EXPECT_EQ(zones[kind].dirty, 1);
        while (zone_purge((enum zone_kind)kind, UINT64_MAX) != slab_bytes_of(before))
            EXPECT(SLM_TORTURE);
        EXPECT(zone_acquire(cls, ME) == before);
        bool whole = zone_verify((enum zone_kind)kind, &shelved, &violation);
        EXPECT(whole);
    }
}

/* There are never more than GUARDS_MAX. */
Test(zone, guards_are_bounded, .init = set_up) {
    zone_use_guards();
    struct slab *slab = NULL;
    while (zones[ZONE_TINY].guards < GUARDS_MAX)
        slab = zone_acquire(TINY_CLASS, ME);
    unsigned apart = GUARDS_CLOSE * 2 + (GUARDS_MAX - GUARDS_CLOSE) * GUARDS_APART;
    EXPECT(slab->number >= apart - GUARDS_APART);
    EXPECT(slab->number <= apart + GUARDS_APART || SLM_TORTURE);
    for (uint32_t i = 1; i < 3 * GUARDS_APART; i++)
        EXPECT_EQ(zone_acquire(TINY_CLASS, ME)->number, slab->number + i);
}

/* As in a child forked while another thread was in the system call of a purge. */
Test(zone, what_a_purge_has_in_hand_is_taken_back_after_a_fork, .init = set_up) {
    struct slab *slabs[3];
    for (unsigned i = 0; i < 3; i++) {
        slabs[i] = zone_acquire(SMALL_CLASS, ME);
        slabs[i]->fresh_from = 1;
    }
    for (unsigned i = 0; i < 3; i++)
        release(slabs[i]);
    struct zone *zone = &zones[ZONE_SMALL];
    struct range *range = &zone->ranges[0];
    for (unsigned i = 0; i < 2; i++) {
        hbitmap_remove(&range->empty, slabs[i]->number);
        hbitmap_remove(&range->dirty, slabs[i]->number);
    }
    zone->dirty -= 2;
    zone->purging = 2;
    zone_recover_purged();
    EXPECT_EQ(zone->purging, 0);
    EXPECT_EQ(zone->dirty, 3);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(hbitmap_has(&range->empty, slabs[i]->number) && !slabs[i]->is_zero);
    EXPECT(zone_acquire(SMALL_CLASS, ME) == slabs[0]);
    EXPECT_EQ(zone_purge(ZONE_SMALL, UINT64_MAX), (size_t)2 << SMALL_SLAB_SHIFT);
}

/* --- limits ---- */

Test(zone, a_range_is_used_to_its_last_slab_then_another_is_added, .init = set_up_small) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        unsigned cls = kind == ZONE_TINY ? TINY_CLASS : SMALL_CLASS;
        const struct range *range = &zones[kind].ranges[0];
        struct slab *last = NULL;
        EXPECT(range->count <= RESERVE_MIN_BYTES >> slab_shift_of((enum zone_kind)kind));
        EXPECT(range->count >= 3);
        for (uint32_t number = 0; number < range->count; number++) {
            last = zone_acquire(cls, ME);
            EXPECT_EQ(last->number, number);
            EXPECT_EQ(last->range, 0);
            memset((void *)zone_slab_memory(last), 3, slab_bytes_of(last));
        }
        EXPECT_EQ(zone_slab_memory(last) + slab_bytes_of(last), range->base + range->span);
        EXPECT_EQ(zones[kind].range_count, 1);
        os_inject(OS_RESERVE, 0, halvings());
        struct slab *further = zone_acquire(cls, ME);
        EXPECT(further != NULL);
        EXPECT_EQ(os_injected(), halvings());
        EXPECT_EQ(further->range, 1);
        EXPECT_EQ(zones[kind].range_count, 2);
        uintptr_t memory = zone_slab_memory(further);
        EXPECT(zone_find(memory) == further &&
               zone_find(memory + slab_bytes_of(further) - 1) == further);
        memset((void *)memory, 3, slab_bytes_of(further));
        /* The first range comes first again. */
        release(further);
        release(last);
        EXPECT(zone_acquire(cls, ME) == last);
        EXPECT(zone_acquire(cls, ME) == further);
        EXPECT_EQ(zones[kind].used, range->count + 1);
    }
}

/* The whole of a range of 64 slabs is in the sets: their last word is full. */
Test(zone, a_full_range_is_purged_to_its_last_slab, .init = set_up_small) {
    const struct range *range = &zones[ZONE_TINY].ranges[0];
    struct slab *slabs[64];
    unsigned count = range->count;
    for (unsigned i = 0; i < count; i++) {
        slabs[i] = zone_acquire(TINY_CLASS, ME);
        memset((void *)zone_slab_memory(slabs[i]), 3, slab_bytes_of(slabs[i]));
    }
    for (unsigned i = 0; i < count; i++)
        release(slabs[i]);
    EXPECT_EQ(zone_purge(ZONE_TINY, UINT64_MAX), (size_t)count << TINY_SLAB_SHIFT);
    EXPECT_EQ(zones[ZONE_TINY].purges, 1);
    for (unsigned i = 0; i < count; i++)
        EXPECT_AT(zone_acquire(TINY_CLASS, ME) == slabs[i] && is_zero(slabs[i]), i);
}

/* Some 4096 slabs, the size of two whole levels of the sets, with the first and the last dirty. */
Test(zone, a_range_of_some_4096_slabs_is_purged_to_its_last_slab) {
    quiet_os();
    EXPECT(
        range_reserve(&zones[ZONE_SMALL].ranges[0], ZONE_SMALL, (size_t)4096 << SMALL_SLAB_SHIFT));
    zones[ZONE_SMALL].range_count = 1;
    EXPECT(zone_init());
    no_automatic_purge();
    const struct range *range = &zones[ZONE_SMALL].ranges[0];
    EXPECT(range->count > 4032 && range->count <= 4096);
    struct slab *first = zone_acquire(SMALL_CLASS, ME);
    struct slab *last = first;
    while (last->number + 1 < range->count)
        last = zone_acquire(SMALL_CLASS, ME);
    EXPECT_EQ(zones[ZONE_SMALL].used, range->count);
    first->fresh_from = last->fresh_from = 1;
    release(last);
    first[1].fresh_from = 1;
    release(first + 1);
    EXPECT_EQ(zone_purge(ZONE_SMALL, UINT64_MAX), (size_t)2 << SMALL_SLAB_SHIFT);
    /* Freed too recently for this purge, so that it looks on from each. */
    last = zone_acquire(SMALL_CLASS, ME);
    first = zone_acquire(SMALL_CLASS, ME);
    first->fresh_from = last->fresh_from = 1;
    release(first);
    release(last);
    EXPECT_EQ(zone_purge(ZONE_SMALL, 1), 0);
    EXPECT_EQ(zones[ZONE_SMALL].dirty, 2);
}

Test(zone, without_address_space_there_is_null_and_later_a_heap) {
    quiet_os();
    os_inject(OS_RESERVE, 0, UINT32_MAX / 4);
    EXPECT(!zone_init());
    EXPECT(zone_find(4096) == NULL);
    os_inject(OS_RESERVE, 1, UINT32_MAX / 4); /* TINY has a range, SMALL has none */
    EXPECT(!zone_init());
    EXPECT_EQ(zone_map.tiny_span, 0);
    set_up();
    EXPECT_EQ(zones[ZONE_TINY].range_count, 1);
    EXPECT_EQ(zones[ZONE_SMALL].range_count, 1);
    EXPECT(zone_acquire(TINY_CLASS, ME) != NULL && zone_acquire(SMALL_CLASS, ME) != NULL);
}

Test(zone, a_range_whose_tables_can_not_be_made_writable_is_not_kept) {
    quiet_os();
    os_inject(OS_COMMIT, 0, halvings() + 1);
    EXPECT(!zone_init());
    EXPECT_EQ(zones[ZONE_TINY].range_count, 0);
    set_up();
    EXPECT(zone_acquire(TINY_CLASS, ME) != NULL);
}

Test(zone, without_memory_there_is_null_and_later_a_slab, .init = set_up) {
    os_inject(OS_COMMIT, 0, UINT32_MAX / 4);
    EXPECT(zone_acquire(TINY_CLASS, ME) == NULL);
    EXPECT(zone_acquire(SMALL_CLASS, ME) == NULL);
    EXPECT_EQ(zones[ZONE_TINY].used, 0);
    EXPECT_EQ(zones[ZONE_TINY].lock.word, 0);
    EXPECT_EQ(zones[ZONE_TINY].range_count, 1);
    /* A step of several slabs is refused, one slab is not; remote bits are made writable before. */
    os_inject(OS_COMMIT, 1, 1);
    struct slab *slab = zone_acquire(SMALL_CLASS, ME);
    EXPECT(slab != NULL);
    EXPECT_EQ(os_injected(), 1);
    memset((void *)zone_slab_memory(slab), 1, slab_bytes_of(slab));
    EXPECT_EQ(zones[ZONE_SMALL].ranges[0].writable, 1);
    EXPECT(zone_acquire(SMALL_CLASS, ME) == slab + 1);
}

/* --- the delay -------------------------------------------------------------------------------- */

static void choose(const char *options) {
    TEXT(complaints, 128);
    options_parse(options, &complaints);
    EXPECT_EQ(complaints.used, 0);
}

static void release_dirty(unsigned count) {
    struct slab *slabs[16];
    for (unsigned i = 0; i < count; i++)
        slabs[i] = zone_acquire(TINY_CLASS, ME);
    for (unsigned i = 0; i < count; i++)
        zone_release(slabs[i]);
}

static void set_up_with_purges(void) {
    quiet_os();
    EXPECT(zone_init());
}

Test(zone, memory_goes_back_at_once_without_a_delay, .init = set_up_with_purges) {
    choose("purge_delay=0");
    release_dirty(10);
    EXPECT(zones[ZONE_TINY].dirty == 0 || SLM_TORTURE); /* where some are refused */
    EXPECT(zones[ZONE_TINY].purges > 0);
}

Test(zone, memory_is_kept_for_the_delay, .init = set_up_with_purges) {
    choose("purge_delay=60000");
    release_dirty(10);
    EXPECT_EQ(zones[ZONE_TINY].dirty, 10);
    choose("purge_delay=never");
    zone_look_soon();
    release_dirty(1);
    EXPECT_EQ(zones[ZONE_TINY].dirty, 10);
    EXPECT_EQ(zones[ZONE_TINY].purges, 0);
}

Test(zone, a_shorter_delay_holds_for_what_is_empty_already, .init = set_up_with_purges) {
    choose("purge_delay=never");
    release_dirty(10);
    choose("purge_delay=0");
    release_dirty(1); /* the next look is far away, but nobody said that there is a hurry */
    EXPECT_EQ(zones[ZONE_TINY].dirty, 10);
    zone_look_soon();
    release_dirty(1);
    EXPECT_EQ(zones[ZONE_TINY].dirty, 0);
}

Test(zone, what_is_old_goes_though_only_the_other_zone_is_used, .init = set_up_with_purges) {
    choose("purge_delay=never");
    release_dirty(10);
    zone_release(acquire_written(SMALL_CLASS, ME));
    EXPECT_EQ(zones[ZONE_TINY].dirty, 10);
    choose("purge_delay=0");
    zone_release(acquire_written(SMALL_CLASS, ME));
    EXPECT_EQ(zones[ZONE_TINY].dirty, 10); /* as above */
    zone_look_soon();
    zone_release(acquire_written(SMALL_CLASS, ME));
    EXPECT(zones[ZONE_TINY].dirty == 0 || SLM_TORTURE);
    EXPECT(zones[ZONE_TINY].purges > 0);
}

/* --- huge pages ------------------------------------------------------------------------------- */

enum { PER_PAGE = HUGE_PAGE_BYTES >> TINY_SLAB_SHIFT };
enum { SLABS = (HUGE_ZONE_FROM_BYTES >> TINY_SLAB_SHIFT) * 2 };

static struct slab *acquired[SLABS];

static void acquire_all(void) {
    for (unsigned i = 0; i < SLABS; i++)
        acquired[i] = zone_acquire(TINY_CLASS, ME);
}

Test(zone, part_of_a_huge_page_goes_back_only_with_everything, .init = set_up_with_purges) {
    choose("huge_pages=on,purge_delay=60000");
    acquire_all();
    unsigned first = zones[ZONE_TINY].ranges[0].huge_from;
    EXPECT(first >= SLABS / 2 && first < SLABS * 3 / 4 && first % PER_PAGE == 0);
    EXPECT_EQ(zone_slab_memory(acquired[first]) % HUGE_PAGE_BYTES, 0);
    release(acquired[3]);
    release(acquired[first + 3]); /* the rest of its huge page is used */
    for (unsigned i = 0; i < PER_PAGE; i++)
        release(acquired[first + PER_PAGE + i]);
    EXPECT_EQ(zones[ZONE_TINY].dirty, 2 + PER_PAGE);
    unsigned refused = SLM_TORTURE ? 1 + PER_PAGE : 0; /* a purge, by the system */
    zone_purge(ZONE_TINY, UINT64_MAX - 1);
    EXPECT(zones[ZONE_TINY].dirty >= 1 && zones[ZONE_TINY].dirty <= 1 + refused);
    EXPECT(hbitmap_has(&zones[ZONE_TINY].ranges[0].dirty, first + 3));
    zone_purge(ZONE_TINY, UINT64_MAX);
    EXPECT(zones[ZONE_TINY].dirty <= refused);
}

Test(zone, without_the_option_huge_pages_are_nowhere, .init = set_up_with_purges) {
    acquire_all();
    EXPECT_EQ(zones[ZONE_TINY].ranges[0].huge_from, UINT32_MAX);
}
