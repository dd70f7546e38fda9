/* Protects: memory that is free inside of slabs in use goes back: by request, in slabs of this
 * thread, of other threads and of nobody; and when the heap grows although it has memory of other
 * sizes; and when a slab has been sparse for a while. What was purged is used last, looked at again
 * when more of it is free, and released when it is empty. */
#include "../expect.h"

#include <pthread.h>
#include <string.h>

#include "core/options.h"
#include "heap/heap.h"
#include "os/os.h"
#include "slab/depot.h"
#include "slab/zone.h"

enum { BYTES = 1024, BLOCKS = 64 * 200, KEPT = 40 };

#include "thinned.h"

static void set_up(void) {
    quiet_os();
    heap_set_up();
    zones[ZONE_TINY].next_purge_ms = zones[ZONE_SMALL].next_purge_ms = UINT64_MAX;
    cache_self->next_look_ms = UINT64_MAX; /* nothing goes for its age, however slow the machine */
    store_relaxed(&option_values[OPTION_keep_free], OPTION_UNLIMITED);
}

static void choose(const char *options) {
    TEXT(complaints, 128);
    options_parse(options, &complaints);
    EXPECT_EQ(complaints.used, 0);
    cache_self->next_look_ms = 0;
}

static size_t resident_in_both(void) {
    return resident_bytes(ZONE_TINY) + resident_bytes(ZONE_SMALL);
}

/* A page that is pinned by a slot of 1 KiB may hold two. The torture build refuses a fifth of the
 * purges. */
enum { PINNED = BLOCKS / KEPT * 2 * 4096 + (SLM_TORTURE ? BLOCKS * BYTES / 3 : 0) };

Test(giveback, a_trim_leaves_the_pages_of_what_lives, .init = set_up) {
    fill_all();
    thin_out();
    size_t before = resident_in_both();
    EXPECT(before >= (size_t)BLOCKS * BYTES);
    size_t bytes = heap_trim();
    EXPECT(bytes >= before - PINNED - ((size_t)1 << 20));
    EXPECT(resident_in_both() <= PINNED);
    expect_contents();
    expect_whole();
    fill_all(); /* what was given back is used again */
    EXPECT(zones[ZONE_TINY].used <= (size_t)BLOCKS / 64 + BLOCKS / KEPT / 64 + 8);
    expect_whole();
}

Test(giveback, purged_slabs_are_used_last_and_released_when_empty, .init = set_up) {
    fill_all();
    thin_out();
    size_t used = zones[ZONE_TINY].used;
    cache_purge_pages(cache_self);
    unsigned cls = class_of(BYTES);
    const struct bin *bin = &cache_self->bins[cls];
    EXPECT(bin->lists[LIST_PURGED] != NULL && bin->lists[LIST_SPARSE] == NULL);
    struct slab *purged = bin->lists[LIST_PURGED];
    expect_whole();
    free_rest();
    expect_whole();
    EXPECT(purged->state == SLAB_EMPTY || purged->state == SLAB_SPARSE);
    EXPECT(bin->lists[LIST_PURGED] == NULL);
    EXPECT(zones[ZONE_TINY].used < used / 10);
}

static void *fill_and_thin_out(void *barrier) {
    heap_set_up();
    cache_self->next_look_ms = UINT64_MAX;
    fill_all();
    thin_out();
    if (barrier != NULL) {
        pthread_barrier_wait(barrier);
        pthread_barrier_wait(barrier);
        for (int i = 0; i < 2000; i++) /* it needs a slab now and then */
            EXPECT(heap_malloc(600) != NULL);
        pthread_barrier_wait(barrier);
        pthread_barrier_wait(barrier);
    }
    return NULL;
}

Test(giveback, slabs_of_ended_threads_are_purged_and_stay_in_the_depot, .init = set_up) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, fill_and_thin_out, NULL) == 0);
    pthread_join(thread, NULL);
    unsigned cls = class_of(BYTES);
    size_t shelved = depots[cls].count;
    EXPECT(shelved > 50);
    heap_trim();
    EXPECT(resident_in_both() <= PINNED);
    EXPECT_EQ(depots[cls].count, shelved);
    expect_contents();
    expect_whole();
    free_rest();
    expect_whole();
}

Test(giveback, another_thread_purges_when_it_needs_a_slab, .init = set_up) {
    pthread_t thread;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    EXPECT(pthread_create(&thread, NULL, fill_and_thin_out, &barrier) == 0);
    pthread_barrier_wait(&barrier);
    heap_trim();
    size_t before = resident_in_both();
    EXPECT(before >= (size_t)BLOCKS * BYTES * 9 / 10);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    EXPECT(resident_in_both() <= PINNED + ((size_t)4 << 20));
    expect_contents();
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    free_rest();
    expect_whole();
}

/* Refills of another class, in three slabs; the clock is asked at one in LOOK_CALLS. */
static void call_slow_ways(void) {
    static char *others[300];
    for (int round = 0; round < 8 * LOOK_CALLS; round++) {
        for (int i = 0; i < 300; i++)
            others[i] = heap_malloc(640);
        for (int i = 0; i < 300; i++)
            EXPECT_EQ(heap_free(others[i]), FAULT_NONE);
    }
}

Test(giveback, what_stays_sparse_goes_without_being_asked_for, .init = set_up) {
    fill_all();
    thin_out();
    choose("purge_delay=0"); /* nothing is too young */
    call_slow_ways();
    EXPECT(resident_in_both() <= PINNED + ((size_t)1 << 20));
    expect_contents();
    expect_whole();
}

Test(giveback, nothing_goes_for_its_age_if_purge_delay_is_never, .init = set_up) {
    fill_all();
    thin_out();
    size_t before = resident_in_both();
    choose("purge_delay=never");
    call_slow_ways();
    EXPECT(resident_in_both() >= before - ((size_t)1 << 20)); /* growth is made up for */
    expect_whole();
}

Test(giveback, an_empty_slab_that_nobody_came_back_for_is_given_up, .init = set_up) {
    unsigned cls = class_of(BYTES);
    size_t count = 2 * class_slots(cls, 0) + 1;
    for (size_t i = 0; i < count; i++)
        blocks[i] = heap_malloc(BYTES);
    for (size_t i = 0; i < count; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    struct bin *bin = &cache_self->bins[cls];
    EXPECT(SLM_TORTURE || bin->lists[LIST_SPARSE] != NULL); /* kept, but in torture */
    choose("purge_delay=0");
    call_slow_ways();
    EXPECT(bin->lists[LIST_SPARSE] == NULL);
    expect_whole();
}

/* No request: but a heap that grows makes up for it with what it has. */
Test(giveback, growth_is_made_up_for_by_what_is_free_in_other_classes, .init = set_up) {
    fill_all();
    thin_out();
    size_t before = resident_in_both();
    for (size_t bytes = 0; bytes < before; bytes += 512)
        memset(heap_malloc(512), 1, 512);
    EXPECT(resident_in_both() <= before + PINNED + ((size_t)1 << 20));
    expect_contents();
    expect_whole();
}

Test(giveback, growth_is_made_up_for_by_the_other_zone, .init = set_up) {
    fill_all();
    free_all();
    size_t before = resident_in_both();
    for (size_t bytes = 0; bytes < before; bytes += 8192)
        memset(heap_malloc(8192), 1, 8192);
    EXPECT(resident_in_both() <= before + KEEP_DIRTY_BYTES + ((size_t)2 << 20));
    expect_whole();
}

Test(giveback, a_heap_as_large_as_before_makes_no_system_calls, .init = set_up) {
    static char *others[BLOCKS / 8];
    stay_here();
    choose("purge_delay=never"); /* nor for its age */
    for (int round = 0; round < 6; round++) {
        if (round == 2)
            os_inject(OS_PURGE | OS_COMMIT | OS_MAP, 0, 1000000);
        fill_all();
        free_all();
        for (size_t i = 0; i < BLOCKS / 8; i++)
            others[i] = memset(heap_malloc(8192), 1, 8192);
        for (size_t i = 0; i < BLOCKS / 8; i++)
            EXPECT_EQ(heap_free(others[i]), FAULT_NONE);
    }
    EXPECT_EQ(os_injected(), 0);
}
