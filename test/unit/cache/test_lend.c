/* Protects: what other threads free in the slabs of a thread that sleeps goes back to the system,
 * and is the sleeper's again when it wakes; what lives, or is the sleeper's own, stays; a thread
 * that calls is left alone; a forked child, and a free that comes twice meanwhile, lose nothing. */
#include "../expect.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/options.h"
#include "heap/heap.h"
#include "os/os.h"
#include "slab/zone.h"

enum { BYTES = 1024, BLOCKS = 64 * 200, KEPT = 40 };

#include "thinned.h"

static pthread_t sleeper;
static pthread_barrier_t turn;
static struct cache *sleepers_cache;

/* Fills, and sleeps until all is over but for the calls that the test wants. */
static void *fill_and_sleep(void *unused) {
    fill_all();
    sleepers_cache = cache_self;
    for (;;) {
        pthread_barrier_wait(&turn);
        pthread_barrier_wait(&turn);
        if (blocks[0] == NULL)
            return unused;
        cache_drain(cache_self);
    }
}

static void let_sleeper_work(void) {
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
}

static void end_sleeper(void) {
    blocks[0] = NULL;
    pthread_barrier_wait(&turn);
    pthread_join(sleeper, NULL);
}

static void set_up(void) {
    quiet_os();
    heap_set_up();
    zones[ZONE_TINY].next_purge_ms = zones[ZONE_SMALL].next_purge_ms = UINT64_MAX;
    pthread_barrier_init(&turn, NULL, 2);
    EXPECT(pthread_create(&sleeper, NULL, fill_and_sleep, NULL) == 0);
    pthread_barrier_wait(&turn);
}

/* As if another thread was giving the memory of these slots back. */
static void lend(struct slab *slab, size_t word, uint64_t bits) {
    cache_lending.is_busy = 1;
    cache_lending.slab = slab;
    cache_lending.taken[word] = bits;
}

/* A kept block may pin two pages; the slab that the sleeper allocates from is full, but for its
 * end. The torture build refuses a fifth of the purges. */
enum { PINNED = BLOCKS / KEPT * 2 * 4096 + (SLM_TORTURE ? BLOCKS * BYTES / 3 : 0) + (1 << 20) };

Test(lend, what_is_freed_in_a_sleepers_slabs_goes_back, .init = set_up) {
    thin_out();
    size_t before = resident_bytes(ZONE_TINY);
    EXPECT(before >= (size_t)BLOCKS * BYTES);
    size_t bytes = cache_purge_lent(cache_self, true);
    EXPECT(bytes >= before - PINNED);
    EXPECT(resident_bytes(ZONE_TINY) <= PINNED);
    expect_contents();
    expect_whole();
    EXPECT(SLM_TORTURE || cache_purge_lent(cache_self, true) == 0); /* there is no more of it */
    /* The sleeper wakes, merges, and all of it is free: all its slabs but few are empty. */
    size_t used = zones[ZONE_TINY].used;
    for (size_t i = KEPT; i < BLOCKS; i += KEPT)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    let_sleeper_work();
    EXPECT(zones[ZONE_TINY].used < used / 10);
    expect_whole();
    end_sleeper();
}

Test(lend, a_trim_does_it, .init = set_up) {
    thin_out();
    heap_trim();
    EXPECT(resident_bytes(ZONE_TINY) <= PINNED);
    expect_contents();
    end_sleeper();
}

Test(lend, whoever_merges_is_no_sleeper, .init = set_up) {
    cache_purge_lent(cache_self, false);
    for (size_t i = 0; i < BLOCKS / 2; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    blocks[0] = blocks[BLOCKS - 1];
    let_sleeper_work();
    for (size_t i = BLOCKS / 2; i < BLOCKS - 1; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    EXPECT_EQ(cache_purge_lent(cache_self, false), 0);
    EXPECT(cache_purge_lent(cache_self, false) >= (size_t)BLOCKS * BYTES / 3);
    end_sleeper();
}

/* Without anybody's asking: by who frees, when time has passed. */
Test(lend, frees_look_for_sleepers, .init = set_up) {
    TEXT(complaints, 128);
    size_t i = 1;
    options_parse("purge_delay=100", &complaints);
    EXPECT_EQ(complaints.used, 0);
    for (; i < BLOCKS / 2; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    size_t before = resident_bytes(ZONE_TINY);
    usleep(150000);
    for (; i < BLOCKS; i++) /* some 100 slabs are queued */
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
    EXPECT(resident_bytes(ZONE_TINY) <= before - (size_t)BLOCKS / 4 * BYTES);
    expect_whole();
    end_sleeper();
}

Test(lend, a_slot_lent_when_it_is_freed_again_is_told, .init = set_up) {
    struct slab *slab = zone_find((uintptr_t)blocks[100]);
    size_t slot;
    EXPECT(slab_slot_at(slab, (uintptr_t)blocks[100], &slot));
    EXPECT_EQ(heap_free(blocks[100]), FAULT_NONE);
    EXPECT_EQ(heap_free(blocks[101]), FAULT_NONE);
    uint64_t bits = slab->remote_bits[slot / 64];
    EXPECT(bits >> (slot % 64) & 1);
    store_relaxed(&slab->remote_bits[slot / 64], 0);
    EXPECT_EQ(heap_free(blocks[100]), FAULT_NONE);
    lend(slab, slot / 64, bits);
    cache_return_lent(cache_self);
    struct slab *late;
    size_t late_slot;
    EXPECT(heap_late_fault(&late, &late_slot));
    EXPECT(late == slab && late_slot == slot);
    EXPECT_EQ(slab->remote_bits[slot / 64], bits);
    expect_whole();
    end_sleeper();
}

Test(lend, a_forked_child_gives_back_what_was_lent, .init = set_up) {
    struct slab *slab = zone_find((uintptr_t)blocks[100]);
    size_t slot;
    EXPECT(slab_slot_at(slab, (uintptr_t)blocks[100], &slot));
    EXPECT_EQ(heap_free(blocks[100]), FAULT_NONE);
    uint64_t bits = slab->remote_bits[slot / 64];
    store_relaxed(&slab->remote_bits[slot / 64], 0);
    lend(slab, slot / 64, bits);
    pid_t child = fork();
    if (child == 0)
        _exit(slab_is_free(slab, slot) && !cache_is_lending() &&
                      heap_free(blocks[100]) == FAULT_DOUBLE_FREE
                  ? 0
                  : 1);
    int status;
    EXPECT(waitpid(child, &status, 0) == child);
    EXPECT_EQ(status, 0);
    EXPECT(cache_is_lending() && !slab_is_free(slab, slot)); /* here it is out still */
    cache_return_lent(cache_self);
    EXPECT(slab_is_free(slab, slot));
    end_sleeper();
}
