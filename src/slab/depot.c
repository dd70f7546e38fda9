/* Purpose: depot.h. */
#include "slab/depot.h"

struct depot depots[TINY_CLASSES];

void depot_adopt_locked(struct depot *depot, struct slab *slab, uintptr_t owner) {
    if (slab->state == SLAB_SHELVED) {
        slab_list_remove(&depot->shelf, slab);
        depot->count--;
    }
    store_relaxed(&slab->state, SLAB_FULL);
    store_relaxed(&depot->adopted, depot->adopted + 1);
    exchange_seq_cst(&slab->owner, owner);
}

struct slab *depot_take(unsigned cls, uintptr_t owner) {
    struct depot *depot = &depots[cls];
    if (load_relaxed(&depot->shelf) == NULL)
        return NULL;
    lock_acquire(&depot->lock, RANK_CLASS);
    struct slab *slab = depot->shelf;
    if (slab != NULL)
        depot_adopt_locked(depot, slab, owner);
    lock_release(&depot->lock, RANK_CLASS);
    return slab;
}

void depot_put_locked(struct depot *depot, struct slab *slab) {
    if (slab_rebuild_summary(slab) != 0) {
        store_relaxed(&slab->state, SLAB_SHELVED);
        slab_list_push(&depot->shelf, slab);
        depot->count++;
    } else {
        store_relaxed(&slab->state, SLAB_ORPHANED);
    }
    exchange_seq_cst(&slab->owner, 0);
}
