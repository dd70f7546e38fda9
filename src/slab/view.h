/* Purpose: one slab as it was at one moment, for reports: its shape, its owner, which slots live.
 * Owns:    nothing.
 * Locking: none: the owner of the slab may be running. What is seen is the slab in one of its lives
 *          (class and slots belong together); slots taken or freed meanwhile are seen or not. */
#ifndef SLM_SLAB_VIEW_H
#define SLM_SLAB_VIEW_H

#include "slab/slab.h"

struct slab_view {
    uintptr_t memory;  /* first byte of the slab */
    size_t slab_bytes;
    uintptr_t base;    /* of slot 0 */
    size_t slot_bytes;
    size_t slots;
    size_t live;       /* slots that the program holds */
    size_t remote;     /* frees by other threads that are not merged yet */
    uintptr_t owner;   /* struct cache * | OWNER_PENDING; 0 = nobody's */
    unsigned cls;
    uint8_t state;     /* enum slab_state */
    uint64_t live_bits[SLAB_WORDS]; /* bit = 1  <=>  the slot is live */
};

/* False: no slot of the slab can be live (it is empty, or on its way from or to its zone). */
bool slab_look(const struct slab *slab, struct slab_view *view);

HOT_INLINE bool slab_view_lives(const struct slab_view *view, size_t slot) {
    return view->live_bits[slot / 64] >> (slot % 64) & 1;
}

#endif
