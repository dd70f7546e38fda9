/* Purpose: view.h. */
#include "slab/view.h"

#include "slab/zone.h"

/* A slab that changes its class this often while it is looked at has no live slots to speak of. */
enum { TRIES = 8 };

/* From the class and the slab's number alone, so that all of it is of one life. */
static void see_shape(const struct slab *slab, struct slab_view *view) {
    const struct size_class *c = &size_classes[view->cls];
    size_t start = slab_start_bytes(c, load_relaxed(&slab->number));
    view->memory = zone_slab_memory(slab);
    view->slab_bytes = (size_t)1 << slab_shift_of((enum zone_kind)load_relaxed(&slab->zone));
    view->base = view->memory + start;
    view->slot_bytes = c->slot_bytes;
    view->slots = class_slots(view->cls, start);
}

/* Acquire: before the class is looked at again. */
static void see_slots(const struct slab *slab, struct slab_view *view) {
    view->live = view->remote = 0;
    for (size_t first = 0; first < view->slots; first += 64) {
        size_t word = first / 64;
        uint64_t remote = load_acquire(&slab_remote_bits(slab)[word]);
        uint64_t live = ~(load_acquire(&slab->bits[word]) | remote);
        if (view->slots - first < 64)
            live &= UINT64_MAX >> (64 - (view->slots - first));
        view->live_bits[word] = live;
        view->live += bit_count(live);
        view->remote += bit_count(remote);
    }
}

bool slab_look(const struct slab *slab, struct slab_view *view) {
    for (unsigned tries = 0; tries < TRIES; tries++) {
        unsigned cls;
        view->state = slab_state_in_class(slab, &view->cls);
        if (view->state == SLAB_EMPTY || view->state == SLAB_CLAIMED || view->cls >= CLASS_COUNT ||
            size_classes[view->cls].zone != load_relaxed(&slab->zone))
            return false;
        view->owner = load_relaxed(&slab->owner);
        see_shape(slab, view);
        see_slots(slab, view);
        uint8_t state = slab_state_in_class(slab, &cls);
        if (cls == view->cls && state != SLAB_EMPTY && state != SLAB_CLAIMED)
            return true;
    }
    return false;
}
