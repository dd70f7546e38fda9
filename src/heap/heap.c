/* Purpose: the slow ways of malloc, calloc and free. See heap.h. */
#include "heap/heap.h"

#include <string.h>

#include "cache/common.h"
#include "check/locks.h"
#include "core/account.h"
#include "heap/checked.h"
#include "heap/limits.h"
#include "heap/sampled.h"
#include "large/large.h"
#include "os/os.h"
#include "os/watch.h"
#include "slab/zone.h"

/* The short ways into a slab of a row that is entered, as cache/hot.h's are of a thread's own: for
 * while checks are on, when no thread has one. Most calls find what they need there; what is not
 * simple is refused, and then nothing has been changed. */
HOT_INLINE void *take_at_hand(const struct cache *cache, unsigned cls) {
    struct slab *slab = cache_current(cache, cls);
    void *pointer = NULL;
    size_t slot;
    if (LIKELY(!slab_is_interrupted(slab))) /* by a clone(2) that left another thread in here */
        slab_take_hinted(slab, &pointer, &slot);
    return pointer;
}

HOT_INLINE bool give_at_hand(struct cache *cache, struct slab *slab, uintptr_t address) {
    size_t slot;
    bool given = LIKELY(slab_slot_at(slab, address, &slot)) &&
                 LIKELY(slab_give(slab, address, slot));
    if (given && UNLIKELY(decrement_own(&slab->countdown) == 0))
        cache_countdown_over(cache, slab);
    return given;
}

/* A slab may turn out full when its summary is mended (slab_take). Bounded, for a signal handler
 * that interrupts a refill can damage its lists, and shall not find them without an end. */
enum { TAKES_MAX = 4 };

/* Takes a slot of the class, from the borrowed cache. `*is_zero`: it reads as zero. */
static void *take_slot(struct cache *cache, unsigned cls, bool may_grow, bool *is_zero) {
    for (int i = 0; i < TAKES_MAX; i++) {
        struct slab *slab = cache_refill(cache, cls, may_grow);
        size_t slot;
        if (UNLIKELY(slab == NULL))
            break;
        if (UNLIKELY(!slab_take(slab, &slot)))
            continue;
        *is_zero = slab->zone == ZONE_SMALL && slot >= slab->fresh_from;
        return slab_slot_address(slab, slot);
    }
    return NULL;
}

/* From the slabs that threads share. NULL: there is none, or this is a signal handler inside. */
static COLD void *take_shared(struct cache *cache, unsigned cls, bool may_grow, bool *is_zero) {
    struct common *common = common_of(cls);
    struct cache *shared = common_enter_if_free(common);
    if (UNLIKELY(shared == NULL))
        return NULL;
    void *pointer = take_slot(shared, cls, may_grow, is_zero);
    common_leave(common);
    cache_make_up(cache, cls);
    return pointer;
}

/* For a signal handler, which leaves alone what it has interrupted. */
static COLD void *take_aside(unsigned cls, bool *is_zero) {
    size_t slot_bytes = size_classes[cls].slot_bytes;
    return large_alloc(slot_bytes, lowest_power(slot_bytes), is_zero);
}

/* Whether the class's slab is to be left alone. One in so many calls does not: a handler that has
 * jumped out of what it interrupted leaves the slab so, and nobody will finish. */
enum { ASIDE_CALLS = 1000 };
static bool is_interrupted(struct cache *cache, unsigned cls) {
    return UNLIKELY(slab_is_interrupted(cache_current(cache, cls))) &&
           ++cache->aside_calls % ASIDE_CALLS != 0;
}

static void *take_own(unsigned cls, bool may_grow, bool *is_zero) {
    void *pointer = NULL;
    *is_zero = false;
    struct cache *cache = heap_borrow_cache();
    if (UNLIKELY(cache == NULL))
        return NULL;
    if (is_interrupted(cache, cls))
        pointer = take_aside(cls, is_zero);
    else if (UNLIKELY(common_serves(cache, cls)) && !cache_is_borrowed(cache))
        pointer = take_shared(cache, cls, may_grow, is_zero);
    if (LIKELY(pointer == NULL))
        pointer = take_slot(cache, cls, may_grow, is_zero);
    heap_return_grown_cache(cache);
    return pointer;
}

/* For what needs no cache of the thread's: SMALL, all while checks are on; with LARGE, the
 * background thread's and the limits' look at growth. False: the heap could not be set up. */
static bool prepare(void) {
    if (LIKELY(cache_self != &cache_boot) && LIKELY(load_own(&watch.grown) == 0))
        return true;
    struct cache *cache = heap_borrow_cache();
    if (cache != NULL)
        heap_return_grown_cache(cache);
    return cache != NULL;
}

/* While checks are on, which know what is in free memory, none goes for that. */
static void forget_growth(unsigned cls) {
    account_take_growth();
    if (cls < CLASS_COUNT)
        zone_take_growth((enum zone_kind)size_classes[cls].zone);
}

static COLD void make_up(unsigned cls) {
    if (cache_is_live(cache_self))
        cache_make_up(cache_self, cls);
    else
        forget_growth(cls);
    prepare();
}

/* This is a signal handler that has interrupted a change of them. */
static bool is_inside_zone(void) {
    return lock_holder(&zones[ZONE_TINY].lock) == thread_id() ||
           lock_holder(&zones[ZONE_SMALL].lock) == thread_id();
}

void heap_make_up_large(void) {
    if (!is_inside_zone())
        make_up(CLASS_COUNT);
}

/* NULL: the heap could not be set up, or this is a signal handler inside of it. */
static struct common *enter_row(unsigned cls) {
    struct common *common =
        common_of_row(UNLIKELY(load_relaxed(&check_active)) ? check_row() : common_row(), cls);
    return LIKELY(prepare()) && LIKELY(common_enter_if_free(common) != NULL) ? common : NULL;
}

static void *take_row(unsigned cls, bool may_grow, bool *is_zero) {
    struct common *common = enter_row(cls);
    if (UNLIKELY(common == NULL))
        return NULL;
    void *pointer = cls < TINY_CLASSES ? take_at_hand(&common->cache, cls) : NULL;
    *is_zero = false;
    if (pointer == NULL)
        pointer = take_slot(&common->cache, cls, may_grow, is_zero);
    common_leave(common);
    if (UNLIKELY((load_relaxed(&zones[ZONE_SMALL].growth) | load_relaxed(&account.growth)) != 0))
        make_up(cls);
    return pointer;
}

/* While checks are on no thread has a cache of its own, and TINY, too, is taken from the rows: with
 * one cache for all threads, two would do less than one. But a signal handler that has interrupted
 * a call there, or who calls between a fork's handlers, takes from that one. */
static void *take_of(unsigned cls, bool may_grow, bool *is_zero) {
    if (cls < TINY_CLASSES && LIKELY(!load_relaxed(&check_active)))
        return take_own(cls, may_grow, is_zero);
    void *pointer = take_row(cls, may_grow, is_zero);
    if (UNLIKELY(pointer == NULL) && cls < TINY_CLASSES && common_is_inside())
        pointer = take_own(cls, may_grow, is_zero);
    return pointer;
}

/* A slot of the class, from a new slab if need be. */
static void *take(unsigned cls, bool *is_zero) { return take_of(cls, true, is_zero); }

/* A slot that is there already, of any class above that is as well aligned. */
static void *take_larger(unsigned cls, bool *is_zero) {
    size_t alignment = lowest_power(size_classes[cls].slot_bytes);
    void *pointer = NULL;
    for (unsigned up = cls + 1; heap_is_set_up() && pointer == NULL && up < CLASS_COUNT; up++)
        if (size_classes[up].slot_bytes % alignment == 0)
            pointer = take_of(up, false, is_zero);
    return pointer;
}

/* What counts against the limit: pages inside of slabs in use do not, nor what the system charges
 * for empty slabs. */
static void reclaim_held(void) {
    struct cache *cache = heap_borrow_cache();
    if (cache != NULL) {
        cache_drain(cache);
        heap_return_cache(cache);
    }
    common_give_up_empty();
    large_purge();
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        zone_purge((enum zone_kind)kind, PURGE_EVERYTHING);
}

/* The system or the limit refused memory: gives back all that is free. */
static COLD void reclaim(void) {
    static uint64_t refused_before;
    uint64_t refused = load_relaxed(&account.refused);
    if (exchange_acq_rel(&refused_before, refused) != refused) {
        reclaim_held();
        return;
    }
    heap_trim();
    large_purge(); /* the addresses, too */
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        zone_decommit((enum zone_kind)kind);
}

/* No slab is to be had for the class: what else would do? */
static COLD void *try_elsewhere(unsigned cls, bool *is_zero) {
    const struct size_class *c = &size_classes[cls];
    reclaim();
    void *pointer = take(cls, is_zero);
    if (pointer == NULL)
        pointer = take_larger(cls, is_zero);
    if (pointer == NULL)
        pointer = large_alloc(c->slot_bytes, lowest_power(c->slot_bytes), is_zero);
    return pointer;
}

static COLD void *malloc_without_slab(unsigned cls, bool *is_zero) {
    if (cls >= TINY_CLASSES && common_is_inside())
        return take_aside(cls, is_zero);
    void *pointer = try_elsewhere(cls, is_zero);
    return pointer == NULL && limits_refused() ? try_elsewhere(cls, is_zero) : pointer;
}

static void *malloc_class(unsigned cls, bool *is_zero) {
    void *pointer = take(cls, is_zero);
    return LIKELY(pointer != NULL) ? pointer : malloc_without_slab(cls, is_zero);
}

static COLD void *malloc_large_again(size_t bytes, size_t alignment, bool *is_zero) {
    reclaim();
    void *pointer = large_alloc(bytes, alignment, is_zero); /* perhaps from what stayed */
    if (pointer != NULL || !limits_refused())
        return pointer;
    reclaim();
    return large_alloc(bytes, alignment, is_zero);
}

/* LARGE needs the heap set up, but no cache of the thread's. */
static void *malloc_large(size_t bytes, size_t alignment, bool *is_zero) {
    prepare(); /* without memory for slabs, a mapping may still be had */
    void *pointer = large_alloc(bytes, alignment, is_zero);
    if (UNLIKELY(pointer == NULL))
        pointer = malloc_large_again(bytes, alignment, is_zero);
    heap_note_large();
    return pointer;
}

HOT_INLINE void *malloc_raw(size_t bytes, size_t alignment, bool *is_zero) {
    unsigned cls = class_for(bytes, alignment);
    return cls < CLASS_COUNT ? malloc_class(cls, is_zero)
                             : malloc_large(bytes, alignment, is_zero);
}

void *heap_raw_malloc(size_t bytes, size_t alignment, bool *is_zero) {
    return malloc_raw(bytes, alignment, is_zero);
}

/* The word that each class's slots come from, until it has none left: at random within 64 slots,
 * which stay in the processor's cache, and those anywhere in the slab. Guarded by the row's
 * locks. */
static uint8_t random_words[ROWS_MAX][CLASS_COUNT];

/* From the row that is entered. */
static void *take_random(struct common *common, unsigned cls, uint64_t random, bool *is_zero) {
    uint8_t *word = &random_words[(common - commons) / ROW][cls];
    struct slab *slab = cache_current(&common->cache, cls);
    if (UNLIKELY(load_relaxed(&slab->summary) == 0))
        slab = cache_refill(&common->cache, cls, true);
    if (UNLIKELY(slab == NULL))
        return NULL;
    size_t slot = slab_take_random(slab, load_relaxed(&slab->summary), random, word);
    *is_zero = slab->zone == ZONE_SMALL && slot >= slab->fresh_from;
    return slab_slot_address(slab, slot);
}

static void *take_random_row(unsigned cls, uint64_t random, bool *is_zero) {
    struct common *common = enter_row(cls);
    if (UNLIKELY(common == NULL))
        return NULL;
    void *pointer = take_random(common, cls, random, is_zero);
    common_leave(common);
    return pointer;
}

void *heap_raw_malloc_random(size_t bytes, size_t alignment, uint64_t random, bool *is_zero) {
    unsigned cls = class_for(bytes, alignment);
    *is_zero = false;
    void *pointer = cls < CLASS_COUNT ? take_random_row(cls, random, is_zero) : NULL;
    return LIKELY(pointer != NULL) ? pointer : heap_raw_malloc(bytes, alignment, is_zero);
}

HOT_INLINE void *malloc_counted(size_t bytes, size_t alignment, bool *is_zero) {
    void *pointer = heap_count_if_sampling(bytes, alignment, is_zero);
    return pointer != NULL ? pointer : malloc_raw(bytes, alignment, is_zero);
}

void *heap_malloc(size_t bytes) {
    bool is_zero;
    if (UNLIKELY(load_relaxed(&check_active)))
        return checked_malloc(bytes, 0, CALL_MALLOC);
    return malloc_counted(bytes, MIN_ALIGNMENT, &is_zero);
}

void *heap_malloc_aligned(size_t bytes, size_t alignment) {
    bool is_zero;
    if (UNLIKELY(load_relaxed(&check_active)))
        return checked_malloc(bytes, alignment, CALL_ALIGNED_ALLOC);
    return malloc_counted(bytes, alignment, &is_zero);
}

void *heap_malloc_by(enum call call, size_t bytes, size_t alignment) {
    return checked_malloc(bytes, alignment, call);
}

/* Whole pages of a large block are given back rather than cleared: who asks for that much seldom
 * uses all of it, and what is not used costs no memory then. */
static void clear(void *pointer, size_t bytes) {
    size_t pages = bytes >= CLEAR_BY_PURGE_BYTES ? round_down(bytes, os_page_bytes) : 0;
    if (pages > 0 && !os_purge(pointer, pages))
        pages = 0;
    memset((char *)pointer + pages, 0, bytes - pages);
}

void *heap_calloc(size_t bytes) {
    bool is_zero = false;
    if (UNLIKELY(load_relaxed(&check_active)))
        return checked_malloc(bytes, 0, CALL_CALLOC);
    void *pointer = malloc_counted(bytes, MIN_ALIGNMENT, &is_zero);
    if (pointer != NULL && !is_zero)
        clear(pointer, bytes);
    return pointer;
}

static enum fault free_by_owner(struct slab *slab, uintptr_t address) {
    size_t slot;
    enum fault fault = slab_examine(slab, address, &slot);
    if (UNLIKELY(fault != FAULT_NONE))
        return fault;
    struct cache *cache = heap_borrow_cache(); /* never NULL: there is a slab */
    if (owner_cache(load_relaxed(&slab->owner)) == cache)
        cache_free_local(cache, slab, slot);
    else
        fault = cache_free_remote(cache, slab, slot);
    heap_return_cache(cache);
    return fault;
}

/* With its row entered. */
static enum fault free_in_row(struct cache *cache, struct slab *slab, uintptr_t address) {
    size_t slot;
    if (slab->zone == ZONE_TINY && LIKELY(give_at_hand(cache, slab, address)))
        return FAULT_NONE;
    enum fault fault = slab_examine(slab, address, &slot);
    if (LIKELY(fault == FAULT_NONE))
        cache_free_local(cache, slab, slot);
    return fault;
}

/* Of a slab that has been emptied, and taken: the block was free. */
static COLD enum fault free_of_nobody(struct slab *slab, uintptr_t address) {
    size_t slot;
    enum fault fault = slab_examine(slab, address, &slot);
    return fault != FAULT_NONE ? fault : FAULT_DOUBLE_FREE;
}

/* Where slabs belong to rows: all SMALL ones, and most of TINY while checks are on. */
static enum fault free_row(struct slab *slab, uintptr_t address) {
    for (;;) {
        struct common *common = common_of_slab(slab);
        if (slab->zone == ZONE_TINY && (common == NULL || !cache_is_common(&common->cache)))
            return free_by_owner(slab, address);
        if (UNLIKELY(common == NULL))
            return free_of_nobody(slab, address);
        struct cache *cache = common_enter_if_free(common);
        if (UNLIKELY(cache == NULL))
            return free_by_owner(slab, address); /* a signal handler: as in another thread's slab */
        bool same = LIKELY(common_of_slab(slab) == common);
        enum fault fault = same ? free_in_row(cache, slab, address) : FAULT_NONE;
        common_leave(common);
        if (LIKELY(same))
            return fault;
    }
}

enum fault heap_raw_free(void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    struct slab *slab = zone_find(address);
    if (slab == NULL) {
        sample_forget(pointer);
        return large_free(pointer);
    }
    return slab->zone == ZONE_SMALL || load_relaxed(&check_active) ? free_row(slab, address)
                                                                   : free_by_owner(slab, address);
}

enum fault heap_free(void *pointer) { return heap_free_by(CALL_FREE, pointer, NOTHING_TOLD); }

enum fault heap_free_by(enum call call, void *pointer, struct told told) {
    if (UNLIKELY(load_relaxed(&check_active)))
        return checked_free(pointer, call, told);
    return heap_raw_free(pointer);
}

size_t heap_raw_usable(const void *pointer, enum fault *fault) {
    uintptr_t address = (uintptr_t)pointer;
    size_t bytes = large_usable(pointer);
    *fault = FAULT_NONE;
    if (bytes != 0)
        return bytes;
    struct slab *slab = zone_find(address);
    if (slab == NULL) {
        uintptr_t start;
        *fault = large_examine(address, &start, &bytes);
    } else {
        size_t slot;
        *fault = slab_examine(slab, address, &slot);
        bytes = slab->slot_bytes;
    }
    return LIKELY(*fault == FAULT_NONE) ? bytes : 0;
}

size_t heap_usable(const void *pointer, enum fault *fault) {
    if (UNLIKELY(load_relaxed(&check_active)))
        return checked_usable(pointer, fault);
    return heap_raw_usable(pointer, fault);
}

static bool take_late_fault(struct cache *cache, struct slab **slab, size_t *slot) {
    *slab = load_relaxed(&cache->late_slab);
    if (LIKELY(*slab == NULL))
        return false;
    *slot = cache->late_slot;
    store_relaxed(&cache->late_slab, NULL);
    return true;
}

bool heap_late_fault(struct slab **slab, size_t *slot) {
    return take_late_fault(cache_self, slab, slot) ||
           take_late_fault(&cache_shared, slab, slot);
}

size_t heap_trim(void) {
    /* What other threads have freed in this thread's slabs may have emptied some. */
    struct cache *cache = heap_borrow_cache();
    size_t bytes = 0;
    if (cache != NULL) {
        cache_drain(cache);
        cache_request_purge(cache);
        heap_return_cache(cache);
        if (cache != &cache_shared)
            bytes += cache_purge_pages(cache) + cache_purge_shelves(cache) +
                     cache_purge_lent(cache, true);
        if (!load_relaxed(&check_active)) /* which knows what is in free slots */
            bytes += common_purge_pages();
    }
    bytes += large_purge_expired(UINT64_MAX);
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        bytes += zone_purge((enum zone_kind)kind, PURGE_EVERYTHING);
    return bytes;
}
