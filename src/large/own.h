/* Purpose: what large.c and purge.c share: how LARGE stands, and mappings on their way back.
 * Owns:    nothing; `large` is large.c's.
 * Locking: as said of each. */
#ifndef SLM_LARGE_OWN_H
#define SLM_LARGE_OWN_H

#include "core/keep.h"
#include "large/extent.h"
#include "large/large.h"

struct large {
    struct lock lock;
    struct large_stats stats;
    struct keep keep;
    size_t longest; /* extent freed since one has last been kept in vain */
    size_t owed;    /* bytes to give back for what the heap has grown by elsewhere */
};

extern struct large large HIDDEN;

/* Out of every table; what it covered is the caller's to give back. */
struct large_piece {
    uintptr_t address;
    size_t bytes;
    size_t held_bytes; /* what of them was charged for */
    bool stays;        /* without its memory */
    bool is_moved;     /* of struct extent */
};

enum { LARGE_PIECES = 8 }; /* at most, at once */

/* With the lock held: takes what was freed before `before_ms`, or is more than may be kept, for
 * large_give_back after the unlock. (Not later than the unlock may another mapping appear there.)
 * How many. */
unsigned large_take_expired(struct large_piece *pieces, uint64_t before_ms);

/* Without it. Returns the bytes that went. */
size_t large_give_back(const struct large_piece *pieces, unsigned count);

#endif
