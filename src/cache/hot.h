/* Purpose: the hot paths of malloc and free, inline and alone.
 * Owns:    nothing.
 * Locking: none, and no atomic read-modify-write: only the owner of a slab comes through here.
 *
 * Each has one kind of exit: "not simple", and then nothing has been changed. There is no test for
 * "initialised?", "debugging?" or NULL: a thread without a cache has one in which every slab is
 * full and owns none, and a pointer that is not in the first ranges is not simple. */
#ifndef SLM_CACHE_HOT_H
#define SLM_CACHE_HOT_H

#include "cache/cache.h"
#include "slab/zone.h"

/* Stores a slot for `bytes` <= TINY_MAX_BYTES in `*pointer`; false: the class has none at hand. */
HOT_INLINE bool hot_malloc_tiny(size_t bytes, void **pointer) {
    struct slab *slab = cache_self->tiny[tiny_step(bytes)];
    size_t slot;
    if (UNLIKELY(!slab_take_hinted(slab, &slot)))
        return false;
    *pointer = slab_slot_address(slab, slot);
    return true;
}

/* The same for `bytes` in TINY_MAX_BYTES + 1 .. SMALL_MAX_BYTES. */
HOT_INLINE bool hot_malloc_small(size_t bytes, void **pointer) {
    size_t cls = small_class_of_step[small_step(bytes)];
    struct slab *slab = cache_self->small[cls - TINY_CLASSES];
    size_t slot;
    if (UNLIKELY(!slab_take_hinted(slab, &slot)))
        return false;
    *pointer = slab_slot_address(slab, slot);
    return true;
}

/* Frees the slot of `slab` at `address`, if this thread owns the slab, it has no remote frees
 * pending, and a live slot starts there. False: nothing was done. */
HOT_INLINE bool hot_free_in(struct slab *slab, uintptr_t address, enum zone_kind kind) {
    size_t slot;
    struct cache *self = cache_self;
    if (UNLIKELY(load_own(&slab->owner) != (uintptr_t)self) ||
        UNLIKELY(!slab_slot_at(slab, address, &slot)) || UNLIKELY(!slab_give(slab, slot)))
        return false;
    if (kind == ZONE_SMALL)
        slab_note_freed(slab, slot);
    if (UNLIKELY(decrement_own(&slab->countdown) == 0))
        cache_countdown_over(self, slab);
    return true;
}

/* Bytes that the live block of `slab` at `address` may use, if this thread owns the slab and no
 * remote frees are pending; 0: perhaps, but it takes the slow way to know. */
HOT_INLINE size_t hot_usable_in(const struct slab *slab, uintptr_t address) {
    size_t slot;
    if (UNLIKELY(load_own(&slab->owner) != (uintptr_t)cache_self) ||
        UNLIKELY(!slab_slot_at(slab, address, &slot)) ||
        UNLIKELY(slab_load_word(slab, slot / 64) >> (slot % 64) & 1))
        return 0;
    return slab->slot_bytes;
}

HOT_INLINE size_t hot_usable(const void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    uintptr_t offset = address - load_own(&zone_map.tiny_base);
    if (LIKELY(offset < load_own(&zone_map.tiny_span)))
        return hot_usable_in(
            slab_header(load_own(&zone_map.tiny_headers), offset >> TINY_SLAB_SHIFT), address);
    offset = address - load_own(&zone_map.small_base);
    if (LIKELY(offset < load_own(&zone_map.small_span)))
        return hot_usable_in(
            slab_header(load_own(&zone_map.small_headers), offset >> SMALL_SLAB_SHIFT), address);
    return 0;
}

/* hot_free_in for any address in the first TINY range, and in the first SMALL range. They are
 * two, so that a free of a TINY block is as short as can be. */
HOT_INLINE bool hot_free_tiny(void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    uintptr_t offset = address - load_own(&zone_map.tiny_base);
    return LIKELY(offset < load_own(&zone_map.tiny_span)) &&
           hot_free_in(slab_header(load_own(&zone_map.tiny_headers), offset >> TINY_SLAB_SHIFT),
                       address, ZONE_TINY);
}

HOT_INLINE bool hot_free_small(void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    uintptr_t offset = address - load_own(&zone_map.small_base);
    return LIKELY(offset < load_own(&zone_map.small_span)) &&
           hot_free_in(slab_header(load_own(&zone_map.small_headers), offset >> SMALL_SLAB_SHIFT),
                       address, ZONE_SMALL);
}

#endif
