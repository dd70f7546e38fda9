/* Purpose: extent.h.
 * Owns:    the pool of descriptors, the bins, the list by age. Guarded by RANK_LARGE. */
#include "large/extent.h"

#include "base/bits.h"
#include "core/params.h"
#include "large/pagemap.h"
#include "os/metadata.h"

/* Bins: four per doubling of the number of pages; a bin holds sizes from its own up to the next
 * bin's. BIN_WORDS * 64 of them reach beyond the address space. */
enum { BIN_WORDS = 3, BINS = BIN_WORDS * 64, FIT_TRIES = 8, POOL_BATCH = 32 };

static struct {
    struct extent *bins[BINS];
    uint64_t nonempty[BIN_WORDS];
    struct extent *oldest, *newest;
    size_t bytes, count;
    struct extent *pool;
    unsigned pool_count;
} cache;

size_t extent_free_bytes(void) { return load_relaxed(&cache.bytes); }
size_t extent_free_count(void) { return load_relaxed(&cache.count); }

bool extent_reserve_descriptors(unsigned count) {
    while (cache.pool_count < count) {
        struct extent *batch = metadata_alloc(POOL_BATCH * sizeof *batch);
        if (batch == NULL)
            return false;
        for (unsigned i = 0; i < POOL_BATCH; i++) {
            batch[i].bin_next = cache.pool;
            cache.pool = &batch[i];
        }
        cache.pool_count += POOL_BATCH;
    }
    return true;
}

static void enter(struct extent *extent) {
    pagemap_set(extent->address, extent);
    pagemap_set(extent->address + extent->bytes - 1, extent);
    if (extent->front_bytes > 0)
        pagemap_set(extent->address + extent->front_bytes, extent);
}

static void leave(const struct extent *extent) {
    pagemap_set(extent->address, NULL);
    pagemap_set(extent->address + extent->bytes - 1, NULL);
    if (extent->front_bytes > 0)
        pagemap_set(extent->address + extent->front_bytes, NULL);
}

bool extent_set_front(struct extent *extent, size_t front_bytes) {
    uintptr_t block = extent->address + front_bytes;
    ASSERT(front_bytes + os_page_bytes < extent->bytes);
    if (!pagemap_prepare(block, block))
        return false;
    leave(extent);
    store_relaxed(&extent->front_bytes, front_bytes);
    enter(extent);
    return true;
}

struct extent *extent_new(uintptr_t address, size_t bytes, bool is_zero, enum extent_state state) {
    struct extent *extent = cache.pool;
    ASSERT(extent != NULL);
    cache.pool = extent->bin_next;
    cache.pool_count--;
    extent->bin_next = NULL;
    store_relaxed(&extent->address, address);
    store_relaxed(&extent->bytes, bytes);
    store_relaxed(&extent->used_bytes, bytes);
    store_relaxed(&extent->front_bytes, 0);
    extent->is_zero = is_zero;
    extent->note = NULL;
    extent->closed = EXTENT_OPEN;
    store_relaxed(&extent->state, state);
    enter(extent);
    return extent;
}

void extent_forget(struct extent *extent) {
    leave(extent);
    store_relaxed(&extent->state, EXTENT_UNUSED);
    extent->bin_next = cache.pool;
    cache.pool = extent;
    cache.pool_count++;
}

void extent_hide(struct extent *extent) {
    leave(extent);
    store_relaxed(&extent->state, EXTENT_BUSY);
}

void extent_show(struct extent *extent, uintptr_t address, size_t bytes) {
    store_relaxed(&extent->address, address);
    store_relaxed(&extent->bytes, bytes);
    store_relaxed(&extent->state, EXTENT_LIVE);
    enter(extent);
}

/* The bin of the largest size class that is not above `bytes`. */
static unsigned bin_below(size_t bytes) {
    size_t pages = bytes >> 12;
    if (pages < 4)
        return (unsigned)pages;
    unsigned log = bit_highest(pages);
    unsigned bin = 4 * (log - 1) + (unsigned)(pages >> (log - 2) & 3);
    return bin < BINS ? bin : BINS - 1;
}

static void link_free(struct extent *extent) {
    unsigned bin = bin_below(extent->bytes);
    extent->bin_prev = NULL;
    extent->bin_next = cache.bins[bin];
    if (extent->bin_next != NULL)
        extent->bin_next->bin_prev = extent;
    cache.bins[bin] = extent;
    cache.nonempty[bin / 64] |= (uint64_t)1 << (bin % 64);

    extent->newer = NULL;
    extent->older = cache.newest;
    if (cache.newest != NULL)
        cache.newest->newer = extent;
    else
        cache.oldest = extent;
    cache.newest = extent;
    store_relaxed(&extent->state, EXTENT_FREE);
    store_relaxed(&cache.bytes, cache.bytes + extent->bytes);
    store_relaxed(&cache.count, cache.count + 1);
}

static void unlink_free(struct extent *extent) {
    unsigned bin = bin_below(extent->bytes);
    if (extent->bin_prev != NULL)
        extent->bin_prev->bin_next = extent->bin_next;
    else
        cache.bins[bin] = extent->bin_next;
    if (extent->bin_next != NULL)
        extent->bin_next->bin_prev = extent->bin_prev;
    if (cache.bins[bin] == NULL)
        cache.nonempty[bin / 64] &= ~((uint64_t)1 << (bin % 64));

    if (extent->newer != NULL)
        extent->newer->older = extent->older;
    else
        cache.newest = extent->older;
    if (extent->older != NULL)
        extent->older->newer = extent->newer;
    else
        cache.oldest = extent->newer;
    store_relaxed(&extent->state, EXTENT_BUSY);
    store_relaxed(&cache.bytes, cache.bytes - extent->bytes);
    store_relaxed(&cache.count, cache.count - 1);
}

static size_t lead_bytes(const struct extent *extent, size_t alignment) {
    return round_up(extent->address, alignment) - extent->address;
}

static bool fits(const struct extent *extent, size_t bytes, size_t alignment) {
    size_t lead = lead_bytes(extent, alignment);
    return lead <= extent->bytes && extent->bytes - lead >= bytes;
}

/* The first fit among a few of the bin whose sizes begin below `bytes`, else anything of the next
 * bin that is not empty (all of which is large enough, but for its alignment). */
static struct extent *find_free(size_t bytes, size_t alignment) {
    unsigned bin = bin_below(bytes);
    int tries = FIT_TRIES;
    for (struct extent *e = cache.bins[bin]; e != NULL && tries-- > 0; e = e->bin_next)
        if (fits(e, bytes, alignment))
            return e;
    for (bin++; bin < BINS; bin++) {
        uint64_t word = cache.nonempty[bin / 64] >> (bin % 64);
        if (word == 0) {
            bin |= 63;
            continue;
        }
        bin += bit_lowest(word);
        tries = FIT_TRIES;
        for (struct extent *e = cache.bins[bin]; e != NULL && tries-- > 0; e = e->bin_next)
            if (fits(e, bytes, alignment))
                return e;
    }
    return NULL;
}

struct extent *extent_split(struct extent *extent, size_t bytes) {
    size_t rest = extent->bytes - bytes;
    uintptr_t border = extent->address + bytes;
    ASSERT(bytes > 0 && rest > 0);
    if (!pagemap_prepare(border - 1, border))
        return NULL;
    pagemap_set(extent->address + extent->bytes - 1, NULL);
    store_relaxed(&extent->bytes, bytes);
    pagemap_set(border - 1, extent);
    return extent_new(border, rest, extent->is_zero,
                      (enum extent_state)extent->state);
}

/* Cuts an unlisted extent down to `bytes` and keeps the rest in the cache. Without memory for the
 * page map it stays longer than was asked, which harms nobody. */
static void keep_rest(struct extent *extent, size_t bytes) {
    struct extent *rest = extent->bytes > bytes ? extent_split(extent, bytes) : NULL;
    if (rest != NULL) {
        rest->freed_ms = extent->freed_ms;
        link_free(rest);
    }
}

struct extent *extent_take(size_t bytes, size_t alignment) {
    struct extent *extent = find_free(bytes, alignment);
    if (extent == NULL)
        return NULL;
    size_t lead = lead_bytes(extent, alignment);
    unlink_free(extent);
    if (lead > 0) {
        struct extent *rest = extent_split(extent, lead);
        link_free(extent);
        if (rest == NULL)
            return NULL;
        rest->freed_ms = extent->freed_ms;
        extent = rest;
    }
    keep_rest(extent, bytes);
    return extent;
}

struct extent *extent_take_longest(size_t least_bytes, size_t bytes) {
    for (unsigned word = BIN_WORDS; word-- > 0;) {
        if (cache.nonempty[word] == 0)
            continue;
        struct extent *extent = cache.bins[word * 64 + bit_highest(cache.nonempty[word])];
        if (extent->bytes < least_bytes)
            return NULL;
        unlink_free(extent);
        keep_rest(extent, bytes);
        return extent;
    }
    return NULL;
}

static bool is_free(const struct extent *extent) {
    return extent != NULL && extent->state == EXTENT_FREE;
}

/* `first` takes in `second`, which lies right behind it; neither is listed. */
static void absorb(struct extent *first, struct extent *second) {
    size_t bytes = first->bytes + second->bytes;
    first->is_zero = first->is_zero && second->is_zero;
    extent_forget(second);
    pagemap_set(first->address + first->bytes - 1, NULL);
    store_relaxed(&first->bytes, bytes);
    enter(first);
}

void extent_put(struct extent *extent, uint64_t now_ms) {
    struct extent *before = pagemap_get(extent->address - 1);
    struct extent *behind = pagemap_get(extent->address + extent->bytes);
    if (is_free(behind)) {
        unlink_free(behind);
        absorb(extent, behind);
    }
    if (is_free(before)) {
        unlink_free(before);
        absorb(before, extent);
        extent = before;
    }
    extent->freed_ms = now_ms;
    link_free(extent);
}

bool extent_grow_in_place(struct extent *extent, size_t bytes) {
    struct extent *behind = pagemap_get(extent->address + extent->bytes);
    if (!is_free(behind) || behind->bytes < bytes)
        return false;
    unlink_free(behind);
    keep_rest(behind, bytes);
    absorb(extent, behind);
    return true;
}

struct extent *extent_take_expired(uint64_t before_ms, size_t limit_bytes) {
    struct extent *extent = cache.oldest;
    if (extent == NULL || (extent->freed_ms >= before_ms && cache.bytes <= limit_bytes))
        return NULL;
    unlink_free(extent);
    return extent;
}

struct extent *extent_find(uintptr_t address) {
    struct extent *extent = pagemap_below(address);
    if (extent == NULL || load_relaxed(&extent->state) == EXTENT_UNUSED)
        return NULL;
    uintptr_t start = load_relaxed(&extent->address);
    return address - start < load_relaxed(&extent->bytes) ? extent : NULL;
}

/* --- verification ----------------------------------------------------------------------------- */

static bool verify_entry(const struct extent *extent, uintptr_t entry, uintptr_t *end,
                         struct violation *violation) {
    uintptr_t last = extent->address + extent->bytes - os_page_bytes;
    uintptr_t next = entry + 1;
    MUST_EQUAL(extent->address, entry, "the page map names an extent that starts elsewhere", entry);
    MUST_HOLD(extent->bytes > 0 && extent->bytes % os_page_bytes == 0,
              "an extent is not of whole pages", entry);
    MUST_HOLD(entry >= *end, "two extents overlap", entry);
    MUST_HOLD(extent->state == EXTENT_LIVE || extent->state == EXTENT_FREE,
              "an extent is neither live nor free", entry);
    MUST_HOLD(extent->state == EXTENT_FREE ||
                  extent->front_bytes + extent->used_bytes <= extent->bytes,
              "a block is longer than its extent", entry);
    MUST_HOLD(extent->state == EXTENT_LIVE || extent->front_bytes == 0,
              "a free extent has a guard", entry);
    if (extent->front_bytes > 0) {
        next = entry + os_page_bytes;
        MUST_HOLD(pagemap_above(&next) == extent && next == entry + extent->front_bytes,
                  "a block's first page is not in the page map", entry);
    }
    if (last != entry) {
        next = entry + extent->front_bytes + os_page_bytes;
        MUST_HOLD(pagemap_above(&next) == extent && next == last,
                  "an extent's last page is not in the page map", entry);
    }
    *end = last + os_page_bytes;
    return true;
}

static bool verify_map(size_t *live_count, size_t *live_bytes, struct violation *violation) {
    uintptr_t end = 0;
    uintptr_t free_end = 0;
    size_t free_count = 0;
    struct extent *extent;
    for (uintptr_t entry = 0; (extent = pagemap_above(&entry)) != NULL; entry = end) {
        if (!verify_entry(extent, entry, &end, violation))
            return false;
        if (extent->state == EXTENT_LIVE) {
            ++*live_count;
            *live_bytes += extent->bytes;
            continue;
        }
        free_count++;
        MUST_HOLD(free_end != entry, "two free extents touch", entry);
        free_end = end;
    }
    MUST_EQUAL(cache.count, free_count, "free extents are counted wrongly", &cache);
    return true;
}

static bool verify_bins(struct violation *violation) {
    size_t count = 0;
    for (unsigned bin = 0; bin < BINS; bin++) {
        const struct extent *before = NULL;
        bool named = cache.nonempty[bin / 64] >> (bin % 64) & 1;
        MUST_EQUAL(named, cache.bins[bin] != NULL, "a bin is empty, or not, wrongly", bin);
        for (const struct extent *e = cache.bins[bin]; e != NULL; e = e->bin_next) {
            MUST_HOLD(count++ < cache.count, "a bin is linked in a circle", e->address);
            MUST_EQUAL(e->state, EXTENT_FREE, "an extent in a bin is not free", e->address);
            MUST_EQUAL(bin_below(e->bytes), bin, "an extent is in another size's bin", e->address);
            MUST_HOLD(e->bin_prev == before, "a bin is linked wrongly", e->address);
            before = e;
        }
    }
    MUST_EQUAL(count, cache.count, "the bins hold another number of extents", &cache);
    return true;
}

static bool verify_ages(struct violation *violation) {
    size_t count = 0;
    size_t bytes = 0;
    const struct extent *before = NULL;
    for (const struct extent *e = cache.oldest; e != NULL; e = e->newer) {
        MUST_HOLD(count++ < cache.count, "the extents by age are linked in a circle", e->address);
        MUST_EQUAL(e->state, EXTENT_FREE, "an extent among the free is not free", e->address);
        MUST_HOLD(e->older == before, "the extents by age are linked wrongly", e->address);
        bytes += e->bytes;
        before = e;
    }
    MUST_HOLD(cache.newest == before, "the newest free extent is not the last", &cache);
    MUST_EQUAL(cache.count, count, "the extents by age are another number", &cache);
    MUST_EQUAL(cache.bytes, bytes, "the bytes of free extents are counted wrongly", &cache);
    return true;
}

bool extent_verify(size_t *live_count, size_t *live_bytes, struct violation *violation) {
    size_t pooled = 0;
    for (const struct extent *e = cache.pool; e != NULL; e = e->bin_next) {
        MUST_HOLD(pooled++ < cache.pool_count, "the pool of descriptors is linked in a circle", e);
        MUST_EQUAL(e->state, EXTENT_UNUSED, "a descriptor in the pool is in use", e);
    }
    MUST_EQUAL(cache.pool_count, pooled, "the pool of descriptors is counted wrongly", &cache);
    return verify_bins(violation) && verify_ages(violation) &&
           verify_map(live_count, live_bytes, violation);
}
