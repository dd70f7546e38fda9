/* Protects: a walk over the heap (slm_check_heap) finds every kind of damage, and names it; and
 * finds none in a heap that was only used. One thing is broken at a time, looked at, and mended
 * again. */
#include "../expect.h"

#include <pthread.h>
#include <string.h>

#include "core/options.h"
#include "heap/heap.h"
#include "large/extent.h"
#include "large/large.h"
#include "large/pagemap.h"
#include "slab/depot.h"
#include "slab/zone.h"

enum { BLOCKS = 6000, LARGE_BLOCKS = 12 };

static char *blocks[BLOCKS];
static char *large[LARGE_BLOCKS];
static struct violation violation;

static const char *found(void) {
    violation = (struct violation){0};
    return heap_verify(&violation) ? "" : violation.what;
}

static void expect_whole(void) {
    const char *what = found();
    cr_assert(*what == 0, "a heap that is whole: %s at %zx (%zx, expected %zx)", what,
              (size_t)violation.where, (size_t)violation.details[0],
              (size_t)violation.details[1]);
}

#define DAMAGE(field, value, phrase)                                                               \
    do {                                                                                           \
        __typeof__(field) kept_ = (field);                                                         \
        (field) = (value);                                                                         \
        const char *what_ = found();                                                               \
        (field) = kept_;                                                                           \
        cr_assert(strcmp(what_, phrase) == 0, "%s:%d: %s = %s is told as '%s'", __FILE__,          \
                  __LINE__, #field, #value, what_);                                                \
    } while (0)

static struct slab *slab_of(const void *pointer) { return zone_find((uintptr_t)pointer); }

/* What a thread leaves behind: slabs with free slots (shelved), full ones (orphaned), empty
 * ones. */
static char *shelved, *orphaned;

static void *leave_slabs(void *unused) {
    char *last = NULL;
    shelved = heap_malloc(1280);
    for (unsigned i = 0; i < 3000; i++) { /* several slabs of 1024 bytes, the first of them full */
        char *p = heap_malloc(1024);
        if (i == 0)
            orphaned = p;
        else if (i > 70 && i < 1000)
            heap_free(p);
        last = p;
    }
    return last != NULL ? unused : NULL;
}

static void set_up(void) {
    uint64_t state = 7;
    pthread_t thread;
    TEXT(complaints, 64);
    quiet_os();
    options_parse("background=off", &complaints); /* it would take the cache that is unused */
    EXPECT_EQ(complaints.used, 0);
    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = heap_malloc(random_below(&state, i % 8 == 0 ? 40000 : 600));
    for (unsigned i = 0; i < BLOCKS; i++)
        if (random_below(&state, 3) == 0) {
            heap_free(blocks[i]);
            blocks[i] = NULL;
        }
    for (unsigned i = 0; i < LARGE_BLOCKS; i++)
        large[i] = heap_malloc(((size_t)200 << 10) * (i + 1));
    for (unsigned i = 0; i < LARGE_BLOCKS; i += 3)
        heap_free(large[i]);
    EXPECT(pthread_create(&thread, NULL, leave_slabs, NULL) == 0);
    pthread_join(thread, NULL);
}

/* A block of 96 bytes in a slab that is this thread's current one. */
static struct slab *own_current(void) {
    struct slab *slab = slab_of(heap_malloc(96));
    EXPECT(slab->state == SLAB_CURRENT && slab->owner == (uintptr_t)cache_self);
    return slab;
}

TestSuite(verify, .init = set_up);

Test(verify, a_used_heap_is_whole) {
    expect_whole();
    uint64_t state = 99;
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < BLOCKS / 4; i++) {
            size_t at = random_below(&state, BLOCKS);
            heap_free(blocks[at]);
            blocks[at] = heap_malloc(random_below(&state, i % 40 == 0 ? 300000 : 700));
        }
        if (round % 8 == 0)
            heap_trim();
        expect_whole();
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        heap_free(blocks[i]);
    expect_whole();
}

Test(verify, headers) {
    struct slab *slab = own_current();
    DAMAGE(slab->cls, CLASS_COUNT, "a slab has no size class");
    DAMAGE(slab->cls, TINY_CLASSES + 3, "a slab has a class of another zone");
    DAMAGE(slab->slot_bytes, 112, "a slab's slots have another size");
    DAMAGE(slab->magic, slab->magic + 1, "a slab has another class's magic number");
    DAMAGE(slab->base, slab->base + 16, "a slab's first slot lies elsewhere");
    DAMAGE(slab->slots, slab->slots - 1, "a slab has another number of slots");
    DAMAGE(slab->limit, slab->limit - 1, "a slab takes other addresses for slots");
    DAMAGE(slab->hint_slot, SLAB_WORDS * 64 + 128, "a slab's hint is beyond its bits");
    DAMAGE(slab->bits[slab_words(slab)], 1, "words behind a slab's bits are set");
    DAMAGE(slab->never[0], 1, "words behind a slab's bits are set");
    DAMAGE(slab->never[1], 1, "words behind a slab's bits are set");
    DAMAGE(slab->number, slab->number + 1, "a slab has another's number");
    DAMAGE(slab->range, 1, "a slab names another range");
    DAMAGE(slab->zone, ZONE_SMALL, "a slab names another zone");
    DAMAGE(slab->remote_bits, slab->remote_bits + SLAB_WORDS, "a slab has another's remote bits");
    DAMAGE(slab->state, 77, "a slab has no state");
    DAMAGE(slab->state, SLAB_ORPHANED, "an owned slab is in a depot");
    DAMAGE(slab->state, SLAB_CLAIMED, "a slab never arrived at its owner");
    DAMAGE(slab->state, SLAB_PARTIAL, "a slab's state is not the list that it is on");
    DAMAGE(slab->countdown, 0, "a current slab's countdown is over");
    DAMAGE(slab->owner, (uintptr_t)&blocks, "a slab's owner is no cache");
    expect_whole();
}

Test(verify, bitmaps) {
    struct slab *slab = own_current();
    size_t last = slab->slots / 64;
    size_t word = bit_lowest(slab->summary);
    EXPECT(slab->slots % 64 != 0);
    DAMAGE(slab->summary, slab->summary ^ (uint64_t)1 << word, ""); /* as after a free */
    DAMAGE(slab->summary, slab->summary ^ (uint64_t)1 << slab_words(slab),
           "a slab's summary denies its bits");
    DAMAGE(slab->bits[word], slab->bits[word] ^ slab->bits[word],
           "a slab's summary denies its bits");
    DAMAGE(slab->bits[last], slab->bits[last] | (uint64_t)1 << 63,
           "a slot beyond the last is free");
    zone_remote_bits(slab);
    DAMAGE(slab->remote_bits[last], (uint64_t)1 << 63, "a slot beyond the last was freed remotely");
    DAMAGE(slab->remote_bits[word], slab->bits[word],
           "a slot is free twice, by its owner and remotely");
    expect_whole();
}

static struct slab *on_list(struct slab *(*pick)(const struct bin *bin)) {
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++) {
        struct slab *slab = pick(&cache_self->bins[cls]);
        if (slab != NULL)
            return slab;
    }
    cr_assert_fail("the heap has no such slab");
    return NULL;
}

static struct slab *two_full(const struct bin *bin) {
    struct slab *slab = bin->lists[LIST_FULL];
    return slab != NULL && slab->next != NULL ? slab : NULL;
}

static struct slab *two_partial(const struct bin *bin) {
    struct slab *slab = bin->lists[LIST_PARTIAL];
    return slab != NULL && slab->next != NULL ? slab : NULL;
}

static struct slab *a_purged(const struct bin *bin) { return bin->lists[LIST_PURGED]; }

Test(verify, lists_of_the_own_cache) {
    struct cache *cache = cache_self;
    /* Slabs of 1024 bytes, of which some stay full and some get room again. */
    static char *kept[64 * 18];
    for (size_t i = 0; i < 64 * 18; i++)
        kept[i] = heap_malloc(1024);
    for (size_t i = 0; i < 64 * 18; i++)
        if ((i / 128 % 2 == 0 && i % 2 == 0) || (i / 192 == 4 && i % 64 != 0))
            heap_free(kept[i]);
    expect_whole();
    struct slab *full = on_list(two_full);
    struct slab *partial = on_list(two_partial);
    struct bin *bin = &cache->bins[full->cls];
    /* Fewer slots than its mark may have been free, uncounted, when it was current no longer. */
    DAMAGE(full->countdown, full->countdown + cache_relink_mark(full) - 1, "");
    DAMAGE(full->countdown, full->countdown + cache_relink_mark(full),
           "a slab's countdown is wrong");
    DAMAGE(full->countdown, full->countdown - 1, "a slab's countdown is wrong");
    DAMAGE(partial->countdown, partial->countdown + cache_relink_mark(partial),
           "a slab's countdown is wrong");
    DAMAGE(partial->countdown, partial->countdown - 1, "a slab's countdown is wrong");
    DAMAGE(full->next->prev, NULL, "a cache's list is linked wrongly");
    DAMAGE(full->next, NULL, "a cache has lost a slab");
    DAMAGE(partial->next->prev, partial->next, "a cache's list is linked wrongly");
    DAMAGE(cache->bins[partial->cls].last_partial, full,
           "a cache takes another slab for its last partial one");
    cache_purge_pages(cache);
    expect_whole();
    struct slab *purged = on_list(a_purged);
    DAMAGE(purged->countdown, 0, "a purged slab's countdown does not end before it is empty");
    DAMAGE(purged->countdown, (uint32_t)purged->slots - slab_count_free(purged) + 1,
           "a purged slab's countdown does not end before it is empty");
    DAMAGE(bin->lists[LIST_FULL], partial, "a slab is listed under another class");
    DAMAGE(cache->fine[19], cache->fine[6], "the current slab of a size is not that of its class");
    DAMAGE(cache->fine[6], (struct slab *)&cache_no_slab, "a cache has lost a slab");
    DAMAGE(full->owner, (uintptr_t)&cache_shared, "a cache has lost a slab");
    DAMAGE(full->owner, (uintptr_t)cache | OWNER_PENDING, "a slab with remote frees is not queued");
    DAMAGE(cache->remote_queue, full, "a slab is queued twice, or not as pending");
    DAMAGE(cache_boot.fine[3], full, "a cache without a thread is not empty");
    DAMAGE(cache_dead.bins[2].lists[LIST_FULL], full, "a cache without a thread is not empty");
    expect_whole();
}

static struct slab *first_empty(enum zone_kind kind) {
    const struct range *range = &zones[kind].ranges[0];
    size_t number = hbitmap_lowest(&range->empty);
    EXPECT(number != SIZE_MAX);
    return range_slab(range, number);
}

Test(verify, zones) {
    static char *burst[64 * 8];
    for (unsigned i = 0; i < 64 * 8; i++)
        burst[i] = heap_malloc(896);
    for (unsigned i = 0; i < 64 * 8; i++)
        heap_free(burst[i]);
    struct zone *zone = &zones[ZONE_TINY];
    struct range *range = &zone->ranges[0];
    struct slab *used = own_current();
    struct slab *empty = first_empty(ZONE_TINY);
    DAMAGE(empty->owner, (uintptr_t)cache_self, "an empty slab has an owner");
    DAMAGE(empty->is_zero, !empty->is_zero, "an empty slab is dirty, or not, wrongly");
    DAMAGE(range->fresh, range->writable + 1, "a range's parts are out of order");
    DAMAGE(zone_map.tiny_base, range->base + 65536, "the map for the hot paths names another base");
    DAMAGE(zone_map.tiny_headers, range->headers + 64,
           "the map for the hot paths names other headers");
    DAMAGE(zone_map.tiny_span, zone_map.tiny_span - 65536,
           "the map for the hot paths names another span");
    DAMAGE(zone->used, zone->used + 1, "a zone counts its used slabs wrongly");
    DAMAGE(zone->dirty, zone->dirty + 1, "a zone counts its dirty slabs wrongly");
    DAMAGE(zone->purging, 1, "an empty slab is lost");
    uint64_t *top = range->empty.level[HBITMAP_LEVELS - 1];
    DAMAGE(*top, 0, "the set of empty slabs is broken");
    top = range->dirty.level[HBITMAP_LEVELS - 1];
    DAMAGE(*top, *top ^ (uint64_t)1 << 63, "the set of dirty slabs is broken");
    hbitmap_insert(&range->empty, used->number);
    EXPECT(strcmp(found(), "a used slab is among the empty") == 0);
    hbitmap_remove(&range->empty, used->number);
    hbitmap_insert(&range->dirty, used->number);
    EXPECT(strcmp(found(), "a used slab is among the dirty") == 0);
    hbitmap_remove(&range->dirty, used->number);
    bool dirty = hbitmap_has(&range->dirty, empty->number);
    hbitmap_remove(&range->empty, empty->number);
    hbitmap_insert(&range->dirty, empty->number);
    EXPECT(strcmp(found(), "a slab that is not among the empty is among the dirty") == 0);
    if (!dirty)
        hbitmap_remove(&range->dirty, empty->number);
    hbitmap_insert(&range->empty, empty->number);
    hbitmap_insert(&range->empty, range->fresh);
    EXPECT(strcmp(found(), "the set of empty slabs is broken") == 0);
    hbitmap_remove(&range->empty, range->fresh);
    if (!empty->is_zero)
        DAMAGE(empty->is_decommitted, 1, "a decommitted slab is not zero");
    expect_whole();
}

Test(verify, depots) {
    struct slab *on_shelf = slab_of(shelved);
    struct slab *full = slab_of(orphaned);
    struct depot *depot = &depots[on_shelf->cls];
    EXPECT(on_shelf->state == SLAB_SHELVED && full->state == SLAB_ORPHANED);
    DAMAGE(on_shelf->state, SLAB_PARTIAL, "a slab without owner is in no depot");
    DAMAGE(on_shelf->state, SLAB_ORPHANED, "an unowned slab is shelved, or not, wrongly");
    DAMAGE(full->state, SLAB_SHELVED, "an unowned slab is shelved, or not, wrongly");
    DAMAGE(on_shelf->prev, on_shelf, "a depot's shelf is linked wrongly");
    DAMAGE(depot->count, depot->count + 1, "a depot counts its slabs wrongly");
    DAMAGE(depot->count, 0, "a depot's shelf is longer than its count");
    DAMAGE(on_shelf->summary, on_shelf->summary ^ 2, "a slab's summary denies its bits");
    DAMAGE(on_shelf->owner, (uintptr_t)cache_self, "a slab on the shelf has an owner");
    struct slab *head = depot->shelf;
    depot->shelf = NULL;
    depot->count = 0;
    EXPECT(strcmp(found(), "a shelved slab is on no depot's shelf") == 0);
    depot->shelf = head;
    depot->count = 1;
    struct depot *other = &depots[on_shelf->cls + 1];
    depot->shelf = NULL;
    depot->count = 0;
    other->shelf = head;
    other->count++;
    EXPECT(strcmp(found(), "a slab is in another class's depot") == 0);
    other->shelf = NULL;
    other->count--;
    depot->shelf = head;
    depot->count = 1;
    expect_whole();
}

static void find_unused(struct cache *cache, void *found_one) {
    if (cache->state == CACHE_UNUSED)
        *(struct cache **)found_one = cache;
}

Test(verify, registry) {
    struct cache *cache = cache_self;
    DAMAGE(cache->thread, cache->thread + 64, "a cache is listed under another thread");
    DAMAGE(cache->state, CACHE_UNUSED, "an unused cache is listed under a thread");
    DAMAGE(cache->thread_next, cache, "the caches by thread are linked in a circle");
    struct cache *pooled = NULL; /* of the thread that ended */
    cache_walk(find_unused, &pooled);
    EXPECT(pooled != NULL);
    DAMAGE(pooled->state, CACHE_LIVE, "a cache in the pool is in use");
    DAMAGE(pooled->pool_next, pooled, "the pool of caches is linked in a circle");
    struct slab *slab = own_current();
    DAMAGE(slab->owner, (uintptr_t)pooled, "a slab's owner is a cache without a thread");
    DAMAGE(pooled->coarse[4], slab, "a cache without a thread is not empty");
    DAMAGE(pooled->all_next, NULL, "a cache in use is not listed under its thread");
    expect_whole();
}

Test(verify, large) {
    struct extent *live = pagemap_get((uintptr_t)large[4]);
    struct extent *freed = NULL;
    EXPECT(live != NULL && live->state == EXTENT_LIVE);
    for (unsigned i = 0; i < LARGE_BLOCKS; i += 3) {
        struct extent *e = extent_find((uintptr_t)large[i]);
        if (e != NULL && e->state == EXTENT_FREE)
            freed = e;
    }
    EXPECT(freed != NULL);
    DAMAGE(live->address, live->address + 4096,
           "the page map names an extent that starts elsewhere");
    DAMAGE(live->bytes, live->bytes + 1, "an extent is not of whole pages");
    DAMAGE(live->bytes, live->bytes - 4096, "a block is longer than its extent");
    live->used_bytes -= 4096;
    DAMAGE(live->bytes, live->bytes - 4096, "an extent's last page is not in the page map");
    DAMAGE(live->is_moved, !live->is_moved, "moved extents are counted wrongly");
    DAMAGE(live->state, EXTENT_BUSY, "an extent is neither live nor free");
    live->state = EXTENT_FREE;
    const char *what = found(); /* where the blocks lie is the system's choice */
    EXPECT(strcmp(what, "two free extents touch") == 0 ||
           strcmp(what, "free extents are counted wrongly") == 0);
    live->state = EXTENT_LIVE;
    DAMAGE(live->used_bytes, live->bytes + 1, "a block is longer than its extent");
    DAMAGE(freed->state, EXTENT_LIVE, "an extent in a bin is not free");
    DAMAGE(freed->bytes, freed->bytes * 4, "an extent is in another size's bin");
    DAMAGE(freed->bytes, freed->bytes + 1, "the bytes of free extents are counted wrongly");
    DAMAGE(freed->bin_prev, freed, "a bin is linked wrongly");
    DAMAGE(freed->bin_next, freed, "a bin is linked in a circle");
    DAMAGE(freed->older, freed, "the extents by age are linked wrongly");
    expect_whole();
}

/* A thread that holds a slab of its own; its slabs are verified as far as they can be. */
static pthread_barrier_t barrier;
static char *foreign;

static void *hold_a_slab(void *unused) {
    foreign = heap_malloc(640);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    heap_free(foreign);
    return unused;
}

Test(verify, slabs_of_a_running_thread) {
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    EXPECT(pthread_create(&thread, NULL, hold_a_slab, NULL) == 0);
    pthread_barrier_wait(&barrier);
    struct slab *slab = slab_of(foreign);
    EXPECT(owner_cache(slab->owner) != cache_self && slab->slots >= 66);
    DAMAGE(slab->slots, slab->slots - 1, "a slab has another number of slots");
    EXPECT((slab->summary & 3) == 3);
    DAMAGE(slab->summary, slab->summary ^ 3, ""); /* as after a free */
    DAMAGE(slab->bits[0], 0, ""); /* it may have been stopped in the middle */
    uint64_t bits = slab->bits[1];
    slab->bits[1] = 0;
    DAMAGE(slab->bits[0], 0, "summaries of a running thread's slabs deny the bits");
    slab->bits[1] = bits;
    expect_whole();
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    expect_whole();
}

/* Others allocate, free, hand over and end meanwhile: nothing that is whole is called broken. */
static char *exchange[256];
static uint8_t stop;

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 2654435761u + 1;
    while (!load_relaxed(&stop)) {
        size_t bytes = random_below(&state, 40) == 0 ? random_below(&state, 400000)
                                                     : random_below(&state, 900);
        char *mine = heap_malloc(bytes);
        char *old = exchange_acq_rel(&exchange[random_below(&state, 256)], mine);
        heap_free(old);
    }
    return NULL;
}

Test(verify, while_others_allocate) {
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        EXPECT(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0);
    for (unsigned i = 0; i < 300; i++)
        expect_whole();
    store_relaxed(&stop, 1);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect_whole();
    for (unsigned i = 0; i < 256; i++)
        heap_free(exchange[i]);
    expect_whole();
}
