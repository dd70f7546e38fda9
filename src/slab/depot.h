/* Purpose: the depots, one per class of TINY: slabs with free slots that no thread owns.
 * Owns:    those slabs, while they are shelved.
 * Locking: one lock per class (RANK_CLASS). It guards the list, and every change of a slab's
 *          `owner` from "nobody" to somebody; changes to "nobody" hold the leaving cache's lock
 *          and this one.
 *
 * Picture:   depot[class] -> slab <-> slab <-> slab      (SLAB_SHELVED)
 *            SLAB_ORPHANED slabs, full when their owner left, are on no list: the next thread that
 *            frees into one adopts it. */
#ifndef SLM_SLAB_DEPOT_H
#define SLM_SLAB_DEPOT_H

#include "os/lock.h"
#include "slab/slab.h"

struct depot {
    struct lock lock;
    struct slab *shelf;
    size_t count;    /* slabs on the shelf */
    uint64_t adopted; /* slabs that found a new owner here, or by a free */
} CACHE_ALIGNED;

extern struct depot depots[TINY_CLASSES];

/* Takes a slab for `owner`; NULL if the shelf is empty. Remote frees may be pending in it. */
struct slab *depot_take(unsigned cls, uintptr_t owner);

/* With the depot's lock held: gives up a slab, on the shelf if it has free slots. */
void depot_put_locked(struct depot *depot, struct slab *slab);

/* With the depot's lock held: takes an unowned slab off the shelf, if it is on it. */
void depot_adopt_locked(struct depot *depot, struct slab *slab, uintptr_t owner);

#endif
