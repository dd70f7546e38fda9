/* Protects: the lookup from any 64-bit value to a slab: exact at every border of both zones, total
 * for all others, also with several ranges a zone; and the walk over all slabs. */
#include "../expect.h"

#include "slab/range.h"
#include "slab/zone.h"

enum { TINY_CLASS = 0, SMALL_CLASS = TINY_CLASSES, ME = 64 };

static void set_up(void) {
    quiet_os();
    EXPECT(zone_init());
}

static void add_range(enum zone_kind kind, size_t bytes) {
    struct zone *zone = &zones[kind];
    EXPECT(range_reserve(&zone->ranges[zone->range_count], kind, bytes));
    zone->range_count++;
}

/* Every range of every zone, one after the other. */
static struct slab *naive_find(uintptr_t address) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        for (unsigned i = 0; i < zones[kind].range_count; i++) {
            const struct range *range = &zones[kind].ranges[i];
            size_t slab_bytes = (size_t)1 << slab_shift_of((enum zone_kind)kind);
            uintptr_t start = (uintptr_t)range->mapping;
            if (address < start || address >= start + range->mapped_bytes)
                continue;
            if (address < range->base || address >= range->base + range->writable * slab_bytes)
                return (struct slab *)&slab_never_used;
            return (struct slab *)range->headers + (address - range->base) / slab_bytes;
        }
    }
    return NULL;
}

static void check(uintptr_t address) {
    struct slab *expected = naive_find(address);
    EXPECT_AT(zone_find(address) == expected, address);
    EXPECT_AT(zone_find_slow(address) == expected, address);
}

static void check_borders(void) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        size_t slab_bytes = (size_t)1 << slab_shift_of((enum zone_kind)kind);
        for (unsigned i = 0; i < zones[kind].range_count; i++) {
            const struct range *range = &zones[kind].ranges[i];
            for (int shift = -2; shift <= 2; shift++) {
                check(range->base + (uintptr_t)shift);
                check(range->base + range->span + (uintptr_t)shift);
                for (unsigned slab = 0; slab < range->count; slab += 1 + range->count / 1000)
                    check(range->base + slab * slab_bytes + (uintptr_t)shift);
            }
        }
    }
}

static void check_random(uint64_t seed) {
    for (int i = 0; i < 300000; i++)
        check(random_next(&seed) >> random_below(&seed, 64));
    for (unsigned bit = 0; bit < 64; bit++) {
        check((uintptr_t)1 << bit);
        check(((uintptr_t)1 << bit) - 1);
        check(zone_map.tiny_base ^ (uintptr_t)1 << bit);
        check(zone_map.small_base ^ (uintptr_t)1 << bit);
    }
    check(UINTPTR_MAX);
    check((uintptr_t)1 << 47);
    check(UINTPTR_MAX << 47);
}

Test(find, before_the_zones_exist_nothing_is_found) {
    uint64_t seed = 1;
    for (int i = 0; i < 1000; i++)
        EXPECT(zone_find(random_next(&seed)) == NULL);
    EXPECT(zone_find(0) == NULL && zone_find(UINTPTR_MAX) == NULL);
}

Test(find, is_exact_at_every_border_and_total, .init = set_up) {
    check_borders();
    check_random(2);
}

Test(find, further_ranges_are_found_too, .init = set_up) {
    for (unsigned i = 0; i < 20; i++) {
        add_range(ZONE_TINY, RESERVE_MIN_BYTES << i % 4);
        add_range(ZONE_SMALL, RESERVE_MIN_BYTES << i % 4);
    }
    check_borders();
    check_random(3);
}

/* Whatever is found can be read: its header says that no slot starts there. */
Test(find, what_was_never_allocated_is_found_as_a_slab_without_slots, .init = set_up) {
    uint64_t seed = 4;
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        const struct range *range = &zones[kind].ranges[0];
        for (int i = 0; i < 2000; i++) {
            uintptr_t address = range->base + random_below(&seed, range->span);
            struct slab *slab = zone_find(address);
            size_t slot;
            EXPECT(!slab_slot_at(slab, address, &slot));
            EXPECT_EQ(slab_examine(slab, address, &slot), FAULT_EMPTY_SLAB);
            EXPECT_EQ(slab->owner, 0);
        }
        EXPECT_EQ(zone_find(range->base)->slots, 0);
        EXPECT_EQ(zone_find(range->base + range->span - 1)->slots, 0);
    }
}

static bool count_visit(struct slab *slab, void *context) {
    size_t *counts = context;
    counts[slab->zone]++;
    counts[2] += slab->state == SLAB_CLAIMED;
    return true;
}

static bool stop_at_third(struct slab *slab, void *context) {
    size_t *count = context;
    (void)slab;
    return ++*count < 3;
}

Test(find, a_walk_visits_every_slab_ever_used_once_and_stops_when_told, .init = set_up) {
    size_t counts[3] = {0};
    size_t visits = 0;
    zone_walk(count_visit, counts);
    EXPECT_EQ(counts[0] + counts[1], 0);
    zones[ZONE_SMALL].next_purge_ms = UINT64_MAX;
    struct slab *released = zone_acquire(SMALL_CLASS, ME);
    for (unsigned i = 0; i < 10; i++) {
        zone_acquire(TINY_CLASS, ME);
        zone_acquire(SMALL_CLASS, ME);
    }
    zone_release(released);
    zone_walk(count_visit, counts);
    EXPECT_EQ(counts[ZONE_TINY], 10);
    EXPECT_EQ(counts[ZONE_SMALL], 11);
    EXPECT_EQ(counts[2], 20);
    zone_walk(stop_at_third, &visits);
    EXPECT_EQ(visits, 3);
}

/* --- ranges ---- */

Test(range, of_every_size_holds_its_tables_and_slabs) {
    quiet_os();
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        size_t shift = slab_shift_of((enum zone_kind)kind);
        for (size_t bytes = RESERVE_MIN_BYTES; bytes <= RESERVE_BYTES; bytes *= 4) {
            struct range range;
            EXPECT_AT(range_reserve(&range, (enum zone_kind)kind, bytes), bytes);
            EXPECT_EQ(range.span, (size_t)range.count << shift);
            EXPECT_EQ(range.base % ((size_t)1 << shift), 0);
            EXPECT_EQ(range.fresh, 0);
            EXPECT_EQ(range.writable, 0);
            uintptr_t start = (uintptr_t)range.mapping;
            uintptr_t end = start + range.mapped_bytes;
            size_t headers = range.count * sizeof(struct slab);
            size_t remote = range.count * (size_t)SLAB_REMOTE_BYTES;
            size_t tables = headers + remote + 2 * hbitmap_bytes(range.count);
            EXPECT_AT(range.headers + headers <= range.remote, bytes);
            EXPECT_AT(range.remote + remote < range.base, bytes);
            EXPECT_AT(range.base >= start + tables && range.base + range.span <= end, bytes);
            EXPECT_AT(end - range.base - range.span < (size_t)1 << shift, bytes);
            /* Slab 0 of a larger one lies on the border of a huge page. */
            size_t border = bytes < 64 << 20 ? (size_t)1 << shift : HUGE_PAGE_BYTES;
            EXPECT_AT(range.base % border == 0, bytes);
            EXPECT_AT(range.span + tables + tables / 16 + ((size_t)1 << shift) + border >= bytes,
                      bytes);
            EXPECT_AT(hbitmap_lowest(&range.empty) == SIZE_MAX, bytes);
            hbitmap_insert(&range.empty, range.count - 1);
            hbitmap_insert(&range.dirty, range.count - 1);
            EXPECT_AT(hbitmap_lowest(&range.empty) == range.count - 1, bytes);
            os_unmap(range.mapping, range.mapped_bytes);
        }
    }
}

Test(range, extends_in_steps_to_its_end_with_writable_headers) {
    quiet_os();
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        struct range range;
        size_t shift = slab_shift_of((enum zone_kind)kind);
        EXPECT(range_reserve(&range, (enum zone_kind)kind, (size_t)256 << 20));
        uint32_t steps = 0;
        while (range_extend(&range, (enum zone_kind)kind)) {
            uint32_t writable = range.writable;
            EXPECT(range_extend(&range, (enum zone_kind)kind));
            EXPECT_EQ(range.writable, writable); /* one is at hand: nothing more to do */
            for (; range.fresh < writable; range.fresh++) {
                range_slab(&range, range.fresh)->number = range.fresh;
                *(char *)(range.base + ((uintptr_t)range.fresh << shift)) = 1;
                *(char *)(range.base + ((uintptr_t)(range.fresh + 1) << shift) - 1) = 1;
            }
            steps++;
        }
        EXPECT_EQ(range.fresh, range.count);
        EXPECT_EQ(range.writable, range.count);
        EXPECT(steps <= 256 / 2);
    }
}
