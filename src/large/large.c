/* Purpose: large.h.
 * Owns:    the lock and the counters; extents through extent.h. */
#include "large/large.h"

#include "base/bits.h"
#include "core/account.h"
#include "core/options.h"
#include "large/extent.h"
#include "large/pagemap.h"
#include "os/watch.h"

enum { EXPIRE_BATCH = 8, DESCRIPTORS = 4 };

static struct {
    struct lock lock;
    struct large_stats stats;
} large;

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

static size_t cache_limit(void) {
    size_t part = large.stats.live_bytes / LARGE_CACHE_LIVE_PART;
    size_t least = option_get(OPTION_large_cache);
    return part > least && least > 0 ? part : least;
}

/* --- giving mappings back --------------------------------------------------------------------- */

struct piece {
    uintptr_t address;
    size_t bytes;
};

/* With the lock held: takes expired extents out of every table; what they covered is the caller's
 * to unmap after the unlock. (Not later than the unlock may another mapping appear there.) */
static unsigned take_expired(struct piece *pieces, uint64_t before_ms, size_t limit_bytes) {
    unsigned count = 0;
    while (count < EXPIRE_BATCH) {
        struct extent *extent = extent_take_expired(before_ms, limit_bytes);
        if (extent == NULL)
            break;
        pieces[count++] = (struct piece){extent->address, extent->bytes};
        extent_forget(extent);
    }
    store_relaxed(&large.stats.unmappings, large.stats.unmappings + count);
    return count;
}

/* A mapping that the system does not take back (it can run out of mappings by splitting one) stays
 * ours, without its memory if possible. */
static void keep(struct piece piece) {
    bool is_zero = os_purge((void *)piece.address, piece.bytes);
    uint64_t now = os_clock_ms();
    enter_lock();
    if (extent_reserve_descriptors(1) &&
        pagemap_prepare(piece.address, piece.address + piece.bytes - 1))
        extent_put(extent_new(piece.address, piece.bytes, is_zero, EXTENT_BUSY), now);
    else
        account_give(piece.bytes); /* lost */
    leave_lock();
}

static size_t unmap(const struct piece *pieces, unsigned count) {
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        if (os_unmap((void *)pieces[i].address, pieces[i].bytes))
            bytes += pieces[i].bytes;
        else
            keep(pieces[i]);
    }
    if (bytes > 0)
        account_give(bytes);
    return bytes;
}

static size_t purge(uint64_t before_ms, bool keeps_some) {
    struct piece pieces[EXPIRE_BATCH];
    size_t bytes = 0;
    size_t rounds = extent_free_count() / EXPIRE_BATCH + 1;
    while (rounds-- > 0) {
        enter_lock();
        unsigned count = take_expired(pieces, before_ms, keeps_some ? cache_limit() : 0);
        leave_lock();
        bytes += unmap(pieces, count);
    }
    return bytes;
}

size_t large_purge(void) { return purge(UINT64_MAX, false); }

size_t large_purge_expired(uint64_t before_ms) { return purge(before_ms, true); }

/* --- allocation ------------------------------------------------------------------------------- */

static void make_live(struct extent *extent, size_t used_bytes) {
    store_relaxed(&extent->used_bytes, used_bytes);
    store_relaxed(&extent->state, EXTENT_LIVE);
    count_live(extent, true);
}

/* With the lock held: enters a fresh mapping and cuts the aligned block out of it. */
static struct extent *enter_mapping(uintptr_t address, size_t mapped, size_t bytes,
                                    size_t alignment, uint64_t now) {
    if (!extent_reserve_descriptors(DESCRIPTORS) ||
        !pagemap_prepare(address, address + mapped - 1))
        return NULL;
    uintptr_t start = round_up(address, alignment);
    uintptr_t end = start + bytes;
    if (!pagemap_prepare(start - 1, start) || !pagemap_prepare(end - 1, end))
        return NULL;
    struct extent *extent = extent_new(address, mapped, true, EXTENT_BUSY);
    if (start > address) {
        struct extent *rest = extent_split(extent, start - address);
        extent_put(extent, now);
        extent = rest;
    }
    if (extent->bytes > bytes)
        extent_put(extent_split(extent, bytes), now);
    return extent;
}

static void *map(size_t bytes) {
    if (!account_take(bytes))
        return NULL;
    void *memory = os_map(bytes);
    if (memory == NULL)
        account_give(bytes);
    else if (bytes >= HUGE_BLOCK_BYTES && UNLIKELY(option_get(OPTION_huge_pages)))
        os_advise_huge(memory, bytes, true);
    return memory;
}

static struct extent *map_new(size_t bytes, size_t alignment, uint64_t now) {
    size_t mapped = bytes;
    if (alignment > os_page_bytes &&
        __builtin_add_overflow(bytes, alignment - os_page_bytes, &mapped))
        return NULL;
    void *memory = map(mapped);
    if (memory == NULL && large_purge() > 0)
        memory = map(mapped);
    if (memory == NULL)
        return NULL;
    enter_lock();
    struct extent *extent = enter_mapping((uintptr_t)memory, mapped, bytes, alignment, now);
    if (extent != NULL) {
        store_relaxed(&large.stats.mappings, large.stats.mappings + 1);
        make_live(extent, bytes);
        watch_note_growth();
    }
    leave_lock();
    if (extent == NULL) {
        os_unmap(memory, mapped);
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
    extent_show(extent, to, to_bytes);
    count_live(extent, true);
    return moved != NULL;
}

/* With the lock held: no cached extent is long enough, but the longest may be made so. Its memory
 * is there, and moving page tables is cheaper than to fault in and clear as much; nor is it held
 * twice. */
static struct extent *lengthen_cached(size_t bytes, uint64_t now) {
    if (!extent_reserve_descriptors(1))
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
    struct piece pieces[EXPIRE_BATCH];
    struct extent *extent = NULL;
    bytes = round_up(bytes != 0 ? bytes : 1, os_page_bytes);
    uint64_t now = os_clock_ms();

    enter_lock();
    unsigned count = take_expired(pieces, option_purge_before(now), cache_limit());
    if (extent_reserve_descriptors(DESCRIPTORS))
        extent = extent_take(bytes, alignment);
    if (extent != NULL)
        make_live(extent, bytes);
    else if (alignment <= os_page_bytes)
        extent = lengthen_cached(bytes, now);
    leave_lock();
    unmap(pieces, count);
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

/* The live block that begins there; takes no lock. */
static struct extent *find_live(const void *pointer) {
    struct extent *extent = pagemap_get((uintptr_t)pointer);
    if (extent == NULL || extent_block(extent) != (uintptr_t)pointer ||
        load_relaxed(&extent->state) != EXTENT_LIVE)
        return NULL;
    return extent;
}

enum fault large_free(void *pointer) {
    struct piece pieces[EXPIRE_BATCH];
    uintptr_t start;
    size_t bytes;
    uint64_t now = os_clock_ms();

    enter_lock();
    struct extent *extent = find_live(pointer);
    if (extent == NULL) {
        leave_lock();
        return large_examine((uintptr_t)pointer, &start, &bytes);
    }
    if (extent->front_bytes > 0)
        extent_set_front(extent, 0); /* can't fail: its first page is in the page map */
    count_live(extent, false);
    store_relaxed(&large.stats.frees, large.stats.frees + 1);
    extent_put(extent, now);
    unsigned count = take_expired(pieces, option_purge_before(now), cache_limit());
    leave_lock();
    unmap(pieces, count);
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

static bool grow(struct extent *extent, size_t bytes) {
    size_t roomy = round_up(bytes + bytes / LARGE_GROWTH_PART, os_page_bytes);
    bool grown = false;
    if (extent_reserve_descriptors(DESCRIPTORS)) {
        count_live(extent, false);
        grown = extent_grow_in_place(extent, roomy - extent->bytes) ||
                extent_grow_in_place(extent, bytes - extent->bytes);
        count_live(extent, true);
    }
    if (!grown)
        grown = remap(extent, roomy) || remap(extent, bytes);
    if (grown)
        store_relaxed(&extent->used_bytes, bytes - extent->front_bytes);
    return grown;
}

void *large_resize(void *pointer, size_t bytes) {
    struct piece pieces[EXPIRE_BATCH];
    unsigned count = 0;
    void *result = NULL;
    uint64_t now = os_clock_ms();
    bytes = round_up(bytes, os_page_bytes);

    enter_lock();
    struct extent *extent = find_live(pointer);
    if (extent != NULL) {
        bytes += extent->front_bytes;
        if (bytes <= extent->bytes) {
            shrink(extent, bytes, now);
            count = take_expired(pieces, option_purge_before(now), cache_limit());
            result = pointer;
        } else if (grow(extent, bytes)) {
            result = (void *)extent_block(extent);
        }
    }
    leave_lock();
    unmap(pieces, count);
    watch_note_free();
    return result;
}

/* --- making inaccessible ---------------------------------------------------------------------- */

/* The system allows 65530 mappings by default. */
enum { CLOSED_MAX = 16384 };

static uint32_t closed_count;

static void note_closed(struct extent *extent, enum extent_closed closed, size_t used_bytes) {
    if ((extent->closed == EXTENT_OPEN) != (closed == EXTENT_OPEN))
        fetch_add_relaxed(&closed_count, closed == EXTENT_OPEN ? UINT32_MAX : 1);
    extent->closed = (uint8_t)closed;
    store_relaxed(&extent->used_bytes, used_bytes);
}

static bool begin_behind(struct extent *extent, size_t front_bytes) {
    enter_lock();
    bool done = extent_set_front(extent, front_bytes);
    leave_lock();
    return done;
}

/* Where the system refuses the one in front when there is one behind, the pages stay left out. */
void *large_guard(void *pointer, size_t front_bytes) {
    struct extent *extent = find_live(pointer);
    if (extent == NULL || extent->closed != EXTENT_OPEN ||
        extent->used_bytes <= front_bytes + os_page_bytes ||
        load_relaxed(&closed_count) >= CLOSED_MAX)
        return pointer;
    uintptr_t end = extent_block(extent) + extent->used_bytes - os_page_bytes;
    if (!os_decommit((void *)end, os_page_bytes))
        return pointer;
    if (front_bytes == 0 || !begin_behind(extent, front_bytes))
        front_bytes = extent->front_bytes;
    if (front_bytes > 0)
        os_decommit((void *)extent->address, front_bytes);
    note_closed(extent, EXTENT_GUARDED, end - extent_block(extent));
    return (void *)extent_block(extent);
}

bool large_seal(void *pointer) {
    struct extent *extent = find_live(pointer);
    if (extent == NULL || (extent->closed == EXTENT_OPEN && closed_count >= CLOSED_MAX) ||
        !os_decommit((void *)extent->address, extent->bytes))
        return false;
    note_closed(extent, EXTENT_SEALED, extent->used_bytes);
    return true;
}

bool large_open(void *pointer) {
    struct extent *extent = find_live(pointer);
    if (extent == NULL || extent->closed == EXTENT_OPEN)
        return true;
    if (!os_commit((void *)extent->address, extent->bytes))
        return false;
    note_closed(extent, EXTENT_OPEN, extent->bytes - extent->front_bytes);
    return true;
}

/* --- looking ---------------------------------------------------------------------------------- */

size_t large_usable(const void *pointer) {
    struct extent *extent = find_live(pointer);
    return extent != NULL ? load_relaxed(&extent->used_bytes) : 0;
}

void **large_note(const void *pointer) {
    struct extent *extent = find_live(pointer);
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
