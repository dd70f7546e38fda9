/* Purpose: one reserved range of a zone: reserving it, making more of it writable.
 * Owns:    the range's mapping.
 * Locking: the zone's lock, held by the caller. */
#ifndef SLM_SLAB_RANGE_H
#define SLM_SLAB_RANGE_H

#include "slab/zone.h"

/* Bitmaps and headers lie in between: a page before and a page behind are never accessible. */
static inline uintptr_t range_tables(const struct range *range) {
    return (uintptr_t)range->mapping + os_page_bytes;
}
static inline uint64_t *range_remote_bits(const struct range *range, size_t number) {
    return (uint64_t *)(range->remote + number * SLAB_REMOTE_BYTES);
}
static inline uint8_t *range_gone_entry(const struct range *range, size_t number) {
    return (uint8_t *)(range->bitmaps - 1 - number);
}
/* Of an empty slab whose header was given back, its last class and 1; else 0. What its header would
 * say is added to it. */
enum { GONE_DECOMMITTED = 128 };
_Static_assert(TINY_CLASSES + 1 < GONE_DECOMMITTED, "classes and a flag fit in a byte");
static inline unsigned range_gone(const struct range *range, size_t number) {
    return number < load_relaxed(&range->gone_writable)
               ? load_relaxed(range_gone_entry(range, number))
               : 0;
}
static inline uintptr_t range_tables_end(const struct range *range) {
    return round_down(range->base, os_page_bytes) - os_page_bytes;
}

/* Reserves about `bytes` for a new range; false, and nothing reserved, if the system refuses. */
bool range_reserve(struct range *range, enum zone_kind kind, size_t bytes);

/* Makes slab number `fresh` usable; false if there is no memory or the range is used up. */
bool range_extend(struct range *range, enum zone_kind kind);

static inline void range_set_gone(const struct range *range, size_t number, unsigned gone) {
    store_relaxed(range_gone_entry(range, number), (uint8_t)gone);
}

/* headers.c: a slab that is fresh or empty gets its name, and its header back. With the lock. */
struct slab *range_name_slab(struct range *range, unsigned index, enum zone_kind kind,
                             size_t number);

/* headers.c: slabs `first` to `end` hold no memory any more: with empty neighbours, they may fill
 * pages of headers. With the lock held, which is given up meanwhile. */
void range_give_headers_back(struct zone *zone, struct range *range, size_t first, size_t end);

/* Gives up what the system has charged for longer runs of empty slabs, which stay in `empty` as
 * decommitted; returns the bytes. `*dirty` is lowered by those that were dirty. */
size_t range_decommit_empty(struct range *range, enum zone_kind kind, size_t *dirty);

/* Makes a decommitted slab usable again; false: no memory. */
bool range_recommit(struct range *range, enum zone_kind kind, struct slab *slab);

#endif
