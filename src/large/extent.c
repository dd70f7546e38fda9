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

/* What is beyond the cache's limit goes in pieces of so many bytes, or whole extents. */
#define CACHE_CUT_BYTES ((size_t)1 << 20)

/* Free extents: by size, and by age. */
struct set {
    struct extent *bins[BINS];
    uint64_t nonempty[BIN_WORDS];
    struct extent *oldest, *newest;
    size_t bytes, count;
};

static struct set cached, empty;

static struct {
    struct extent *extents;
    unsigned count;
} pool;

static size_t moved_count;

static struct set *set_of(const struct extent *extent) {
    return extent->is_empty ? &empty : &cached;
}

size_t extent_moved_count(void) { return moved_count; }

size_t extent_free_bytes(void) { return load_relaxed(&cached.bytes); }
size_t extent_free_count(void) { return load_relaxed(&cached.count); }
size_t extent_empty_bytes(void) { return load_relaxed(&empty.bytes); }
size_t extent_empty_count(void) { return load_relaxed(&empty.count); }

bool extent_reserve_descriptors(unsigned count) {
    while (pool.count < count) {
        struct extent *batch = metadata_alloc(POOL_BATCH * sizeof *batch);
        if (batch == NULL)
            return false;
        for (unsigned i = 0; i < POOL_BATCH; i++) {
            batch[i].bin_next = pool.extents;
            pool.extents = &batch[i];
        }
        pool.count += POOL_BATCH;
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
    struct extent *extent = pool.extents;
    ASSERT(extent != NULL);
    pool.extents = extent->bin_next;
    pool.count--;
    extent->bin_next = NULL;
    store_relaxed(&extent->address, address);
    store_relaxed(&extent->bytes, bytes);
    store_relaxed(&extent->used_bytes, bytes);
    store_relaxed(&extent->front_bytes, 0);
    extent->is_zero = is_zero;
    extent->is_empty = false;
    extent->is_moved = false;
    extent->note = NULL;
    extent->closed = EXTENT_OPEN;
    store_relaxed(&extent->state, state);
    enter(extent);
    return extent;
}

void extent_note_moved(struct extent *extent, bool is_moved) {
    moved_count = moved_count - extent->is_moved + is_moved;
    extent->is_moved = is_moved;
}

void extent_forget(struct extent *extent) {
    leave(extent);
    extent_note_moved(extent, false);
    store_relaxed(&extent->state, EXTENT_UNUSED);
    extent->bin_next = pool.extents;
    pool.extents = extent;
    pool.count++;
}

void extent_hide(struct extent *extent) {
    moved_count -= extent->is_moved;
    leave(extent);
    store_relaxed(&extent->state, EXTENT_BUSY);
}

void extent_show(struct extent *extent, uintptr_t address, size_t bytes) {
    extent->is_moved = extent->is_moved || address != extent->address;
    moved_count += extent->is_moved;
    store_relaxed(&extent->address, address);
    store_relaxed(&extent->bytes, bytes);
    store_relaxed(&extent->state, EXTENT_LIVE);
    enter(extent);
}

/* The bin of the largest size class that is not above `bytes`. */
static unsigned bin_below(size_t bytes) {
    size_t pages = bytes >> PAGEMAP_PAGE_SHIFT;
    if (pages < 4)
        return (unsigned)pages;
    unsigned log = bit_highest(pages);
    unsigned bin = 4 * (log - 1) + (unsigned)(pages >> (log - 2) & 3);
    return bin < BINS ? bin : BINS - 1;
}

static void link_free(struct extent *extent) {
    struct set *set = set_of(extent);
    unsigned bin = bin_below(extent->bytes);
    extent->bin_prev = NULL;
    extent->bin_next = set->bins[bin];
    if (extent->bin_next != NULL)
        extent->bin_next->bin_prev = extent;
    set->bins[bin] = extent;
    set->nonempty[bin / 64] |= (uint64_t)1 << (bin % 64);

    extent->newer = NULL;
    extent->older = set->newest;
    if (set->newest != NULL)
        set->newest->newer = extent;
    else
        set->oldest = extent;
    set->newest = extent;
    store_relaxed(&extent->state, EXTENT_FREE);
    store_relaxed(&set->bytes, set->bytes + extent->bytes);
    store_relaxed(&set->count, set->count + 1);
}

static void unlink_free(struct extent *extent) {
    struct set *set = set_of(extent);
    unsigned bin = bin_below(extent->bytes);
    if (extent->bin_prev != NULL)
        extent->bin_prev->bin_next = extent->bin_next;
    else
        set->bins[bin] = extent->bin_next;
    if (extent->bin_next != NULL)
        extent->bin_next->bin_prev = extent->bin_prev;
    if (set->bins[bin] == NULL)
        set->nonempty[bin / 64] &= ~((uint64_t)1 << (bin % 64));

    if (extent->newer != NULL)
        extent->newer->older = extent->older;
    else
        set->newest = extent->older;
    if (extent->older != NULL)
        extent->older->newer = extent->newer;
    else
        set->oldest = extent->newer;
    store_relaxed(&extent->state, EXTENT_BUSY);
    store_relaxed(&set->bytes, set->bytes - extent->bytes);
    store_relaxed(&set->count, set->count - 1);
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
static struct extent *find_free(const struct set *set, size_t bytes, size_t alignment) {
    unsigned bin = bin_below(bytes);
    int tries = FIT_TRIES;
    for (struct extent *e = set->bins[bin]; e != NULL && tries-- > 0; e = e->bin_next)
        if (fits(e, bytes, alignment))
            return e;
    for (bin++; bin < BINS; bin++) {
        uint64_t word = set->nonempty[bin / 64] >> (bin % 64);
        if (word == 0) {
            bin |= 63;
            continue;
        }
        bin += bit_lowest(word);
        tries = FIT_TRIES;
        for (struct extent *e = set->bins[bin]; e != NULL && tries-- > 0; e = e->bin_next)
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
    struct extent *second = extent_new(border, rest, extent->is_zero,
                                       (enum extent_state)extent->state);
    second->is_empty = extent->is_empty;
    second->freed_ms = extent->freed_ms;
    extent_note_moved(second, extent->is_moved);
    return second;
}

/* Cuts an unlisted extent down to `bytes` and keeps the rest in the cache. Without memory for the
 * page map it stays longer than was asked, which harms nobody. */
static void keep_rest(struct extent *extent, size_t bytes) {
    struct extent *rest = extent->bytes > bytes ? extent_split(extent, bytes) : NULL;
    if (rest != NULL)
        link_free(rest);
}

struct extent *extent_take(size_t bytes, size_t alignment) {
    struct extent *extent = find_free(&cached, bytes, alignment);
    if (extent == NULL)
        extent = find_free(&empty, bytes, alignment);
    if (extent == NULL)
        return NULL;
    size_t lead = lead_bytes(extent, alignment);
    unlink_free(extent);
    if (lead > 0) {
        struct extent *rest = extent_split(extent, lead);
        link_free(extent);
        if (rest == NULL)
            return NULL;
        extent = rest;
    }
    keep_rest(extent, bytes);
    return extent;
}

struct extent *extent_take_longest(size_t least_bytes, size_t bytes) {
    for (unsigned word = BIN_WORDS; word-- > 0;) {
        if (cached.nonempty[word] == 0)
            continue;
        struct extent *extent = cached.bins[word * 64 + bit_highest(cached.nonempty[word])];
        if (extent->bytes < least_bytes)
            return NULL;
        unlink_free(extent);
        keep_rest(extent, bytes);
        return extent;
    }
    return NULL;
}

static bool is_free(const struct extent *extent, bool is_empty) {
    return extent != NULL && extent->state == EXTENT_FREE && extent->is_empty == is_empty;
}

/* `first` takes in `second`, which lies right behind it; neither is listed. */
static void absorb(struct extent *first, struct extent *second) {
    size_t bytes = first->bytes + second->bytes;
    first->is_zero = first->is_zero && second->is_zero;
    extent_note_moved(first, first->is_moved || second->is_moved);
    extent_forget(second);
    pagemap_set(first->address + first->bytes - 1, NULL);
    store_relaxed(&first->bytes, bytes);
    enter(first);
}

void extent_put(struct extent *extent, uint64_t now_ms) {
    struct extent *before = pagemap_get(extent->address - 1);
    struct extent *behind = pagemap_get(extent->address + extent->bytes);
    if (is_free(behind, extent->is_empty)) {
        unlink_free(behind);
        absorb(extent, behind);
    }
    if (is_free(before, extent->is_empty)) {
        unlink_free(before);
        absorb(before, extent);
        extent = before;
    }
    extent->freed_ms = now_ms;
    link_free(extent);
}

bool extent_grow_in_place(struct extent *extent, size_t bytes) {
    struct extent *behind = pagemap_get(extent->address + extent->bytes);
    if (!is_free(behind, false) || behind->bytes < bytes)
        return false;
    unlink_free(behind);
    keep_rest(behind, bytes);
    absorb(extent, behind);
    return true;
}

struct extent *extent_take_expired(uint64_t before_ms, size_t limit_bytes) {
    struct extent *extent = cached.oldest;
    if (extent == NULL || (extent->freed_ms >= before_ms && cached.bytes <= limit_bytes))
        return NULL;
    unlink_free(extent);
    if (extent->freed_ms < before_ms)
        return extent;
    /* It is too long, not too old: the end of it goes, which a block that grew has written to last,
     * if at all. */
    size_t excess = round_up(cached.bytes + extent->bytes - limit_bytes, CACHE_CUT_BYTES);
    if (excess > extent->bytes / 2 || !extent_reserve_descriptors(1))
        return extent;
    struct extent *end = extent_split(extent, extent->bytes - excess);
    if (end == NULL)
        return extent;
    link_free(extent);
    return end;
}

struct extent *extent_take_empty(void) {
    struct extent *extent = empty.oldest;
    if (extent != NULL)
        unlink_free(extent);
    return extent;
}

bool extent_is_between(const struct extent *extent) {
    return pagemap_get(extent->address - 1) != NULL &&
           pagemap_get(extent->address + extent->bytes) != NULL;
}

struct extent *extent_absorb_empty(struct extent *extent) {
    struct extent *before = pagemap_get(extent->address - 1);
    struct extent *behind = pagemap_get(extent->address + extent->bytes);
    if (is_free(behind, true)) {
        unlink_free(behind);
        absorb(extent, behind);
    }
    if (is_free(before, true)) {
        unlink_free(before);
        absorb(before, extent);
        extent = before;
    }
    return extent;
}

struct extent *extent_find(uintptr_t address) {
    struct extent *extent = pagemap_below(address);
    if (extent == NULL || load_relaxed(&extent->state) == EXTENT_UNUSED)
        return NULL;
    uintptr_t start = load_relaxed(&extent->address);
    return address - start < load_relaxed(&extent->bytes) ? extent : NULL;
}

struct extent *extent_live_at(const void *pointer) {
    struct extent *extent = pagemap_get((uintptr_t)pointer);
    if (extent == NULL || extent_block(extent) != (uintptr_t)pointer ||
        load_relaxed(&extent->state) != EXTENT_LIVE)
        return NULL;
    return extent;
}

/* --- verification ----------------------------------------------------------------------------- */

static bool verify_entry(const struct extent *extent, uintptr_t entry, uintptr_t *end,
                         struct violation *violation) {
    uintptr_t last = extent->address + extent->bytes - PAGEMAP_PAGE_BYTES;
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
        next = entry + PAGEMAP_PAGE_BYTES;
        MUST_HOLD(pagemap_above(&next) == extent && next == entry + extent->front_bytes,
                  "a block's first page is not in the page map", entry);
    }
    if (last != entry) {
        next = entry + extent->front_bytes + PAGEMAP_PAGE_BYTES;
        MUST_HOLD(pagemap_above(&next) == extent && next == last,
                  "an extent's last page is not in the page map", entry);
    }
    *end = last + PAGEMAP_PAGE_BYTES;
    return true;
}

static bool verify_map(size_t *live_count, size_t *live_bytes, struct violation *violation) {
    uintptr_t end = 0;
    uintptr_t free_end = 0;
    bool free_is_empty = false;
    size_t free_count = 0, moved = 0;
    struct extent *extent;
    for (uintptr_t entry = 0; (extent = pagemap_above(&entry)) != NULL; entry = end) {
        if (!verify_entry(extent, entry, &end, violation))
            return false;
        moved += extent->is_moved;
        if (extent->state == EXTENT_LIVE) {
            ++*live_count;
            *live_bytes += extent->bytes;
            continue;
        }
        free_count++;
        MUST_HOLD(free_end != entry || free_is_empty != extent->is_empty,
                  "two free extents touch", entry);
        free_end = end;
        free_is_empty = extent->is_empty;
    }
    MUST_EQUAL(cached.count + empty.count, free_count, "free extents are counted wrongly",
               &cached);
    MUST_EQUAL(moved_count, moved, "moved extents are counted wrongly", &moved_count);
    return true;
}

static bool verify_bins(const struct set *set, struct violation *violation) {
    size_t count = 0;
    for (unsigned bin = 0; bin < BINS; bin++) {
        const struct extent *before = NULL;
        bool named = set->nonempty[bin / 64] >> (bin % 64) & 1;
        MUST_EQUAL(named, set->bins[bin] != NULL, "a bin is empty, or not, wrongly", bin);
        for (const struct extent *e = set->bins[bin]; e != NULL; e = e->bin_next) {
            MUST_HOLD(count++ < set->count, "a bin is linked in a circle", e->address);
            MUST_EQUAL(e->state, EXTENT_FREE, "an extent in a bin is not free", e->address);
            MUST_EQUAL(bin_below(e->bytes), bin, "an extent is in another size's bin", e->address);
            MUST_HOLD(e->bin_prev == before, "a bin is linked wrongly", e->address);
            before = e;
        }
    }
    MUST_EQUAL(count, set->count, "the bins hold another number of extents", set);
    return true;
}

static bool verify_ages(const struct set *set, struct violation *violation) {
    size_t count = 0;
    size_t bytes = 0;
    const struct extent *before = NULL;
    for (const struct extent *e = set->oldest; e != NULL; e = e->newer) {
        MUST_HOLD(count++ < set->count, "the extents by age are linked in a circle", e->address);
        MUST_EQUAL(e->state, EXTENT_FREE, "an extent among the free is not free", e->address);
        MUST_HOLD(e->older == before, "the extents by age are linked wrongly", e->address);
        bytes += e->bytes;
        before = e;
    }
    MUST_HOLD(set->newest == before, "the newest free extent is not the last", set);
    MUST_EQUAL(set->count, count, "the extents by age are another number", set);
    MUST_EQUAL(set->bytes, bytes, "the bytes of free extents are counted wrongly", set);
    return true;
}

bool extent_verify(size_t *live_count, size_t *live_bytes, struct violation *violation) {
    size_t pooled = 0;
    for (const struct extent *e = pool.extents; e != NULL; e = e->bin_next) {
        MUST_HOLD(pooled++ < pool.count, "the pool of descriptors is linked in a circle", e);
        MUST_EQUAL(e->state, EXTENT_UNUSED, "a descriptor in the pool is in use", e);
    }
    MUST_EQUAL(pool.count, pooled, "the pool of descriptors is counted wrongly", &pool);
    return verify_bins(&cached, violation) && verify_ages(&cached, violation) &&
           verify_bins(&empty, violation) && verify_ages(&empty, violation) &&
           verify_map(live_count, live_bytes, violation);
}
