/* Purpose: memory that is free inside of slabs in use goes back to the system: on request, and to
 *          make up for growth.
 * Owns:    the count of requests.
 * Locking: no lock is held while memory is given back, so a thread gives back the pages of its own
 *          slabs only, in which nobody else can take a slot; of slabs without an owner it becomes
 *          the owner first. Other threads learn of a request when they next need a slab.
 *
 * The heap grows by a slab that was not resident before, or by a LARGE block: then as much is
 * looked for that could go instead, for it was used before and is not now: a program's sizes have
 * changed. A zone, or heap, that has been as large before pays nothing, so that steady churn makes
 * no system calls. (Of the heap, what is made up for counts as held before, too: so it is half of
 * what is needed elsewhere, and a program that needs now this, now that, comes to have both.) What
 * becomes sparse later, when the new sizes have all they need, is seen when it has been so for a
 * while. */
#include "cache/cache.h"

#include "cache/common.h"
#include "core/account.h"
#include "core/options.h"
#include "large/large.h"
#include "slab/depot.h"
#include "slab/zone.h"

/* At most so many slabs are looked at for one of TINY that is new. */
enum { LOOKED_AT_MAX = 32 };

/* One look gives back so much, then the next goes on. */
enum { LOOK_BYTES_MAX = 8 << 20 };

static uint32_t requests;

/* A sparse slab stays behind those that are resident when one is needed; it is looked at again when
 * half of what lives in it has been freed. */
static size_t purge_listed(struct cache *cache, struct slab *slab) {
    size_t bytes = slab_purge_pages(slab);
    uint32_t live = (uint32_t)slab->slots - slab_count_free(slab);
    if (slab->state == SLAB_SPARSE && live > 0) {
        cache_unlist(cache, slab);
        cache_list_purged(cache, slab, live);
    }
    return bytes;
}

static size_t purge_list(struct cache *cache, struct slab *list) {
    size_t bytes = 0;
    while (list != NULL) {
        struct slab *next = list->next;
        bytes += purge_listed(cache, list);
        list = next;
    }
    return bytes;
}

size_t cache_purge_pages(struct cache *cache) {
    size_t bytes = 0;
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++) {
        struct bin *bin = cache_bin(cache, cls);
        if (cache_current(cache, cls) != &cache_no_slab)
            bytes += slab_purge_pages(cache_current(cache, cls));
        for (unsigned list = 0; list < LISTS; list++)
            bytes += purge_list(cache, bin->lists[list]);
    }
    return bytes;
}

/* Puts an adopted slab back, if no other thread has freed in it meanwhile and so queued it. */
static void put_back(struct cache *cache, struct slab *slab) {
    struct depot *depot = &depots[slab->cls];
    struct slab *empty = NULL;
    lock_acquire(&cache->lock, RANK_CACHE);
    bool quiet = load_relaxed(&slab->owner) == (uintptr_t)cache;
    if (quiet) {
        lock_acquire(&depot->lock, RANK_CLASS);
        cache_give_up(cache, depot, slab, &empty);
        lock_release(&depot->lock, RANK_CLASS);
    }
    lock_release(&cache->lock, RANK_CACHE);
    if (!quiet)
        cache_settle(cache, slab);
    if (empty != NULL)
        zone_release(empty);
}

static size_t purge_shelf(struct cache *cache, unsigned cls) {
    struct depot *depot = &depots[cls];
    struct slab *taken = NULL;
    size_t bytes = 0;
    lock_acquire(&depot->lock, RANK_CLASS);
    for (struct slab *slab; (slab = depot->shelf) != NULL; slab->next = taken, taken = slab)
        depot_adopt_locked(depot, slab, (uintptr_t)cache);
    lock_release(&depot->lock, RANK_CLASS);
    while (taken != NULL) {
        struct slab *slab = taken;
        taken = slab->next;
        slab->next = slab->prev = NULL;
        bytes += slab_purge_pages(slab);
        put_back(cache, slab);
    }
    return bytes;
}

size_t cache_purge_shelves(struct cache *cache) {
    size_t bytes = 0;
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        if (load_relaxed(&depots[cls].shelf) != NULL)
            bytes += purge_shelf(cache, cls);
    return bytes;
}

void cache_request_purge(struct cache *except) {
    uint32_t now = fetch_add_relaxed(&requests, 1) + 1;
    if (!cache_is_borrowed(except))
        except->requests_served = now;
}

void cache_serve_request(struct cache *cache) {
    uint32_t now = load_relaxed(&requests);
    if (LIKELY(cache->requests_served == now) || cache_is_borrowed(cache))
        return;
    cache->requests_served = now;
    cache_purge_pages(cache);
}

/* Of other classes than the one that needs memory now, but for empty slabs, which the next malloc
 * is likely to need. Returns the bytes. Growth by slabs looks no further than at one of those: it
 * comes bit by bit, and what is sparse by then is often about to be empty. (perf/bench
 * grow-strings: 1.7 times the page faults without that, and as much memory.) */
static size_t purge_sparse(struct cache *cache, unsigned needed, size_t bytes) {
    size_t slabs = round_up(bytes, (size_t)1 << TINY_SLAB_SHIFT) >> TINY_SLAB_SHIFT;
    size_t looks = LOOKED_AT_MAX * slabs;
    size_t purged = 0;
    for (unsigned i = 0; i < TINY_CLASSES; i++) {
        unsigned cls = cache->purge_class;
        struct slab *next, *slab = cache_bin(cache, cls)->lists[LIST_SPARSE];
        for (; cls != needed && slab != NULL; slab = next) {
            next = slab->next;
            if (purged >= bytes || looks-- == 0)
                return purged;
            if (slab->countdown_start != COUNTDOWN_NEVER)
                purged += purge_listed(cache, slab);
            else if (needed < CLASS_COUNT)
                return purged;
        }
        cache->purge_class = (uint8_t)((cls + 1) % TINY_CLASSES);
    }
    return purged;
}

/* Empty slabs of the zones that the class is not of. */
static size_t purge_empty(unsigned cls, size_t bytes) {
    size_t purged = 0;
    for (unsigned kind = 0; kind < ZONE_COUNT && purged < bytes; kind++)
        if (cls == CLASS_COUNT || size_classes[cls].zone != kind)
            purged += zone_purge_some((enum zone_kind)kind, bytes - purged);
    return purged;
}

static bool keeps_all(void) { return option_get(OPTION_keep_free) == OPTION_UNLIMITED; }

/* Of the class's zone, or of the heap as a whole, whichever is more. */
static size_t take_growth(unsigned cls) {
    size_t of_all = account_take_growth();
    size_t of_zone =
        cls < CLASS_COUNT ? zone_take_growth((enum zone_kind)size_classes[cls].zone) : 0;
    return of_all > of_zone && !keeps_all() ? of_all : of_zone;
}

void cache_make_up(struct cache *cache, unsigned cls) {
    size_t bytes = take_growth(cls);
    if (LIKELY(bytes == 0))
        return;
    size_t purged = purge_empty(cls, bytes);
    if (purged >= bytes || option_get(OPTION_huge_pages))
        return;
    if (cls < CLASS_COUNT && !keeps_all())
        purged += large_purge_some(bytes - purged);
    if (purged >= bytes || cache_is_borrowed(cache))
        return;
    purged += purge_sparse(cache, cls, bytes - purged);
    if (purged < bytes)
        common_purge_sparse(cls, bytes - purged);
}

/* An empty one was kept for the next malloc, which has not come. False: LOOK_BYTES_MAX is
 * reached. */
static bool look_at_class(struct cache *cache, unsigned cls, size_t *bytes) {
    struct slab *next;
    for (struct slab *slab = cache_bin(cache, cls)->lists[LIST_SPARSE]; slab != NULL; slab = next) {
        next = slab->next;
        if ((uint8_t)(cache->looks - slab->sparse_at) < 2)
            continue;
        if (slab_count_free(slab) == slab->slots)
            cache_release_kept(cache, slab);
        else if (!option_get(OPTION_huge_pages)) /* a page or two of them are not worth a split */
            *bytes += purge_listed(cache, slab);
        if (*bytes >= LOOK_BYTES_MAX)
            return false;
    }
    return true;
}

static void look_at_own(struct cache *cache) {
    uint64_t now = os_clock_ms();
    uint64_t delay = option_get(OPTION_purge_delay);
    size_t bytes = 0;
    if (now < cache->next_look_ms || delay == OPTION_UNLIMITED)
        return;
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        if (!look_at_class(cache, cls, &bytes))
            return;
    cache->looks++;
    cache->next_look_ms = now + delay / LOOK_DELAY_PART;
}

/* Not for a borrowed cache, whose lock would be held meanwhile. */
void cache_look(struct cache *cache) {
    if (cache_is_borrowed(cache))
        return;
    look_at_own(cache);
    common_look();
    zone_purge_due(os_clock_ms());
}
