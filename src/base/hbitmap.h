/* Purpose: a set of up to 2^24 small integers with O(1) insert, remove and "lowest member":
 *          four levels of 64-way summaries over a flat bitmap.
 * Owns:    nothing; the caller gives the memory, which must be zero (= the empty set).
 * Locking: the caller's.
 * Invariant: bit i of level k+1 is set  <=>  word i of level k is not 0.
 *
 *     level 3   [.]                      1 word
 *     level 2   [................]       one bit per word of level 1
 *     level 1   [ .... ]                 one bit per word of level 0
 *     level 0   [ .......... ]           one bit per member */
#ifndef SLM_BASE_HBITMAP_H
#define SLM_BASE_HBITMAP_H

#include "base/bits.h"

enum { HBITMAP_LEVELS = 4 };
#define HBITMAP_MAX ((size_t)1 << 24)

struct hbitmap {
    size_t size; /* members are below this */
    uint64_t *level[HBITMAP_LEVELS];
};

/* Bytes of zeroed, 8-byte aligned memory that hbitmap_init needs for members 0..size-1. */
size_t hbitmap_bytes(size_t size);
void hbitmap_init(struct hbitmap *map, void *memory, size_t size);

void hbitmap_insert(struct hbitmap *map, size_t member);
void hbitmap_remove(struct hbitmap *map, size_t member);
bool hbitmap_has(const struct hbitmap *map, size_t member);

/* The lowest member, or SIZE_MAX of the empty set. */
size_t hbitmap_lowest(const struct hbitmap *map);

/* The lowest member >= from, or SIZE_MAX. */
size_t hbitmap_next(const struct hbitmap *map, size_t from);

/* The member that has `count` members below it, or SIZE_MAX if there are no more than that.
 * `*below`: how many of these there are. */
size_t hbitmap_skip(const struct hbitmap *map, size_t count, size_t *below);

/* Whether the invariant holds for members below `limit`, and there are none at or above it. */
bool hbitmap_verify(const struct hbitmap *map, size_t limit);

#endif
