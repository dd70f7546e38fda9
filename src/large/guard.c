/* Purpose: LARGE blocks that can't be accessed, in part or at all: see large_guard in large.h.
 * Owns:    the count of them, an atomic.
 * Locking: RANK_LARGE where a block comes to begin elsewhere; else none: the block is the
 *          caller's, who may neither free nor resize it meanwhile. */
#include "large/extent.h"
#include "large/large.h"

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
    lock_acquire(large_lock(), RANK_LARGE);
    bool done = extent_set_front(extent, front_bytes);
    lock_release(large_lock(), RANK_LARGE);
    return done;
}

/* Where the system refuses the one in front when there is one behind, the pages stay left out. */
void *large_guard(void *pointer, size_t front_bytes) {
    struct extent *extent = extent_live_at(pointer);
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
    struct extent *extent = extent_live_at(pointer);
    if (extent == NULL || (extent->closed == EXTENT_OPEN && closed_count >= CLOSED_MAX) ||
        !os_decommit((void *)extent->address, extent->bytes))
        return false;
    note_closed(extent, EXTENT_SEALED, extent->used_bytes);
    return true;
}

bool large_open(void *pointer) {
    struct extent *extent = extent_live_at(pointer);
    if (extent == NULL || extent->closed == EXTENT_OPEN)
        return true;
    if (!os_commit((void *)extent->address, extent->bytes))
        return false;
    note_closed(extent, EXTENT_OPEN, extent->bytes - extent->front_bytes);
    return true;
}
