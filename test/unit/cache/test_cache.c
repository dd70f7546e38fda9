/* Protects: the life of a slab in its owner's cache: refilled, full, worth allocating from again,
 * empty, given back; and the hot paths, which know all of that without a test of their own. */
#include "../expect.h"

#include <string.h>

#include "cache/hot.h"
#include "slab/depot.h"

enum { CLS = 5 }; /* 96 bytes */

static struct cache *cache;

static void set_up(void) {
    quiet_os();
    EXPECT(zone_init());
    zones[ZONE_TINY].next_purge_ms = zones[ZONE_SMALL].next_purge_ms = UINT64_MAX;
    cache = cache_create();
    EXPECT(cache != NULL && cache_self == cache);
}

static size_t slot_of(const struct slab *slab, const void *pointer) {
    size_t slot = SIZE_MAX;
    EXPECT(slab_slot_at(slab, (uintptr_t)pointer, &slot));
    return slot;
}

static size_t list_length(const struct slab *list, unsigned state) {
    size_t length = 0;
    const struct slab *before = NULL;
    for (; list != NULL; list = list->next) {
        EXPECT(list->prev == before);
        EXPECT_EQ(list->state, state);
        EXPECT(owner_cache(list->owner) == cache);
        before = list;
        length++;
    }
    return length;
}

/* The invariants of cache.h, for every class. */
static void expect_invariants(void) {
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++) {
        const struct bin *bin = &cache->bins[cls];
        const struct slab *current = cache_current(cache, cls);
        EXPECT(current != NULL);
        EXPECT(current == &cache_no_slab ||
               (current->state == SLAB_CURRENT && current->cls == cls));
        list_length(bin->lists[LIST_PARTIAL], SLAB_PARTIAL);
        list_length(bin->lists[LIST_SPARSE], SLAB_SPARSE);
        list_length(bin->lists[LIST_PURGED], SLAB_PURGED);
        list_length(bin->lists[LIST_FULL], SLAB_FULL);
    }
    for (size_t step = 0; step < FINE_STEPS; step++)
        EXPECT_AT(cache->fine[step] == cache_current(cache, fine_class_of_step[step]), step);
}

static void *take(unsigned cls) {
    struct slab *slab = cache_refill(cache, cls, true);
    EXPECT(slab != NULL && slab->cls == cls && slab == cache_current(cache, cls));
    size_t slot = SIZE_MAX;
    EXPECT(slab_take(slab, &slot));
    return slab_slot_address(slab, slot);
}

static void give(void *pointer) {
    struct slab *slab = zone_find((uintptr_t)pointer);
    cache_free_local(cache, slab, slot_of(slab, pointer));
}

Test(cache, no_slab_is_full_and_has_no_slots) {
    size_t slot;
    EXPECT_EQ(cache_no_slab.summary, 0);
    EXPECT_EQ(cache_no_slab.slots, 0);
    EXPECT(!slab_slot_at(&cache_no_slab, 0, &slot));
}

Test(cache, the_first_hot_calls_of_a_thread_find_nothing_and_change_nothing) {
    void *pointer = &pointer;
    EXPECT(cache_self == &cache_boot && !cache_is_live(cache_self));
    for (size_t bytes = 0; bytes <= FINE_MAX_BYTES; bytes++)
        EXPECT_AT(!hot_malloc_fine(bytes, &pointer), bytes);
    for (size_t bytes = FINE_MAX_BYTES + 1; bytes <= TINY_MAX_BYTES; bytes++)
        EXPECT_AT(!hot_malloc_coarse(bytes, &pointer), bytes);
    EXPECT(pointer == &pointer);
    EXPECT(zones[ZONE_TINY].range_count == 0);
}

Test(cache, a_refill_serves_all_sizes_of_its_class_and_no_other, .init = set_up) {
    void *pointer;
    expect_invariants();
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++) {
        EXPECT(cache_refill(cache, cls, true) == cache_current(cache, cls));
        expect_invariants();
    }
    for (size_t bytes = 0; bytes <= TINY_MAX_BYTES; bytes++) {
        bool full = cache_current(cache, class_of(bytes))->summary == 0;
        bool hot = bytes <= FINE_MAX_BYTES ? hot_malloc_fine(bytes, &pointer)
                                           : hot_malloc_coarse(bytes, &pointer);
        EXPECT_AT(hot == !full, bytes);
        if (full)
            pointer = take(class_of(bytes));
        struct slab *slab = zone_find((uintptr_t)pointer);
        EXPECT_EQ(slab->cls, class_of(bytes));
    }
}

Test(cache, slots_come_lowest_first_and_every_slab_is_used_up, .init = set_up) {
    struct slab *first = NULL;
    for (unsigned round = 0; round < 3; round++) {
        struct slab *slab = cache_refill(cache, CLS, true);
        EXPECT(slab != first && slab->state == SLAB_CURRENT);
        for (size_t slot = 0; slot < slab->slots; slot++) {
            void *pointer;
            EXPECT(hot_malloc_fine(90, &pointer));
            EXPECT_EQ(slot_of(slab, pointer), slot);
        }
        void *none;
        EXPECT(!hot_malloc_fine(90, &none));
        EXPECT_EQ(slab->summary, 0);
        first = slab;
    }
    cache_refill(cache, CLS, true);
    EXPECT_EQ(list_length(cache->bins[CLS].lists[LIST_FULL], SLAB_FULL), 3);
    EXPECT_EQ(list_length(cache->bins[CLS].lists[LIST_PARTIAL], SLAB_PARTIAL), 0);
    EXPECT_EQ(zones[ZONE_TINY].used, 4);
    expect_invariants();
}

/* full -> partial after a sixteenth of the slots -> sparse -> empty -> kept or given back */
Test(cache, a_slab_is_relinked_when_worth_it_and_given_back_when_empty, .init = set_up) {
    static void *pointers[3][SLAB_SLOTS_MAX];
    struct slab *slabs[3];
    for (unsigned i = 0; i < 3; i++) {
        slabs[i] = cache_refill(cache, CLS, true);
        for (size_t slot = 0; slot < slabs[i]->slots; slot++)
            pointers[i][slot] = take(CLS);
    }
    EXPECT(cache_refill(cache, CLS, true) != slabs[2]); /* now all three are full */
    uint32_t mark = cache_relink_mark(slabs[0]);
    EXPECT_EQ(mark, SLM_TORTURE ? 1 : slabs[0]->slots / RELINK_FRACTION);
    struct slab of_large_zone = {.slots = 1000, .slot_bytes = 64, .relink_fraction = 32};
    EXPECT_EQ(cache_relink_mark(&of_large_zone), SLM_TORTURE ? 1 : 31);
    for (unsigned i = 0; i < 2; i++) {
        for (uint32_t k = 0; k < mark; k++) {
            EXPECT_EQ(slabs[i]->state, SLAB_FULL);
            give(pointers[i][k]);
        }
        EXPECT_EQ(slabs[i]->state, SLAB_PARTIAL);
        expect_invariants();
    }
    EXPECT_EQ(list_length(cache->bins[CLS].lists[LIST_PARTIAL], SLAB_PARTIAL), 2);
    EXPECT_EQ(list_length(cache->bins[CLS].lists[LIST_FULL], SLAB_FULL), 1);
    for (size_t k = mark; k < slabs[0]->slots; k++) {
        bool sparse = k >= cache_sparse_mark(slabs[0]);
        EXPECT_AT(slabs[0]->state == (sparse ? SLAB_SPARSE : SLAB_PARTIAL), k);
        give(pointers[0][k]);
    }
    EXPECT_EQ(slabs[0]->state, SLAB_EMPTY);
    EXPECT_EQ(slabs[0]->owner, 0);
    EXPECT_EQ(zones[ZONE_TINY].used, 3);
    EXPECT_EQ(list_length(cache->bins[CLS].lists[LIST_PARTIAL], SLAB_PARTIAL), 1);
    expect_invariants();
}

/* The slab that has waited longest gives most; in a large zone those that wait are to drain. */
static void expect_order(uint8_t relink_fraction) {
    enum { SLABS = 5 };
    static void *pointers[SLABS][SLAB_SLOTS_MAX];
    struct slab *slabs[SLABS];
    for (unsigned i = 0; i < SLABS; i++) {
        slabs[i] = cache_refill(cache, CLS, true);
        for (size_t slot = 0; slot < slabs[i]->slots; slot++)
            pointers[i][slot] = take(CLS);
    }
    take(CLS);
    for (unsigned i = 0; i < SLABS; i++) {
        slabs[i]->relink_fraction = relink_fraction;
        for (size_t k = 0; k < slabs[i]->slots / 3; k++)
            give(pointers[i][k]);
        EXPECT_EQ(slabs[i]->state, SLAB_PARTIAL);
        expect_invariants();
    }
    bool oldest_first = relink_fraction == 0;
    for (size_t k = slabs[2]->slots / 3; k < slabs[2]->slots; k++)
        give(pointers[2][k]); /* one in the middle leaves the list */
    for (unsigned i = 0; i < SLABS; i++) {
        if (i == 2)
            continue;
        while (cache_current(cache, CLS)->summary != 0)
            take(CLS);
        take(CLS);
        EXPECT_AT(cache_current(cache, CLS) == slabs[oldest_first ? i : SLABS - 1 - i], i);
        expect_invariants();
    }
}

Test(cache, the_slab_that_was_partial_first_is_used_first, .init = set_up) { expect_order(0); }

Test(cache, in_a_large_zone_it_is_that_which_was_partial_last, .init = set_up) {
    expect_order(RELINK_FRACTION);
}

Test(cache, a_partial_slab_is_used_before_a_fresh_one, .init = set_up) {
    static void *pointers[SLAB_SLOTS_MAX];
    struct slab *slab = cache_refill(cache, CLS, true);
    size_t slots = slab->slots;
    for (size_t i = 0; i < slots; i++)
        pointers[i] = take(CLS);
    take(CLS);
    for (size_t i = 0; i < slots / 2; i++)
        give(pointers[i]);
    EXPECT_EQ(slab->state, SLAB_PARTIAL);
    while (cache_current(cache, CLS)->summary != 0)
        take(CLS);
    EXPECT(take(CLS) == pointers[0]);
    EXPECT_EQ(slab->state, SLAB_CURRENT);
    EXPECT_EQ(zones[ZONE_TINY].used, 2);
    expect_invariants();
}

Test(cache, frees_of_the_current_slab_never_end_its_countdown, .init = set_up) {
    struct slab *slab = cache_refill(cache, CLS, true);
    for (int i = 0; i < 100000; i++)
        give(take(CLS));
    EXPECT(cache_current(cache, CLS) == slab && slab->state == SLAB_CURRENT);
    EXPECT_EQ(cache->bins[CLS].frees + slab_frees_since_set(slab), 100000);
    slab->countdown = 1; /* as after two thousand million more */
    give(take(CLS));
    EXPECT(cache_current(cache, CLS) == slab && slab->state == SLAB_CURRENT);
    EXPECT(slab->countdown > 1000000);
    expect_invariants();
}

/* By the hot free, whose frees the summary does not see. */
static void *pointers[SLAB_SLOTS_MAX];
static struct slab *use_up_current(void) {
    struct slab *slab = cache_refill(cache, CLS, true);
    void *none;
    for (size_t i = 0; i < slab->slots; i++)
        EXPECT(hot_malloc_fine(90, &pointers[i]) && slot_of(slab, pointers[i]) == i);
    EXPECT(!hot_malloc_fine(90, &none));
    return slab;
}

static void free_unseen(size_t from, size_t count) {
    for (size_t i = from; i < from + count; i++)
        EXPECT(hot_free_tiny(pointers[i]));
}

Test(cache, a_current_slab_in_which_enough_was_freed_unseen_stays, .init = set_up) {
    struct slab *slab = use_up_current();
    unsigned mark = cache_relink_mark(slab);
    free_unseen(100, mark);
    EXPECT_EQ(slab->summary, 0);
    EXPECT(cache_refill(cache, CLS, false) == slab && slab->state == SLAB_CURRENT);
    for (size_t i = 100; i < 100 + mark; i++)
        EXPECT(take(CLS) == pointers[i]);
    EXPECT_EQ(slab_count_free(slab), 0);
    EXPECT_EQ(cache->bins[CLS].frees + slab_frees_since_set(slab), mark);
    expect_invariants();
}

Test(cache, few_slots_freed_unseen_are_not_lost, .init = set_up) {
    struct slab *slab = use_up_current();
    unsigned mark = cache_relink_mark(slab);
    size_t slots = slab->slots;
    free_unseen(100, mark - 1);
    EXPECT(cache_refill(cache, CLS, false) == NULL);
    EXPECT_EQ(slab->state, SLAB_FULL);
    free_unseen(0, mark);
    EXPECT_EQ(slab->state, SLAB_PARTIAL);
    EXPECT(cache_refill(cache, CLS, false) == slab);
    for (size_t i = 0; i < 2 * mark - 1; i++)
        EXPECT(take(CLS) == pointers[i < mark ? i : 100 + i - mark]);
    EXPECT(cache_refill(cache, CLS, false) == NULL);
    EXPECT_EQ(slab_count_free(slab), 0);
    free_unseen(0, slots);
    EXPECT_EQ(slab_count_free(slab), slots);
    EXPECT_EQ(slab->state, SLM_TORTURE ? SLAB_EMPTY : SLAB_SPARSE); /* the class's last is kept */
    expect_invariants();
}

Test(cache, random_life_keeps_the_invariants, .init = set_up) {
    static void *live[20000];
    size_t count = 0;
    uint64_t seed = 41;
    for (int step = 0; step < 200000; step++) {
        bool grow = (step / 20000) % 2 == 0;
        if (count == 0 || (count < 20000 && random_below(&seed, 4) < (grow ? 3u : 1u))) {
            live[count++] = take((unsigned)random_below(&seed, 12));
        } else {
            size_t i = random_below(&seed, count);
            give(live[i]);
            live[i] = live[--count];
        }
        if (step % 4096 == 0)
            expect_invariants();
    }
    while (count > 0)
        give(live[--count]);
    expect_invariants();
    /* Nothing lives: at most the current slab and one more of each class are kept. */
    EXPECT(zones[ZONE_TINY].used <= 2 * 12);
}

Test(cache, without_memory_a_refill_is_null_and_later_a_slab, .init = set_up) {
    os_inject(OS_COMMIT, 0, UINT32_MAX / 4);
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        EXPECT_AT(cache_refill(cache, cls, true) == NULL, cls);
    expect_invariants();
    os_inject(0, 0, 0);
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        EXPECT_AT(take(cls) != NULL, cls);
    expect_invariants();
}

Test(cache, one_that_is_destroyed_leaves_live_slabs_to_the_depots_only, .init = set_up) {
    void *kept = take(CLS);
    void *full = NULL;
    give(take(CLS + 1));
    struct slab *filled = cache_refill(cache, CLS + 2, true);
    for (size_t i = 0; i < filled->slots; i++)
        full = take(CLS + 2);
    struct slab *slab = zone_find((uintptr_t)kept);
    cache_destroy(cache);
    EXPECT(cache_self == &cache_dead);
    EXPECT_EQ(cache->state, CACHE_UNUSED);
    EXPECT_EQ(slab->state, SLAB_SHELVED);
    EXPECT_EQ(filled->state, SLAB_ORPHANED);
    EXPECT_EQ(slab->owner | filled->owner, 0);
    EXPECT_EQ(zones[ZONE_TINY].used, 2);
    struct cache *again = cache_create();
    EXPECT(again == cache); /* its memory is used again */
    EXPECT(cache_refill(cache, CLS, true) == slab);
    give(kept);
    EXPECT_EQ(cache_free_remote(cache, filled, slot_of(filled, full)), FAULT_NONE);
    EXPECT(owner_cache(filled->owner) == cache);
    expect_invariants();
}
