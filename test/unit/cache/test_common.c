/* Protects: the slabs of SMALL, which threads share by rows: a block goes back to the row it came
 * from, whoever frees it, once; a row takes slabs with room over from another one rather than new
 * ones, and slots that are in memory, of a larger class if need be, rather than new memory; free
 * pages go back while nobody allocates from their slabs and everybody may free in them; and a
 * signal handler inside of all this neither waits for ever nor gets what is in use. */
#include "../expect.h"

#include <pthread.h>
#include <string.h>

#include "cache/hot.h"
#include "heap/heap.h"
#include "slab/zone.h"

enum { BYTES = 5000, BLOCKS = 204 * 20, KEPT = 17 };

#include "thinned.h"

static unsigned cls;

static void set_up(void) {
    stay_here();
    quiet_os();
    heap_set_up();
    zones[ZONE_TINY].next_purge_ms = zones[ZONE_SMALL].next_purge_ms = UINT64_MAX;
    cls = class_of(BYTES);
    for (unsigned row = 0; row < 2; row++) {
        common_add_row(row);
        for (unsigned i = 0; i < ROW; i++) {
            common_enter(&commons[row * ROW + i])->next_look_ms = UINT64_MAX;
            common_leave(&commons[row * ROW + i]);
        }
    }
}

static struct common *row(unsigned number) {
    return &commons[number * ROW + common_place(cls)];
}

static struct slab *refill(struct common *common, bool may_grow) {
    struct slab *slab = cache_refill(common_enter(common), cls, may_grow);
    common_leave(common);
    return slab;
}

static char *take(struct common *common) {
    struct slab *slab = refill(common, true);
    size_t slot = SIZE_MAX;
    EXPECT(slab != NULL && slab_take(slab, &slot));
    return slab_slot_address(slab, slot);
}

static enum fault fault;

static void *free_in_thread(void *block) {
    fault = heap_free(block);
    return NULL;
}

static enum fault free_elsewhere(void *block) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, free_in_thread, block) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    return fault;
}

Test(common, a_block_goes_back_to_its_row_once_whoever_frees_it, .init = set_up) {
    char *of[2] = {take(row(0)), take(row(1))};
    struct slab *slabs[2] = {zone_find((uintptr_t)of[0]), zone_find((uintptr_t)of[1])};
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(common_of_slab(slabs[i]) == row(i));
        EXPECT_EQ(slab_count_free(slabs[i]), slabs[i]->slots - 1);
        EXPECT_EQ(i == 0 ? heap_free(of[i]) : free_elsewhere(of[i]), FAULT_NONE);
        EXPECT_EQ(slab_count_free(slabs[i]), slabs[i]->slots);
        EXPECT_EQ(slab_remote_bits(slabs[i])[0], 0);
        EXPECT(common_of_slab(slabs[i]) == row(i));
        EXPECT_EQ(heap_free(of[i]), FAULT_DOUBLE_FREE);
        EXPECT_EQ(free_elsewhere(of[i]), FAULT_DOUBLE_FREE);
        EXPECT_EQ(heap_free(of[i] + 16), FAULT_INTERIOR);
    }
    expect_whole();
}

Test(common, malloc_and_free_take_the_same_slots_hot_or_not, .init = set_up) {
    void *hot = NULL;
    char *first = heap_malloc(BYTES);
    EXPECT(hot_malloc_small(BYTES, &hot));
    EXPECT((char *)hot == first + size_classes[cls].slot_bytes || SLM_TORTURE);
    EXPECT(hot_free_small(hot));
    EXPECT(!hot_free_small(hot) && heap_free(hot) == FAULT_DOUBLE_FREE);
    EXPECT(!hot_free_small((char *)first + 16) && !hot_free_small(&hot) && !hot_free_small(NULL));
    EXPECT(heap_malloc(BYTES) == hot);
    EXPECT(hot_free_small(hot) && hot_free_small(first));
    expect_whole();
}

static char *take_warm(unsigned number, unsigned of) {
    lock_acquire_often(&row(number)->lock, RANK_COMMON);
    char *pointer = common_take_warm(row(number), of);
    lock_release_often(&row(number)->lock, RANK_COMMON);
    return pointer;
}

Test(common, a_block_comes_from_memory_that_is_there, .init = set_up) {
    char *first = take(row(0)), *second = take(row(0)), *third = take(row(0));
    EXPECT(take_warm(0, cls) == NULL); /* what is free was never used */
    EXPECT_EQ(heap_free(second), FAULT_NONE);
    EXPECT_EQ(heap_free(first), FAULT_NONE);
    EXPECT(take_warm(0, cls + 1) == NULL); /* that is too small */
    EXPECT(take_warm(0, cls - 1) == first);
    EXPECT_EQ(heap_free(first), FAULT_NONE);
    EXPECT(take_warm(0, cls) == first);
    EXPECT(take_warm(1, cls) == second);
    EXPECT(common_of_slab(zone_find((uintptr_t)second)) == row(0));
    EXPECT(take_warm(0, cls) == NULL && take_warm(1, cls) == NULL);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQ(heap_free(i == 0 ? first : i == 1 ? second : third), FAULT_NONE);
    expect_whole();
}

/* Those of a larger one begin anywhere. (5120 and 5632 bytes are multiples of 1024 and 512.) */
Test(common, an_aligned_block_comes_from_its_own_class, .init = set_up) {
    enum { ALIGNMENT = 1024 };
    unsigned next = class_of(BYTES) + 1;
    char *larger[2] = {heap_malloc(size_classes[next].slot_bytes),
                       heap_malloc(size_classes[next].slot_bytes)};
    void *block = heap_malloc(BYTES), *any = NULL, *aligned = NULL;
    EXPECT((uintptr_t)larger[1] % ALIGNMENT != 0 && size_classes[cls].slot_bytes % ALIGNMENT == 0);
    EXPECT_EQ(heap_free(larger[1]), FAULT_NONE);
    EXPECT(hot_malloc_small_aligned(bytes_for_aligned(BYTES, ALIGNMENT), &aligned));
    EXPECT(zone_find((uintptr_t)aligned)->cls == cls && (uintptr_t)aligned % ALIGNMENT == 0);
    EXPECT(hot_malloc_small(BYTES, &any));
    EXPECT(any == larger[1]);
    EXPECT(hot_free_small(any) && hot_free_small(aligned) && hot_free_small(block) &&
           hot_free_small(larger[0]));
    expect_whole();
}

Test(common, a_block_has_its_size_while_it_lives_and_nothing_is_pending, .init = set_up) {
    size_t slot_bytes = size_classes[cls].slot_bytes;
    char *block = heap_malloc(BYTES), *other = heap_malloc(BYTES);
    EXPECT_EQ(hot_usable_by_any(block), slot_bytes);
    EXPECT(hot_usable(block) == 0 && hot_usable_by_any(block + 16) == 0);
    struct common *common = common_of_slab(zone_find((uintptr_t)block));
    common_enter(common); /* it takes no lock */
    EXPECT_EQ(hot_usable_by_any(block), slot_bytes);
    EXPECT_EQ(heap_free(other), FAULT_NONE); /* as a signal handler */
    EXPECT(hot_usable_by_any(block) == 0 && hot_usable_by_any(other) == 0);
    EXPECT(heap_usable(block, &fault) == slot_bytes && fault == FAULT_NONE);
    EXPECT(heap_usable(other, &fault) == 0 && fault == FAULT_DOUBLE_FREE);
    common_leave(common);
    EXPECT(refill(common, true) != NULL);
    EXPECT(hot_usable_by_any(block) == slot_bytes && hot_usable_by_any(other) == 0);
    EXPECT(hot_free_small(block));
    EXPECT_EQ(hot_usable_by_any(block), 0);
    expect_whole();
}

Test(common, a_class_of_several_slabs_takes_slots_of_the_next_size_only, .init = set_up) {
    const struct slab *slab = zone_find((uintptr_t)take(row(0)));
    char *listed = take(row(0));
    cls++;
    char *next = take(row(0));
    cls++;
    char *larger = take(row(0));
    EXPECT_EQ(heap_free(larger), FAULT_NONE);
    cls -= 2;
    while (zone_find((uintptr_t)take(row(0))) == slab)
        ;
    EXPECT(take_warm(0, cls) == NULL);
    EXPECT_EQ(heap_free(next), FAULT_NONE);
    EXPECT(take_warm(0, cls) == next);
    EXPECT_EQ(heap_free(listed), FAULT_NONE);
    EXPECT_EQ(heap_free(listed + size_classes[cls].slot_bytes), FAULT_NONE);
    expect_whole();
    for (unsigned i = 0; i < 2; i++) { /* from a slab that stays listed, as full at last */
        EXPECT_EQ(slab->state, SLAB_PARTIAL);
        EXPECT(zone_find((uintptr_t)take_warm(0, cls)) == slab);
        expect_whole();
    }
    EXPECT_EQ(slab->state, SLAB_FULL);
    EXPECT(take_warm(0, cls) == NULL);
    expect_whole();
}

static void fill(struct common *common) {
    for (size_t i = 0; i < BLOCKS; i++)
        fill_block(i, take(common));
}

Test(common, a_slab_with_room_goes_to_the_row_that_needs_one, .init = set_up) {
    fill(row(0));
    size_t used = zones[ZONE_SMALL].used;
    struct slab *slab = zone_find((uintptr_t)blocks[0]);
    size_t freed = 0;
    EXPECT(slab != cache_current(&row(0)->cache, cls));
    EXPECT_EQ(heap_free(blocks[freed++]), FAULT_NONE);
    struct slab *other = refill(row(1), true);
    EXPECT(common_of_slab(other) == row(1) && other != slab); /* one slot is not worth it */
    EXPECT_EQ(zones[ZONE_SMALL].used, used + 1);
    size_t room = other->slots;
    while (freed < slab->slots / 2)
        EXPECT_EQ(heap_free(blocks[freed++]), FAULT_NONE);
    EXPECT(common_of_slab(slab) == row(0));
    for (; room > 0; room--)
        EXPECT(zone_find((uintptr_t)take(row(1))) == other);
    EXPECT(zone_find((uintptr_t)take(row(1))) == slab);
    EXPECT(common_of_slab(slab) == row(1));
    EXPECT_EQ(zones[ZONE_SMALL].used, used + 1);
    expect_whole();
    EXPECT_EQ(heap_free(blocks[freed]), FAULT_NONE);
    EXPECT_EQ(heap_free(blocks[freed]), FAULT_DOUBLE_FREE);
    expect_whole();
}

/* 5000 bytes lie in two or three pages. The torture build refuses a fifth of the purges. */
enum { PINNED = BLOCKS / KEPT * 3 * 4096 + (SLM_TORTURE ? BLOCKS * BYTES / 3 : 0) };

Test(common, a_trim_leaves_the_pages_of_what_lives, .init = set_up) {
    fill(row(0));
    thin_out();
    EXPECT(resident_bytes(ZONE_SMALL) >= (size_t)BLOCKS * BYTES);
    EXPECT(common_purge_pages() >= (size_t)BLOCKS * BYTES - PINNED - ((size_t)1 << 20));
    EXPECT(resident_bytes(ZONE_SMALL) <= PINNED);
    EXPECT_EQ(common_purge_pages(), 0); /* nothing was freed since */
    expect_contents();
    expect_whole();
    free_rest();
    expect_whole();
    heap_trim();
    EXPECT_EQ(zones[ZONE_SMALL].used, 0);
    EXPECT(resident_bytes(ZONE_SMALL) == 0 || SLM_TORTURE);
    expect_whole();
}

static void look(void) {
    row(0)->cache.next_look_ms = 0;
    common_look();
    expect_whole();
}

Test(common, what_is_sparse_for_two_looks_goes_and_so_does_an_idle_current_slab, .init = set_up) {
    fill(row(0));
    struct slab *current = cache_current(&row(0)->cache, cls);
    thin_out();
    look();
    EXPECT(resident_bytes(ZONE_SMALL) >= (size_t)BLOCKS * BYTES);
    EXPECT(cache_current(&row(0)->cache, cls) == current);
    for (unsigned i = 0; i < 8; i++) /* each gives back 8 MiB at most */
        look();
    EXPECT(resident_bytes(ZONE_SMALL) <= PINNED);
    EXPECT(cache_current(&row(0)->cache, cls) == &cache_no_slab);
    EXPECT(current->state == SLAB_PURGED);
    expect_contents();
    EXPECT(zone_find((uintptr_t)take(row(0)))->state == SLAB_CURRENT);
    expect_whole();
}

static void free_blocks(size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
}

/* With none of each class kept, an idle program holds little; but who allocates and frees a block
 * again and again keeps its slab. */
Test(common, a_current_slab_that_was_in_use_goes_when_it_is_empty, .init = set_up) {
    size_t slots = class_slots(cls, 0);
    const struct cache *cache = &row(common_row())->cache;
    for (size_t count = slots; count > slots / 2; count -= 7) {
        for (size_t i = 0; i < count; i++)
            blocks[i] = heap_malloc(BYTES);
        free_blocks(0, count / 3);
        for (size_t i = 0; i < count / 3; i++)
            blocks[i] = heap_malloc(BYTES);
        free_blocks(0, count - 1);
        EXPECT_AT(cache_current(cache, cls) != &cache_no_slab || SLM_TORTURE, count);
        free_blocks(count - 1, count);
        EXPECT_AT(cache_current(cache, cls) == &cache_no_slab, count);
        expect_whole();
    }
    for (size_t i = 0; i < 3 * slots; i++) {
        blocks[0] = heap_malloc(BYTES);
        free_blocks(0, 1);
        EXPECT_AT(cache_current(cache, cls) != &cache_no_slab || SLM_TORTURE, i);
    }
    expect_whole();
}

Test(common, in_a_slab_that_is_away_all_may_free_and_nobody_allocates, .init = set_up) {
    fill(row(0));
    struct cache *cache = common_enter(row(0));
    struct slab *slab = zone_find((uintptr_t)blocks[0]);
    size_t slots = slab->slots;
    EXPECT_EQ(slab->state, SLAB_FULL);
    cache_unlist(cache, slab);
    slab->state = SLAB_AWAY;
    slab->next = NULL;
    row(0)->away = slab;
    common_leave(row(0));
    expect_whole();
    for (size_t i = 0; i < slots; i++) {
        EXPECT_EQ(i % 2 == 0 ? heap_free(blocks[i]) : free_elsewhere(blocks[i]), FAULT_NONE);
        EXPECT_EQ(heap_free(blocks[i]), FAULT_DOUBLE_FREE);
    }
    EXPECT_EQ(slab->state, SLAB_AWAY);
    EXPECT_EQ(slab_count_free(slab), slots);
    EXPECT_EQ(common_purge_pages(), 0); /* one at a time */
    for (size_t i = 0; i < slots; i++)
        EXPECT(zone_find((uintptr_t)take(row(0))) != slab);
    expect_whole();
    common_after_fork(); /* the child of a fork in the middle of it */
    common_leave_all();
    EXPECT_EQ(slab->state, SLAB_EMPTY);
    expect_whole();
}

Test(common, a_signal_handler_inside_is_served_from_elsewhere, .init = set_up) {
    struct common *common = common_of(cls);
    char *block = heap_malloc(BYTES);
    struct slab *slab = zone_find((uintptr_t)block);
    size_t slot = SIZE_MAX;
    EXPECT(common_of_slab(slab) == common && slab_slot_at(slab, (uintptr_t)block, &slot));
    common_enter(common);
    char *other = heap_malloc(BYTES);
    EXPECT(other != NULL && zone_find((uintptr_t)other) == NULL);
    memset(other, 1, BYTES);
    EXPECT_EQ(heap_free(other), FAULT_NONE);
    EXPECT_EQ(heap_free(block), FAULT_NONE);
    EXPECT_EQ(heap_free(block), FAULT_DOUBLE_FREE);
    common_leave(common);
    EXPECT_EQ(heap_free(block), FAULT_DOUBLE_FREE);
    expect_whole();
    EXPECT_EQ(slab_count_free(slab), slab->slots - 1); /* until it is merged */
    EXPECT(refill(common, true) == slab);
    EXPECT_EQ(slab_count_free(slab), slab->slots);
    EXPECT_EQ(heap_free(block), FAULT_DOUBLE_FREE);
    expect_whole();
}

/* --- TINY, while there are many threads ------------------------------------------------------- */

enum { TINY_BYTES = 100 };

static void pretend_many(void) {
    set_up();
    store_relaxed(&cache_live_count, 100);
}

static struct common *tiny_row(void) { return common_of(class_of(TINY_BYTES)); }

static bool is_shared(const void *block) {
    return owner_cache(zone_find((uintptr_t)block)->owner) == &tiny_row()->cache;
}

/* Or the fork would let go of locks that other threads hold by then. */
Test(common, a_row_that_a_fork_handler_adds_is_held_like_the_others, .init = set_up) {
    unsigned added = 0;
    while (common_rows >> added & 1)
        added++;
    heap_lock_all();
    lock_set_forking(thread_id());
    common_add_row(added);
    for (unsigned i = 0; i < ROW; i++)
        EXPECT_AT(common_is_entered(&commons[added * ROW + i]), i);
    EXPECT(common_enter_if_free(row(added)) == NULL);
    lock_set_forking(0);
    heap_unlock_all();
    for (unsigned i = 0; i < ROW; i++)
        EXPECT_EQ(lock_holder(&commons[added * ROW + i].lock), 0);
    EXPECT_EQ(heap_free(take(row(added))), FAULT_NONE);
    expect_whole();
}

Test(common, threads_begin_with_slabs_that_they_share, .init = pretend_many) {
    void *shared[SHARED_CALLS];
    for (unsigned i = 0; i < SHARED_CALLS; i++) {
        shared[i] = heap_malloc(TINY_BYTES);
        EXPECT_AT(is_shared(shared[i]), i);
    }
    char *own = heap_malloc(TINY_BYTES);
    EXPECT(owner_cache(zone_find((uintptr_t)own)->owner) == cache_self);
    EXPECT_EQ(heap_free(own), FAULT_NONE);
    EXPECT(heap_malloc(TINY_BYTES) == own);
    expect_whole();
    for (unsigned i = 0; i < SHARED_CALLS; i++) {
        EXPECT_EQ(i % 2 == 0 ? heap_free(shared[i]) : free_elsewhere(shared[i]), FAULT_NONE);
        EXPECT_EQ(i % 2 == 0 ? free_elsewhere(shared[i]) : heap_free(shared[i]),
                  FAULT_DOUBLE_FREE);
        EXPECT_EQ(heap_free((char *)shared[i] + 16), FAULT_INTERIOR);
    }
    expect_whole();
    tiny_row()->cache.next_look_ms = 0;
    common_look();
    EXPECT_EQ(slab_remote_bits(zone_find((uintptr_t)shared[0]))[0], 0);
    EXPECT_EQ(heap_free(shared[0]), FAULT_DOUBLE_FREE);
    expect_whole();
}

Test(common, few_threads_share_no_slabs_of_theirs, .init = set_up) {
    store_relaxed(&cache_live_count, THREADS_FEW);
    EXPECT(!is_shared(heap_malloc(TINY_BYTES)));
}

Test(common, what_was_freed_in_shared_slabs_is_used_again, .init = pretend_many) {
    char *first = heap_malloc(TINY_BYTES);
    EXPECT_EQ(free_elsewhere(first), FAULT_NONE);
    EXPECT(heap_malloc(TINY_BYTES) == first || SLM_TORTURE); /* merged on the way */
    expect_whole();
}

Test(common, a_signal_handler_inside_gets_a_slab_of_its_thread, .init = pretend_many) {
    struct common *common = tiny_row();
    char *shared = heap_malloc(TINY_BYTES);
    common_enter(common);
    char *own = heap_malloc(TINY_BYTES);
    EXPECT(is_shared(shared) && !is_shared(own));
    EXPECT_EQ(heap_free(own), FAULT_NONE);
    EXPECT_EQ(heap_free(shared), FAULT_NONE);
    EXPECT_EQ(heap_free(shared), FAULT_DOUBLE_FREE);
    common_leave(common);
    expect_whole();
}
