/* Purpose: the whole heap verified: what each layer knows of itself, and who owns which slab.
 * Owns:    nothing but the scratch fields in the caches, guarded by the registry's lock.
 * Locking: all locks, in their order. So no slab changes hands, none is empty and then used; but
 *          the owner of a slab may be taking and freeing slots in it. Of such slabs a summary is
 *          allowed to differ in one word for each thread: that thread may have been stopped in the
 *          middle of malloc or free. */
#include "heap/heap.h"
#include "large/large.h"
#include "slab/depot.h"
#include "slab/verify.h"
#include "slab/zone.h"

/* Two words of one thread's slabs that disagree are a violation if they do so each time. */
enum { OPINIONS = 4, WORDS_IN_FLIGHT = 1 };

struct walk {
    struct violation *violation;
    struct cache *known; /* the last owner found in the registry */
    bool holds;
};

static bool is_still(const struct cache *cache) {
    return cache == cache_self || cache_is_borrowed(cache);
}

struct search {
    const struct cache *wanted;
    bool found;
};

static void compare(struct cache *cache, void *context) {
    struct search *search = context;
    search->found = search->found || cache == search->wanted;
}

static bool is_known(struct walk *walk, struct cache *owner) {
    struct search search = {owner, owner == walk->known};
    if (!search.found)
        cache_walk(compare, &search);
    walk->known = search.found ? owner : NULL;
    return search.found;
}

static bool verify_owned(struct walk *walk, struct slab *slab, struct violation *violation) {
    uintptr_t owner = load_seq_cst(&slab->owner);
    uint8_t state = load_acquire(&slab->state);
    struct cache *cache = owner_cache(owner);
    MUST_HOLD(is_known(walk, cache), "a slab's owner is no cache", zone_slab_memory(slab));
    MUST_HOLD(state != SLAB_SHELVED && state != SLAB_ORPHANED, "an owned slab is in a depot",
              zone_slab_memory(slab));
    if (state == SLAB_CLAIMED && cache_is_common(cache))
        return true; /* empty, on its way to the zone without the lock */
    cache->verify_slabs++;
    cache->verify_pending += (owner & OWNER_PENDING) != 0;
    if (state == SLAB_CLAIMED) {
        MUST_HOLD(!is_still(cache), "a slab never arrived at its owner", zone_slab_memory(slab));
        return true;
    }
    if (!slab_verify_shape(slab, violation))
        return false;
    if (is_still(cache))
        return slab_verify_bits(slab, violation);
    if (load_relaxed(&cache->state) == CACHE_LIVE)
        cache->verify_words += slab_count_disagreeing(slab);
    return true;
}

static bool visit(struct slab *slab, void *context) {
    struct walk *walk = context;
    if (load_relaxed(&slab->owner) != 0)
        walk->holds = verify_owned(walk, slab, walk->violation);
    return walk->holds;
}

static void clear_scratch(struct cache *cache, void *context) {
    (void)context;
    cache->verify_slabs = cache->verify_pending = cache->verify_words = 0;
}

static void verify_one(struct cache *cache, void *context) {
    struct walk *walk = context;
    if (!walk->holds)
        return;
    if (is_still(cache))
        walk->holds = cache_verify_still(cache, walk->violation);
    else if (load_relaxed(&cache->state) == CACHE_UNUSED)
        walk->holds = cache_verify_unused(cache, walk->violation);
}

static void most_words(struct cache *cache, void *context) {
    size_t *most = context;
    if (cache->verify_words > *most)
        *most = cache->verify_words;
}

/* Owners: each slab's exists and has it on one of its lists. */
static bool verify_owners(struct violation *violation) {
    struct walk walk = {violation, NULL, true};
    size_t disagreeing = WORDS_IN_FLIGHT + 1;
    for (unsigned i = 0; i < OPINIONS && disagreeing > WORDS_IN_FLIGHT; i++) {
        cache_walk(clear_scratch, NULL);
        zone_walk(visit, &walk);
        if (!walk.holds)
            return false;
        disagreeing = 0;
        cache_walk(most_words, &disagreeing);
    }
    MUST_HOLD(disagreeing <= WORDS_IN_FLIGHT, "summaries of a running thread's slabs deny the bits",
              NULL);
    cache_walk(verify_one, &walk);
    return walk.holds && cache_verify_unused(&cache_boot, violation) &&
           cache_verify_unused(&cache_dead, violation);
}

static bool verify_locked(struct violation *violation) {
    size_t shelved = 0;
    size_t on_shelves = 0;
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        if (!zone_verify((enum zone_kind)kind, &shelved, violation))
            return false;
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++) {
        if (!depot_verify(cls, violation))
            return false;
        on_shelves += depots[cls].count;
    }
    MUST_EQUAL(on_shelves, shelved, "a shelved slab is on no depot's shelf", depots);
    return cache_verify_registry(violation) && verify_owners(violation) &&
           large_verify(violation);
}

bool heap_verify(struct violation *violation) {
    if (!heap_is_set_up())
        return true; /* perhaps in part, by another thread or for want of memory */
    heap_lock_all();
    bool holds = verify_locked(violation);
    heap_unlock_all();
    return holds;
}

bool heap_verify_blocks(struct check_finding *finding) {
    if (!heap_is_set_up())
        return true; /* and no fork would wait for the locks */
    heap_lock_all();
    bool holds = check_verify_blocks(finding);
    heap_unlock_all();
    return holds;
}
