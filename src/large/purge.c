/* Purpose: large.h: free mappings go back to the system.
 * Owns:    nothing.
 * Locking: RANK_LARGE, but not while memory is given back. */
#include "core/account.h"
#include "core/options.h"
#include "large/own.h"
#include "large/pagemap.h"

/* At least the longest of late may stay: who allocates one block at a time needs it again. And as
 * much as lives, not a part of it as of slabs: large blocks are costly to get. */
static size_t cache_limit_now(void) {
    size_t live = large.stats.live_bytes;
    size_t part = live / LARGE_CACHE_LIVE_PART;
    size_t least = option_get(OPTION_large_cache);
    size_t limit = part > least && least > 0 ? part : least;
    size_t most = keep_most(&large.keep, live > large.longest ? live : large.longest);
    return limit < most ? limit : most;
}

static size_t cache_limit(void) {
    if (LIKELY(extent_free_bytes() <= cache_limit_now()))
        return SIZE_MAX; /* nothing is beyond it */
    keep_note_excess();
    return cache_limit_now();
}

/* Addresses without memory cost the system little, but there may be a limit on them. */
static size_t empty_limit(void) { return large.stats.live_bytes + LARGE_CACHE_MIN_BYTES; }

static struct large_piece take_out(struct extent *extent, bool may_stay) {
    struct large_piece piece = {.held_bytes = extent->is_empty ? 0 : extent->bytes};
    piece.stays = may_stay && extent_empty_bytes() + extent->bytes <= empty_limit();
    if (!piece.stays)
        extent = extent_absorb_empty(extent);
    piece.address = extent->address;
    piece.bytes = extent->bytes;
    piece.is_moved = extent->is_moved;
    extent_forget(extent);
    return piece;
}

unsigned large_take_expired(struct large_piece *pieces, uint64_t before_ms) {
    size_t limit_bytes = cache_limit();
    unsigned count = 0;
    struct extent *extent;
    while (count < LARGE_PIECES && (extent = extent_take_expired(before_ms, limit_bytes)) != NULL) {
        if (extent->freed_ms < before_ms) {
            keep_note_expired(&large.keep, extent->bytes);
            large.longest = 0;
        } else {
            keep_note_gone(&large.keep, extent->bytes);
        }
        pieces[count++] = take_out(extent, extent_is_between(extent));
    }
    while (count < LARGE_PIECES && UNLIKELY(extent_empty_bytes() > empty_limit()))
        pieces[count++] = take_out(extent_take_empty(), false);
    return count;
}

/* All there is, of both kinds. */
static unsigned take_any(struct large_piece *pieces) {
    unsigned count = 0;
    struct extent *extent;
    while (count < LARGE_PIECES && ((extent = extent_take_expired(UINT64_MAX, 0)) != NULL ||
                                    (extent = extent_take_empty()) != NULL))
        pieces[count++] = take_out(extent, false);
    return count;
}

/* Its addresses stay ours. `is_zero`: its memory went. Returns the bytes that did. */
static size_t keep(const struct large_piece *piece, bool is_zero) {
    bool is_empty = is_zero || piece->held_bytes < piece->bytes;
    uint64_t now = os_clock_ms();
    lock_acquire(&large.lock, RANK_LARGE);
    bool kept = extent_reserve_descriptors(1) &&
                pagemap_prepare(piece->address, piece->address + piece->bytes - 1);
    if (kept) {
        struct extent *extent = extent_new(piece->address, piece->bytes, is_zero, EXTENT_BUSY);
        extent->is_empty = is_empty;
        extent_note_moved(extent, piece->is_moved);
        extent_put(extent, now);
    }
    lock_release(&large.lock, RANK_LARGE);
    if (kept && !is_empty)
        return 0;
    account_give(piece->held_bytes); /* or lost */
    return piece->held_bytes;
}

/* A mapping that the system does not take back (it can run out of mappings by splitting one) stays
 * ours, too. */
static size_t give_back_piece(const struct large_piece *piece) {
    void *memory = (void *)piece->address;
    if (piece->stays && os_purge(memory, piece->bytes))
        return keep(piece, true);
    if (!os_unmap(memory, piece->bytes))
        return keep(piece, os_purge(memory, piece->bytes));
    fetch_add_relaxed(&large.stats.unmappings, 1);
    account_give(piece->held_bytes);
    return piece->held_bytes;
}

size_t large_give_back(const struct large_piece *pieces, unsigned count) {
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++)
        bytes += give_back_piece(&pieces[i]);
    return bytes;
}

size_t large_purge(void) {
    struct large_piece pieces[LARGE_PIECES];
    size_t bytes = 0;
    size_t rounds = (extent_free_count() + extent_empty_count()) / LARGE_PIECES + 1;
    while (rounds-- > 0) {
        lock_acquire(&large.lock, RANK_LARGE);
        unsigned count = take_any(pieces);
        lock_release(&large.lock, RANK_LARGE);
        bytes += large_give_back(pieces, count);
    }
    return bytes;
}

size_t large_purge_expired(uint64_t before_ms) {
    struct large_piece pieces[LARGE_PIECES];
    size_t bytes = 0;
    size_t rounds = extent_free_count() / LARGE_PIECES + 1;
    while (rounds-- > 0) {
        lock_acquire(&large.lock, RANK_LARGE);
        unsigned count = large_take_expired(pieces, before_ms);
        lock_release(&large.lock, RANK_LARGE);
        bytes += large_give_back(pieces, count);
    }
    return bytes;
}

static size_t may_be_owed(void) { return keep_may_make_up(&large.keep, extent_free_bytes()); }

/* With the lock held. */
static unsigned take_owed(struct large_piece *pieces) {
    unsigned count = 0;
    size_t most;
    while (count < LARGE_PIECES && (most = may_be_owed()) > 0 &&
           (large.owed >= MAKE_UP_LEAST_BYTES || large.owed >= most)) {
        size_t wanted = large.owed < most ? large.owed : most;
        struct extent *extent = extent_take_expired(0, extent_free_bytes() - wanted);
        if (extent == NULL)
            break;
        keep_note_made_up(&large.keep, extent->bytes);
        large.owed -= extent->bytes < large.owed ? extent->bytes : large.owed;
        pieces[count++] = take_out(extent, true); /* a second free of it is still told as that */
    }
    if (large.owed > may_be_owed())
        large.owed = may_be_owed();
    return count;
}

size_t large_purge_some(size_t bytes) {
    struct large_piece pieces[LARGE_PIECES];
    if (may_be_owed() == 0 || lock_holder(&large.lock) == thread_id()) /* a signal handler inside */
        return 0;
    lock_acquire(&large.lock, RANK_LARGE);
    large.owed += bytes;
    unsigned count = take_owed(pieces);
    lock_release(&large.lock, RANK_LARGE);
    return large_give_back(pieces, count);
}
