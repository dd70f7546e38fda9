/* Purpose: the size classes: request size -> class -> slot size, count and magic number.
 * Owns:    constant tables; pure functions.
 *
 *   class    0    1  ...   7 |   8    9   10   11 | ...  19 | ...  27 |   28 ...    67
 *   bytes   16   32      128 | 160  192  224  256 |    1024 |    4096 | 4608    131072
 *           TINY: steps of 16, then four per doubling                 | SMALL: eight per doubling
 *           fine                                            | coarse: how a class is found */
#ifndef SLM_CORE_CLASSES_H
#define SLM_CORE_CLASSES_H

#include "base/bits.h"
#include "core/params.h"

enum zone_kind { ZONE_TINY, ZONE_SMALL, ZONE_COUNT };

struct size_class {
    uint64_t magic;       /* magic_of(slot_bytes) */
    uint32_t slot_bytes;  /* a multiple of 16 */
    uint32_t colour_step; /* bytes; a multiple of the slots' natural alignment */
    uint32_t colours;     /* how many starts a slab of this class may have, at least 1 */
    uint32_t zone;        /* enum zone_kind */
};

extern const struct size_class size_classes[CLASS_COUNT];

/* By steps of 16 bytes (fine) and of 256 bytes (coarse); see class_of. What is fine has a coarse
 * class, too, the first one: a malloc may come to look there while the heap begins or ends to be
 * sampled, for it reads fine_end and tiny_end (slab/zone.h) one after the other. */
extern const uint8_t fine_class_of_step[FINE_STEPS] HIDDEN;
extern const uint8_t coarse_class_of_step[COARSE_STEPS] HIDDEN;

HOT_INLINE size_t fine_step(size_t bytes) { return (bytes + 15) >> FINE_STEP_SHIFT; }
HOT_INLINE size_t coarse_step(size_t bytes) { return (bytes + 255) >> COARSE_STEP_SHIFT; }

/* The smallest class whose slots hold `bytes`, which is at most SMALL_MAX_BYTES. */
HOT_INLINE unsigned class_of(size_t bytes) {
    return bytes <= FINE_MAX_BYTES ? fine_class_of_step[fine_step(bytes)]
                                   : coarse_class_of_step[coarse_step(bytes)];
}

/* What to ask for, so that the class's slots all start at multiples of `alignment`, a power of two:
 * its size is this, or lies in a doubling whose classes are multiples of more than that. */
HOT_INLINE size_t bytes_for_aligned(size_t bytes, size_t alignment) {
    return round_up(bytes + (bytes == 0), alignment);
}

/* The smallest class whose slots hold `bytes` and all start at multiples of `alignment`, a power
 * of two; CLASS_COUNT if there is none. */
unsigned class_of_aligned(size_t bytes, size_t alignment);

/* The class for either; CLASS_COUNT: it is LARGE. `alignment` up to MIN_ALIGNMENT: any slot will
 * do. */
HOT_INLINE unsigned class_for(size_t bytes, size_t alignment) {
    if (alignment > MIN_ALIGNMENT)
        return class_of_aligned(bytes, alignment);
    return bytes > SMALL_MAX_BYTES ? CLASS_COUNT : class_of(bytes);
}

HOT_INLINE size_t slab_shift_of(enum zone_kind kind) {
    return kind == ZONE_TINY ? TINY_SLAB_SHIFT : SMALL_SLAB_SHIFT;
}

/* Slots of a slab whose slot 0 lies `start_bytes` behind the slab's first byte. */
HOT_INLINE unsigned class_slots(unsigned cls, size_t start_bytes) {
    const struct size_class *c = &size_classes[cls];
    size_t slab_bytes = (size_t)1 << slab_shift_of((enum zone_kind)c->zone);
    size_t slots = (slab_bytes - start_bytes) / c->slot_bytes;
    return (unsigned)(slots < SLAB_SLOTS_MAX ? slots : SLAB_SLOTS_MAX);
}

#endif
