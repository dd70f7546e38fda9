/* Protects: frees across threads: a slab is queued once on its owner's queue, merged when the owner
 * needs slots, adopted when it has no owner; and a slot freed twice is found, whoever freed it
 * first. */
#include "../expect.h"

#include <pthread.h>

#include "cache/hot.h"
#include "heap/heap.h"
#include "slab/depot.h"

enum { BYTES = 96, BLOCKS = 200 };

static struct cache *cache;
static void *blocks[BLOCKS];
static struct slab *slab;

/* 200 blocks of this thread, all in its current slab. */
static void set_up(void) {
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = heap_malloc(BYTES);
        if (i == 0)
            os_inject(0, 0, 0);
    }
    cache = cache_self;
    slab = zone_find((uintptr_t)blocks[0]);
    EXPECT(cache_is_live(cache) && owner_cache(slab->owner) == cache);
    EXPECT(zone_find((uintptr_t)blocks[BLOCKS - 1]) == slab);
}

static void *call(void *context) {
    ((void (*)(void))context)();
    return NULL;
}

static void in_another_thread(void (*function)(void)) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, call, (void *)function) == 0);
    pthread_join(thread, NULL);
}

static enum fault faults[8];
static void *others[300];

static void free_first(void) { faults[0] = heap_free(blocks[0]); }

static void free_several(void) {
    for (unsigned i = 0; i < 100; i++)
        faults[0] |= heap_free(blocks[i]);
}

static size_t queue_length(void) {
    size_t length = 0;
    for (struct slab *at = cache->remote_queue; at != NULL; at = at->queue_next)
        length++;
    return length;
}

Test(remote, a_free_sets_a_bit_and_queues_the_slab_once, .init = set_up) {
    EXPECT_EQ(slab->owner, (uintptr_t)cache);
    in_another_thread(free_first);
    EXPECT_EQ(faults[0], FAULT_NONE);
    EXPECT_EQ(slab->owner, (uintptr_t)cache | OWNER_PENDING);
    EXPECT(cache->remote_queue == slab && slab->queue_next == NULL);
    EXPECT_EQ(slab_remote_bits(slab)[0], 1);
    EXPECT(slab_is_free(slab, 0));
    blocks[0] = blocks[101];
    in_another_thread(free_several);
    EXPECT_EQ(faults[0], FAULT_NONE);
    EXPECT_EQ(queue_length(), 1);
}

static bool expect_twice;

static bool free_short(void *block) {
    struct slab *in;
    enum hot_remote left =
        hot_find_tiny(block, &in) ? hot_free_remote(in, (uintptr_t)block) : REMOTE_IS_NOT_SIMPLE;
    if (left == REMOTE_TO_ANNOUNCE)
        cache_announce(cache_self, in);
    EXPECT_EQ(left == REMOTE_FREED_TWICE, expect_twice);
    return left != REMOTE_IS_NOT_SIMPLE;
}

static void free_hot(void) {
    heap_set_up();
    EXPECT(!free_short((char *)blocks[0] + 16) && !free_short(&faults));
    EXPECT(free_short(blocks[0]) && free_short(blocks[65]));
    expect_twice = true;
    EXPECT(free_short(blocks[0]) && heap_free(blocks[0]) == FAULT_DOUBLE_FREE);
    expect_twice = false;
    EXPECT(!free_short(blocks[1]) && heap_free(blocks[1]) == FAULT_DOUBLE_FREE);
    EXPECT(!free_short(heap_malloc(BYTES)));
}

Test(remote, the_short_way_does_the_same_and_leaves_faults_to_the_long_one, .init = set_up) {
    EXPECT_EQ(heap_free(blocks[1]), FAULT_NONE);
    EXPECT(!free_short(blocks[2])); /* its owner */
    in_another_thread(free_hot);
    EXPECT(cache->remote_queue == slab && slab->queue_next == NULL);
    EXPECT(slab->owner == ((uintptr_t)cache | OWNER_PENDING));
    EXPECT(slab_remote_bits(slab)[0] == 1 && slab_remote_bits(slab)[1] == 2);
    cache_drain(cache);
    EXPECT(slab_is_free(slab, 0) && slab_is_free(slab, 1) && slab_is_free(slab, 65));
}

static void free_hot_in_nobodys(void) {
    heap_set_up();
    EXPECT(!free_short(others[0]));
    cache_rescue_pending = 1;
    EXPECT(!free_short(blocks[0])); /* its owner may be a thread that was not forked along */
    cache_rescue_pending = 0;
}

static void take_one_and_end(void) { others[0] = heap_malloc(BYTES); }

Test(remote, the_short_way_is_not_for_slabs_without_a_thread, .init = set_up) {
    in_another_thread(take_one_and_end);
    in_another_thread(free_hot_in_nobodys);
    EXPECT_EQ(heap_free(others[0]), FAULT_NONE);
    EXPECT_EQ(heap_free(blocks[0]), FAULT_NONE);
}

static size_t usable_there[4];

static void ask_sizes(void) {
    heap_set_up();
    usable_there[0] = hot_usable(blocks[2]);
    usable_there[1] = hot_usable_by_any(blocks[2]);
    usable_there[2] = hot_usable_by_any(blocks[1]);
    usable_there[3] = hot_usable_by_any((char *)blocks[2] + 16);
}

/* While its slab has remote frees pending, or nobody owns it, it takes the long way to know. */
Test(remote, another_thread_s_block_has_its_size_while_it_lives, .init = set_up) {
    EXPECT(hot_usable(blocks[2]) == BYTES && hot_usable_by_any(blocks[2]) == BYTES);
    EXPECT_EQ(heap_free(blocks[1]), FAULT_NONE);
    in_another_thread(ask_sizes);
    EXPECT_EQ(usable_there[0], 0);
    EXPECT_EQ(usable_there[1], BYTES);
    EXPECT(usable_there[2] == 0 && usable_there[3] == 0);
    EXPECT(hot_usable_by_any(NULL) == 0 && hot_usable_by_any(&cache) == 0);

    in_another_thread(free_first);
    EXPECT_EQ(hot_usable_by_any(blocks[2]), 0);
    EXPECT_EQ(heap_usable(blocks[2], &faults[0]), BYTES);
    EXPECT(heap_usable(blocks[0], &faults[0]) == 0 && faults[0] == FAULT_DOUBLE_FREE);
    cache_drain(cache);
    EXPECT_EQ(hot_usable_by_any(blocks[2]), BYTES);
    EXPECT_EQ(hot_usable_by_any(blocks[0]), 0);

    in_another_thread(take_one_and_end);
    EXPECT_EQ(hot_usable_by_any(others[0]), 0);
    EXPECT_EQ(heap_usable(others[0], &faults[0]), BYTES);
}

Test(remote, the_owner_merges_when_it_drains, .init = set_up) {
    in_another_thread(free_several);
    unsigned free_before = slab_count_free(slab);
    uint64_t frees = cache->bins[slab->cls].frees;
    cache_drain(cache);
    EXPECT_EQ(slab_count_free(slab), free_before + 100);
    EXPECT_EQ(cache->bins[slab->cls].frees, frees + 100);
    EXPECT_EQ(slab->owner, (uintptr_t)cache);
    EXPECT(cache->remote_queue == NULL);
    EXPECT_EQ(slab_remote_bits(slab)[0] | slab_remote_bits(slab)[1], 0);
    for (unsigned i = 0; i < 100; i++)
        EXPECT_AT(heap_malloc(BYTES) == blocks[i], i);
}

Test(remote, the_owner_comes_back_to_remotely_freed_slots_before_a_new_slab, .init = set_up) {
    void *pointer;
    in_another_thread(free_several);
    while (hot_malloc_fine(BYTES, &pointer))
        EXPECT(zone_find((uintptr_t)pointer) == slab);
    EXPECT(heap_malloc(BYTES) == blocks[0]);
    EXPECT_EQ(zones[ZONE_TINY].used, 1);
}

Test(remote, the_owner_s_own_frees_go_on_while_the_slab_is_queued, .init = set_up) {
    in_another_thread(free_first);
    for (unsigned i = 1; i < BLOCKS; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    cache_drain(cache);
    EXPECT_EQ(slab_count_free(slab), slab->slots);
}

/* --- double frees ---- */

Test(remote, freed_here_then_there_is_found_there, .init = set_up) {
    EXPECT_EQ(heap_free(blocks[0]), FAULT_NONE);
    in_another_thread(free_first);
    EXPECT_EQ(faults[0], FAULT_DOUBLE_FREE);
    EXPECT_EQ(slab_remote_bits(slab)[0], 0);
}

Test(remote, freed_there_then_here_is_found_here, .init = set_up) {
    in_another_thread(free_first);
    void *pointer = blocks[0];
    unsigned free_before = slab_count_free(slab);
    EXPECT_EQ(heap_free(pointer), FAULT_DOUBLE_FREE);
    EXPECT_EQ(slab_count_free(slab), free_before);
    EXPECT_EQ(slab_remote_bits(slab)[0], 1);
}

static void free_first_again(void) { faults[1] = heap_free(blocks[0]); }

Test(remote, freed_there_then_elsewhere_is_found_elsewhere, .init = set_up) {
    in_another_thread(free_first);
    in_another_thread(free_first_again);
    EXPECT_EQ(faults[0], FAULT_NONE);
    EXPECT_EQ(faults[1], FAULT_DOUBLE_FREE);
    cache_drain(cache);
    in_another_thread(free_first_again);
    EXPECT_EQ(faults[1], FAULT_DOUBLE_FREE);
}

static void free_inside(void) {
    faults[0] = heap_free((char *)blocks[0] + 16);
    faults[1] = heap_free((char *)(slab->base + slab->slots * slab->slot_bytes));
}

Test(remote, an_interior_pointer_is_found_there_too, .init = set_up) {
    in_another_thread(free_inside);
    EXPECT_EQ(faults[0], FAULT_INTERIOR);
    EXPECT_EQ(faults[1], FAULT_PADDING);
    EXPECT(cache->remote_queue == NULL);
}

/* Two threads at once: both got past the first check. Only the merge can tell. */
Test(remote, a_race_of_two_frees_is_found_when_they_are_merged, .init = set_up) {
    struct slab *found = NULL;
    size_t slot = SIZE_MAX;
    EXPECT(!heap_late_fault(&found, &slot));
    in_another_thread(free_first);
    slab_give_slot(slab, 0);
    cache_drain(cache);
    EXPECT(heap_late_fault(&found, &slot));
    EXPECT(found == slab && slot == 0);
    EXPECT(!heap_late_fault(&found, &slot)); /* told once */
}

/* --- threads that end ---- */

static enum fault late_fault;

/* As in a forked child: the slab's owner is a thread that was not copied. */
static void rescue_all(void) {
    struct slab *found;
    size_t slot = 0;
    heap_free(heap_malloc(1)); /* this thread has a cache */
    cache_mark_vanished(cache_self);
    while (cache_rescue_some(cache_self))
        continue;
    bool told = heap_late_fault(&found, &slot);
    late_fault = told && found == slab && slot == 7 ? FAULT_LATE_DOUBLE : FAULT_NONE;
}

Test(remote, a_race_of_two_frees_is_found_when_a_vanished_thread_s_slab_is_rescued,
     .init = set_up) {
    heap_free(blocks[7]);
    /* Which free of slot 7 came first, can't be told. */
    zone_remote_bits(slab)[0] = (uint64_t)1 << 7;
    in_another_thread(rescue_all);
    EXPECT_EQ(late_fault, FAULT_LATE_DOUBLE);
    EXPECT(slab->owner == 0 && slab->state == SLAB_SHELVED);
}

static void allocate_some(void) {
    for (unsigned i = 0; i < 300; i++)
        others[i] = heap_malloc(BYTES);
}

Test(remote, a_thread_that_ends_leaves_its_slabs_to_whoever_frees, .init = set_up) {
    in_another_thread(allocate_some);
    struct slab *theirs = zone_find((uintptr_t)others[0]);
    EXPECT(theirs != slab);
    EXPECT_EQ(theirs->owner, 0);
    EXPECT_EQ(theirs->state, SLAB_SHELVED);
    EXPECT_EQ(depots[theirs->cls].count, 1);
    EXPECT_EQ(heap_free(others[7]), FAULT_NONE);
    EXPECT(owner_cache(theirs->owner) == cache);
    EXPECT_EQ(depots[theirs->cls].count, 0);
    EXPECT_EQ(heap_free(others[7]), FAULT_DOUBLE_FREE);
    for (unsigned i = 0; i < 300; i++)
        EXPECT_AT(i == 7 || heap_free(others[i]) == FAULT_NONE, i);
    EXPECT_AT(theirs->state == SLAB_EMPTY || slab_count_free(theirs) == theirs->slots,
              theirs->state);
}

static struct slab *slab_of_next_thread;

static void allocate_one(void) { slab_of_next_thread = zone_find((uintptr_t)heap_malloc(BYTES)); }

Test(remote, a_thread_that_ends_leaves_its_slabs_to_the_next_that_allocates, .init = set_up) {
    in_another_thread(allocate_some);
    struct slab *theirs = zone_find((uintptr_t)others[0]);
    in_another_thread(allocate_one);
    EXPECT(slab_of_next_thread == theirs);
    EXPECT_EQ(zones[ZONE_TINY].used, 2);
    EXPECT_EQ(slab_count_free(theirs), theirs->slots - 301);
}

static void allocate_and_free(void) {
    allocate_some();
    for (unsigned i = 0; i < 300; i++)
        faults[0] |= heap_free(others[i]);
}

Test(remote, many_threads_that_free_all_leave_nothing_behind, .init = set_up) {
    for (int i = 0; i < 500; i++)
        in_another_thread(allocate_and_free);
    EXPECT_EQ(faults[0], FAULT_NONE);
    EXPECT_EQ(zones[ZONE_TINY].used, 1);
    EXPECT(zones[ZONE_TINY].used_peak <= 2);
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        EXPECT_EQ(depots[cls].count, 0);
}

Test(remote, threads_whose_only_act_is_a_free, .init = set_up) {
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[0] = blocks[i];
        in_another_thread(free_first);
        EXPECT_EQ(faults[0], FAULT_NONE);
    }
    cache_drain(cache);
    EXPECT_EQ(slab_count_free(slab), slab->slots);
}

/* --- many at once ---- */

enum { RING = 1024, ROUNDS = 200000 };

static void *ring[RING];
static uint64_t wrong;

static void consume(void) {
    for (size_t i = 0; i < ROUNDS; i++) {
        void *pointer;
        while ((pointer = exchange_acq_rel(&ring[i % RING], NULL)) == NULL)
            sched_yield();
        wrong += heap_free(pointer) != FAULT_NONE;
    }
}

Test(remote, a_producer_and_a_consumer_lose_no_slot, .init = set_up, .timeout = 120) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, call, (void *)consume) == 0);
    for (size_t i = 0; i < ROUNDS; i++) {
        void *pointer = heap_malloc(BYTES);
        while (load_acquire(&ring[i % RING]) != NULL)
            sched_yield();
        store_release(&ring[i % RING], pointer);
    }
    pthread_join(thread, NULL);
    EXPECT_EQ(wrong, 0);
    for (unsigned i = 0; i < BLOCKS; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    cache_drain(cache);
    EXPECT(cache->remote_queue == NULL);
    size_t live = 0;
    for (struct slab *at = cache->bins[slab->cls].lists[LIST_FULL]; at != NULL; at = at->next)
        live += at->slots - slab_count_free(at);
    for (struct slab *at = cache->bins[slab->cls].lists[LIST_PARTIAL]; at != NULL; at = at->next)
        live += at->slots - slab_count_free(at);
    struct slab *current = cache_current(cache, class_of(BYTES));
    EXPECT_EQ(live + current->slots - slab_count_free(current), 0);
}
