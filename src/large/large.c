/* Purpose: large.h.
 * Owns:    the lock and the counters; extents through extent.h. */
#include "large/large.h"

#include "base/bits.h"
#include "core/account.h"
#include "core/options.h"
#include "large/own.h"
#include "large/pagemap.h"
#include "os/watch.h"

enum { DESCRIPTORS = 4 };

struct large large;

static uint64_t large_allocations; /* counted outside the lock */

struct lock *large_lock(void) { return &large.lock; }

static void enter_lock(void) { lock_acquire(&large.lock, RANK_LARGE); }
static void leave_lock(void) { lock_release(&large.lock, RANK_LARGE); }

static void count_live(struct extent *extent, bool born) {
    struct large_stats *stats = &large.stats;
    if (born) {
        store_relaxed(&stats->live_bytes, stats->live_bytes + extent->bytes);
        store_relaxed(&stats->live_count, stats->live_count + 1);
    } else {
        store_relaxed(&stats->live_bytes, stats->live_bytes - extent->bytes);
        store_relaxed(&stats->live_count, stats->live_count - 1);
    }
    size_t held = stats->live_bytes + extent_free_bytes();
    if (held > stats->peak_bytes)
        store_relaxed(&stats->peak_bytes, held);
}

/* --- allocation ------------------------------------------------------------------------------- */

static void make_live(struct extent *extent, size_t used_bytes) {
    store_relaxed(&extent->used_bytes, used_bytes);
    store_relaxed(&extent->state, EXTENT_LIVE);
    count_live(extent, true);
}

/* A fresh mapping. */
struct mapping {
    uintptr_t address;
    size_t bytes;
    size_t spare_bytes; /* of these, at its end, for later: not charged for */
};

/* With the lock held: enters a fresh mapping and cuts the aligned block out of it. */
static struct extent *enter_mapping(const struct mapping *mapping, size_t bytes, size_t alignment,
                                    uint64_t now) {
    uintptr_t address = mapping->address;
    uintptr_t start = round_up(address, alignment);
    uintptr_t end = start + bytes;
    uintptr_t spare = address + mapping->bytes - mapping->spare_bytes;
    if (!extent_reserve_descriptors(DESCRIPTORS) ||
        !pagemap_prepare(address, address + mapping->bytes - 1) ||
        !pagemap_prepare(start - 1, start) || !pagemap_prepare(end - 1, end) ||
        !pagemap_prepare(spare - 1, spare))
        return NULL;
    struct extent *extent = extent_new(address, mapping->bytes, true, EXTENT_BUSY);
    if (mapping->spare_bytes > 0) {
        struct extent *rest = extent_split(extent, spare - address);
        rest->is_empty = true;
        extent_put(rest, now);
    }
    if (start > address) {
        struct extent *rest = extent_split(extent, start - address);
        extent_put(extent, now);
        extent = rest;
    }
    if (extent->bytes > bytes)
        extent_put(extent_split(extent, bytes), now);
    return extent;
}

/* Blocks that are cut out of one mapping stay one mapping for the system; those that were mapped
 * one by one, and written to, never become one, even side by side. */
static size_t spare_for(size_t bytes) {
    size_t wanted = load_relaxed(&large.stats.live_bytes) / LARGE_SPARE_LIVE_PART;
    return wanted > bytes ? round_down(wanted - bytes, os_page_bytes) : 0;
}

static bool map(size_t bytes, struct mapping *mapping) {
    if (!account_take(bytes))
        return false;
    mapping->spare_bytes = spare_for(bytes);
    void *memory = os_map(bytes + mapping->spare_bytes);
    if (memory == NULL && mapping->spare_bytes > 0) {
        mapping->spare_bytes = 0;
        memory = os_map(bytes);
    }
    if (memory == NULL)
        account_give(bytes);
    else if (bytes >= HUGE_BLOCK_BYTES && UNLIKELY(option_get(OPTION_huge_pages)))
        os_advise_huge(memory, bytes, true);
    mapping->address = (uintptr_t)memory;
    mapping->bytes = bytes + mapping->spare_bytes;
    return memory != NULL;
}

/* With the lock held: a free extent, which is charged for. */
static struct extent *take_free(size_t bytes, size_t alignment, uint64_t now) {
    if (!extent_reserve_descriptors(DESCRIPTORS))
        return NULL;
    struct extent *extent = extent_take(bytes, alignment);
    if (extent == NULL || !extent->is_empty)
        return extent;
    if (!account_take(extent->bytes)) {
        extent_put(extent, now);
        return NULL;
    }
    extent->is_empty = false;
    keep_note_needed(&large.keep, extent->bytes);
    watch_note_growth();
    return extent;
}

static struct extent *map_new(size_t bytes, size_t alignment, uint64_t now) {
    size_t mapped = bytes;
    if (alignment > os_page_bytes &&
        __builtin_add_overflow(bytes, alignment - os_page_bytes, &mapped))
        return NULL;
    struct mapping mapping;
    if (!map(mapped, &mapping) && (large_purge() == 0 || !map(mapped, &mapping)))
        return NULL;
    enter_lock();
    struct extent *extent = enter_mapping(&mapping, bytes, alignment, now);
    if (extent != NULL) {
        store_relaxed(&large.stats.mappings, large.stats.mappings + 1);
        make_live(extent, bytes);
        keep_note_needed(&large.keep, bytes);
        watch_note_growth();
    }
    leave_lock();
    if (extent == NULL) {
        os_unmap((void *)mapping.address, mapping.bytes);
        account_give(mapped);
    }
    return extent;
}

/* Lets the system extend or move a live extent's mapping; the lock is released meanwhile. */
static bool remap(struct extent *extent, size_t bytes) {
    uintptr_t address = extent->address;
    size_t old_bytes = extent->bytes;
    struct pagemap_nodes nodes;
    bool has_front = extent->front_bytes > 0;
    if (!account_take(bytes - old_bytes))
        return false;
    if (!pagemap_reserve_nodes(&nodes, has_front ? 3 : 2)) {
        account_give(bytes - old_bytes);
        return false;
    }
    count_live(extent, false);
    extent_hide(extent);
    leave_lock();
    void *moved = os_remap((void *)address, old_bytes, bytes, true);
    enter_lock();
    uintptr_t to = moved != NULL ? (uintptr_t)moved : address;
    size_t to_bytes = moved != NULL ? bytes : old_bytes;
    pagemap_return_nodes(&nodes);
    if (!pagemap_prepare(to, to + to_bytes - 1) ||
        (has_front && !pagemap_prepare(to, to + extent->front_bytes)))
        ASSERT(!"so many pages need at most the nodes that were returned");
    if (moved == NULL)
        account_give(bytes - old_bytes);
    else
        keep_note_needed(&large.keep, bytes - old_bytes);
    extent_show(extent, to, to_bytes);
    count_live(extent, true);
    return moved != NULL;
}

/* With the lock held: no cached extent is long enough, but the longest may be made so. Its memory
 * is there, and moving page tables is cheaper than to fault in and clear as much; nor is it held
 * twice. But the system never joins what it has moved with its neighbours, and has a limit on
 * mappings: a program that has many of them gets another one, cut out of a longer one. */
static struct extent *lengthen_cached(size_t bytes, uint64_t now) {
    if (extent_moved_count() >= LARGE_MOVED_MAX || !extent_reserve_descriptors(1))
        return NULL;
    struct extent *extent = extent_take_longest(bytes / LARGE_LENGTHEN_PART, bytes);
    if (extent == NULL)
        return NULL;
    make_live(extent, extent->bytes);
    if (extent->bytes < bytes && !remap(extent, bytes)) {
        count_live(extent, false);
        extent_put(extent, now);
        return NULL;
    }
    extent->is_zero = false;
    store_relaxed(&extent->used_bytes, bytes);
    return extent;
}

void *large_alloc(size_t bytes, size_t alignment, bool *is_zero) {
    struct large_piece pieces[LARGE_PIECES];
    bytes = round_up(bytes != 0 ? bytes : 1, os_page_bytes);
    uint64_t now = os_clock_ms();

    enter_lock();
    unsigned count = large_take_expired(pieces, option_purge_before(now));
    struct extent *extent = take_free(bytes, alignment, now);
    if (extent != NULL)
        make_live(extent, bytes);
    else if (alignment <= os_page_bytes)
        extent = lengthen_cached(bytes, now);
    leave_lock();
    large_give_back(pieces, count);
    if (extent == NULL)
        extent = map_new(bytes, alignment, now);
    if (extent == NULL)
        return NULL;
    fetch_add_relaxed(&large_allocations, 1);
    if (is_zero != NULL)
        *is_zero = extent->is_zero;
    extent->is_zero = false; /* the program writes to it from now on */
    return (void *)extent->address;
}

enum fault large_free(void *pointer) {
    struct large_piece pieces[LARGE_PIECES];
    uintptr_t start;
    size_t bytes;
    uint64_t now = os_clock_ms();

    enter_lock();
    struct extent *extent = extent_live_at(pointer);
    if (extent == NULL) {
        leave_lock();
        return large_examine((uintptr_t)pointer, &start, &bytes);
    }
    if (extent->front_bytes > 0)
        extent_set_front(extent, 0); /* can't fail: its first page is in the page map */
    count_live(extent, false);
    store_relaxed(&large.stats.frees, large.stats.frees + 1);
    if (extent->bytes > large.longest)
        large.longest = extent->bytes;
    extent_put(extent, now);
    unsigned count = large_take_expired(pieces, option_purge_before(now));
    leave_lock();
    large_give_back(pieces, count);
    watch_note_free();
    return FAULT_NONE;
}

/* --- resizing --------------------------------------------------------------------------------- */

/* With the lock held: shrinks to `bytes`; the rest goes to the cache unless it is little. */
static void shrink(struct extent *extent, size_t bytes, uint64_t now) {
    size_t spare = extent->bytes - bytes;
    store_relaxed(&extent->used_bytes, bytes - extent->front_bytes);
    if (spare <= bytes / LARGE_GROWTH_PART || !extent_reserve_descriptors(1))
        return;
    count_live(extent, false);
    struct extent *rest = extent_split(extent, bytes);
    count_live(extent, true);
    if (rest != NULL)
        extent_put(rest, now);
}

static bool grow(struct extent *extent, size_t bytes, bool may_move) {
    size_t roomy = round_up(bytes + bytes / LARGE_GROWTH_PART, os_page_bytes);
    bool grown = false;
    if (extent_reserve_descriptors(DESCRIPTORS)) {
        count_live(extent, false);
        grown = extent_grow_in_place(extent, roomy - extent->bytes) ||
                extent_grow_in_place(extent, bytes - extent->bytes);
        count_live(extent, true);
    }
    if (!grown && may_move)
        grown = remap(extent, roomy) || remap(extent, bytes);
    if (grown)
        store_relaxed(&extent->used_bytes, bytes - extent->front_bytes);
    return grown;
}

static void *resize(void *pointer, size_t bytes, bool may_move) {
    struct large_piece pieces[LARGE_PIECES];
    unsigned count = 0;
    void *result = NULL;
    uint64_t now = os_clock_ms();
    bytes = round_up(bytes, os_page_bytes);

    enter_lock();
    struct extent *extent = extent_live_at(pointer);
    if (extent != NULL) {
        bytes += extent->front_bytes;
        if (bytes <= extent->bytes) {
            shrink(extent, bytes, now);
            count = large_take_expired(pieces, option_purge_before(now));
            result = pointer;
        } else if (grow(extent, bytes, may_move)) {
            result = (void *)extent_block(extent);
        }
    }
    leave_lock();
    large_give_back(pieces, count);
    watch_note_free();
    return result;
}

void *large_resize(void *pointer, size_t bytes) { return resize(pointer, bytes, true); }

bool large_resize_in_place(void *pointer, size_t bytes) {
    return resize(pointer, bytes, false) != NULL;
}

/* --- looking ---------------------------------------------------------------------------------- */

size_t large_usable(const void *pointer) {
    struct extent *extent = extent_live_at(pointer);
    return extent != NULL ? load_relaxed(&extent->used_bytes) : 0;
}

void large_set_usable(const void *pointer, size_t bytes) {
    struct extent *extent = extent_live_at(pointer);
    ASSERT(extent != NULL && bytes <= extent->bytes);
    store_relaxed(&extent->used_bytes, bytes);
}

void **large_note(const void *pointer) {
    struct extent *extent = extent_live_at(pointer);
    return extent != NULL ? &extent->note : NULL;
}

enum fault large_examine(uintptr_t address, uintptr_t *start, size_t *bytes) {
    const struct extent *extent = extent_find(address);
    if (extent == NULL)
        return FAULT_FOREIGN;
    *start = extent_block(extent);
    *bytes = load_relaxed(&extent->bytes) - load_relaxed(&extent->front_bytes);
    if (load_relaxed(&extent->state) != EXTENT_LIVE)
        return FAULT_DOUBLE_FREE;
    return *start == address ? FAULT_NONE : FAULT_INTERIOR;
}

void large_stats(struct large_stats *stats) {
    const struct large_stats *now = &large.stats;
    *stats = (struct large_stats){
        .live_bytes = load_relaxed(&now->live_bytes),
        .live_count = load_relaxed(&now->live_count),
        .peak_bytes = load_relaxed(&now->peak_bytes),
        .cached_bytes = extent_free_bytes(),
        .cached_count = extent_free_count(),
        .allocations = load_relaxed(&large_allocations),
        .frees = load_relaxed(&now->frees),
        .mappings = load_relaxed(&now->mappings),
        .unmappings = load_relaxed(&now->unmappings),
    };
}

bool large_verify(struct violation *violation) {
    size_t count = 0;
    size_t bytes = 0;
    if (!extent_verify(&count, &bytes, violation))
        return false;
    MUST_EQUAL(large.stats.live_count, count, "live LARGE blocks are counted wrongly", &large);
    MUST_EQUAL(large.stats.live_bytes, bytes, "bytes of LARGE blocks are counted wrongly", &large);
    return true;
}
