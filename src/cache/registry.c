/* Purpose: caches come and go with their threads.
 * Owns:    the list of all caches and the pool of unused ones; the three static caches.
 * Locking: RANK_REGISTRY for both lists. A cache's memory stays a cache for ever, so that a
 *          pointer to one read from a slab's `owner` can be followed without a lock. */
#include "cache/cache.h"

#include <string.h>

#include "cache/common.h"
#include "os/metadata.h"
#include "slab/depot.h"
#include "slab/zone.h"

const struct slab cache_no_slab = {.slot_bytes = 1};

#define NO_SLAB ((struct slab *)&cache_no_slab)
#define EMPTY_CACHE                                                                               \
    {                                                                                             \
        .fine = {[0 ... FINE_STEPS - 1] = NO_SLAB},                                               \
        .coarse = {[0 ... COARSE_CLASSES - 1] = NO_SLAB},                                         \
        .end_class = TINY_CLASSES,                                                                \
        .state = CACHE_LIVE                                                                       \
    }

struct cache cache_boot = EMPTY_CACHE;
struct cache cache_dead = EMPTY_CACHE;
struct cache cache_shared = EMPTY_CACHE;

__thread struct cache *cache_self __attribute__((tls_model("initial-exec"))) = &cache_boot;

uint32_t cache_live_count;

enum { BUCKETS = 256 };

static struct {
    struct lock lock;
    struct cache *all; /* written with release: walks take no lock */
    struct cache *pool;
    struct cache *by_thread[BUCKETS]; /* live caches, linked by thread_next */
} registry;

static struct cache **bucket_of(uintptr_t thread) {
    /* Control blocks lie at the same place in stacks of a few sizes: mix the high bits in. */
    return &registry.by_thread[(thread >> 6 ^ thread >> 14 ^ thread >> 23) % BUCKETS];
}

/* With the registry's lock held: the live cache of that thread, or NULL. */
static struct cache *find_by_thread(uintptr_t thread) {
    struct cache *cache = *bucket_of(thread);
    while (cache != NULL && (cache->thread != thread || cache->state != CACHE_LIVE))
        cache = cache->thread_next;
    return cache;
}

static void enter_thread(struct cache *cache, uintptr_t thread) {
    struct cache **bucket = bucket_of(thread);
    store_relaxed(&cache->thread, thread); /* reports look without the lock */
    cache->thread_next = *bucket;
    *bucket = cache;
}

static void leave_thread(struct cache *cache) {
    struct cache **link = bucket_of(cache->thread);
    while (*link != cache)
        link = &(*link)->thread_next;
    *link = cache->thread_next;
}

AT_START void cache_clear(struct cache *cache) {
    for (size_t step = 0; step < FINE_STEPS; step++)
        cache->fine[step] = NO_SLAB;
    for (unsigned i = 0; i < COARSE_CLASSES; i++)
        cache->coarse[i] = NO_SLAB;
    for (unsigned i = 0; i < TINY_CLASSES; i++) {
        memset(cache->bins[i].lists, 0, sizeof cache->bins[i].lists);
        cache->bins[i].seen = 0;
    }
}

/* With the registry's lock held: makes `cache` the live cache of the calling thread. */
static AT_START void make_live(struct cache *cache) {
    enter_thread(cache, thread_id());
    store_relaxed(&cache->state, CACHE_LIVE);
    store_relaxed(&cache_live_count, cache_live_count + 1);
}

/* One that exists already, live: of a dead thread nobody told us of, or from the pool. */
static struct cache *take_existing(void) {
    lock_acquire(&registry.lock, RANK_REGISTRY);
    struct cache *cache = find_by_thread(thread_id());
    if (cache == NULL && registry.pool != NULL) {
        cache = registry.pool;
        registry.pool = cache->pool_next;
        make_live(cache);
    }
    lock_release(&registry.lock, RANK_REGISTRY);
    return cache;
}

static struct cache *make_new(void) {
    struct cache *cache = metadata_alloc(sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache_clear(cache);
    cache->end_class = TINY_CLASSES;
    lock_acquire(&registry.lock, RANK_REGISTRY);
    cache->all_next = registry.all;
    store_release(&registry.all, cache);
    make_live(cache);
    lock_release(&registry.lock, RANK_REGISTRY);
    return cache;
}

AT_START struct cache *cache_create(void) {
    struct cache *cache = take_existing();
    if (cache == NULL)
        cache = make_new();
    if (cache == NULL)
        return NULL;
    cache->exit_rounds = 0;
    cache_self = cache;
    return cache;
}

void cache_give_up(struct cache *cache, struct depot *depot, struct slab *slab,
                   struct slab **empty) {
    cache_restart_countdown(cache, slab, COUNTDOWN_NEVER);
    slab->next = slab->prev = NULL;
    if (slab_count_free(slab) == slab->slots) {
        store_relaxed(&slab->state, SLAB_CLAIMED);
        slab->next = *empty;
        *empty = slab;
    } else {
        depot_put_locked(depot, slab);
    }
}

static void give_up_list(struct cache *cache, struct depot *depot, struct slab *list,
                         struct slab **empty) {
    while (list != NULL) {
        struct slab *next = list->next;
        cache_give_up(cache, depot, list, empty);
        list = next;
    }
}

static void give_up_class(struct cache *cache, unsigned cls, struct slab **empty) {
    const struct bin *bin = &cache->bins[cls];
    struct depot *depot = &depots[cls];
    bool has_none = cache_current(cache, cls) == NO_SLAB;
    for (unsigned list = 0; list < LISTS; list++)
        has_none = has_none && bin->lists[list] == NULL;
    if (has_none)
        return;
    lock_acquire(&depot->lock, RANK_CLASS);
    if (cache_current(cache, cls) != NO_SLAB)
        cache_give_up(cache, depot, cache_current(cache, cls), empty);
    for (unsigned list = 0; list < LISTS; list++)
        give_up_list(cache, depot, bin->lists[list], empty);
    lock_release(&depot->lock, RANK_CLASS);
}

void cache_destroy(struct cache *cache) {
    struct slab *empty = NULL;

    cache_self = &cache_dead;
    cache_drain(cache);
    lock_acquire(&cache->lock, RANK_CACHE);
    /* Nobody can queue a slab while the lock is held: after this, none is pending. */
    for (struct slab *slab = exchange_acq_rel(&cache->remote_queue, NULL); slab != NULL;) {
        struct slab *next = slab->queue_next;
        exchange_seq_cst(&slab->owner, (uintptr_t)cache);
        cache_merge(cache, slab);
        slab = next;
    }
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        give_up_class(cache, cls, &empty);
    cache_clear(cache);
    lock_release(&cache->lock, RANK_CACHE);
    zone_release_all(empty);
    lock_acquire(&registry.lock, RANK_REGISTRY);
    leave_thread(cache);
    store_relaxed(&cache->state, CACHE_UNUSED);
    store_relaxed(&cache_live_count, cache_live_count - 1);
    cache->pool_next = registry.pool;
    registry.pool = cache;
    lock_release(&registry.lock, RANK_REGISTRY);
}

void cache_walk(void (*visit)(struct cache *cache, void *context), void *context) {
    visit(&cache_shared, context);
    for (struct common *c = NULL; (c = common_next(c)) != NULL;)
        if (load_acquire(&c->cache.end_class) != 0)
            visit(&c->cache, context);
    for (struct cache *cache = load_acquire(&registry.all); cache; cache = cache->all_next)
        visit(cache, context);
}

static void acquire_one(struct cache *cache, void *context) {
    (void)context;
    lock_acquire(&cache->lock, RANK_UNCHECKED);
}

static void release_one(struct cache *cache, void *context) {
    (void)context;
    lock_release(&cache->lock, RANK_UNCHECKED);
}

/* While the registry's lock is held, there is no other row. */
void cache_acquire_all(void) {
    lock_acquire(&registry.lock, RANK_REGISTRY);
    for (struct common *c = NULL; (c = common_next(c)) != NULL;)
        lock_acquire(&c->lock, RANK_COMMON);
    cache_walk(acquire_one, NULL);
}

void cache_release_all(void) {
    cache_walk(release_one, NULL);
    for (struct common *c = NULL; (c = common_next(c)) != NULL;)
        lock_release(&c->lock, RANK_COMMON);
    lock_release(&registry.lock, RANK_REGISTRY);
}

static void reset_one(struct cache *cache, void *context) {
    (void)context;
    lock_reset(&cache->lock);
}

struct lock *cache_registry_lock(void) { return &registry.lock; }

void cache_reset_locks(void) {
    cache_walk(reset_one, NULL);
    for (struct common *c = NULL; (c = common_next(c)) != NULL;)
        lock_reset(&c->lock);
    lock_reset(&registry.lock);
}

static void mark_vanished(struct cache *cache, void *self) {
    if (cache != self && !cache_is_borrowed(cache) && cache->state == CACHE_LIVE) {
        store_relaxed(&cache->state, CACHE_VANISHED);
        store_relaxed(&cache_live_count, cache_live_count - 1);
        cache_rescue_pending = 1;
    }
}

void cache_mark_vanished(struct cache *self) {
    cache_rescue_restart();
    cache_walk(mark_vanished, self);
}

static bool verify_buckets(size_t *live, size_t limit, struct violation *violation) {
    for (size_t i = 0; i < BUCKETS; i++) {
        for (const struct cache *c = registry.by_thread[i]; c != NULL; c = c->thread_next) {
            MUST_HOLD(*live <= limit, "the caches by thread are linked in a circle", c);
            MUST_HOLD(bucket_of(c->thread) == &registry.by_thread[i],
                      "a cache is listed under another thread", c);
            MUST_HOLD(c->state == CACHE_LIVE || c->state == CACHE_VANISHED,
                      "an unused cache is listed under a thread", c);
            *live += 1;
        }
    }
    return true;
}

bool cache_verify_registry(struct violation *violation) {
    size_t all = 0;
    size_t in_use = 0;
    size_t listed = 0;
    size_t pooled = 0;
    for (const struct cache *c = registry.all; c != NULL; c = c->all_next) {
        all++;
        in_use += c->state != CACHE_UNUSED;
    }
    if (!verify_buckets(&listed, all, violation))
        return false;
    for (const struct cache *c = registry.pool; c != NULL; c = c->pool_next) {
        MUST_HOLD(++pooled <= all, "the pool of caches is linked in a circle", c);
        MUST_EQUAL(c->state, CACHE_UNUSED, "a cache in the pool is in use", c);
    }
    MUST_EQUAL(listed, in_use, "a cache in use is not listed under its thread", &registry);
    MUST_EQUAL(pooled + in_use, all, "an unused cache is not in the pool", &registry);
    return true;
}
