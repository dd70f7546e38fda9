/* Purpose: the hot paths of malloc and free, inline and alone.
 * Owns:    nothing.
 * Locking: TINY: none, and no atomic read-modify-write where a slab's owner comes through; others,
 *          in hot_free_remote, as remote.c says. SMALL: that of common.h, if nobody holds it.
 *
 * Each has one kind of exit: "not simple", and then nothing has been changed. There is no test for
 * "initialised?", "debugging?" or NULL: a thread without a cache has one in which every slab is
 * full and owns none, and a pointer that is not in the first ranges is not simple. */
#ifndef SLM_CACHE_HOT_H
#define SLM_CACHE_HOT_H

#include "cache/common.h"
#include "slab/zone.h"

/* Stores a slot for `bytes` <= FINE_MAX_BYTES in `*pointer`; false: the class has none at hand. */
HOT_INLINE bool hot_malloc_fine(size_t bytes, void **pointer) {
    struct slab *slab = cache_self->fine[fine_step(bytes)];
    size_t slot;
    return LIKELY(slab_take_hinted(slab, pointer, &slot));
}

/* The same for `bytes` in FINE_MAX_BYTES + 1 .. TINY_MAX_BYTES. */
HOT_INLINE bool hot_malloc_coarse(size_t bytes, void **pointer) {
    size_t cls = coarse_class_of_step[coarse_step(bytes)];
    struct slab *slab = cache_self->coarse[cls - FINE_CLASSES];
    size_t slot;
    return LIKELY(slab_take_hinted(slab, pointer, &slot));
}

/* The same for `bytes` <= TINY_MAX_BYTES. */
HOT_INLINE bool hot_malloc_tiny(size_t bytes, void **pointer) {
    return bytes <= FINE_MAX_BYTES ? hot_malloc_fine(bytes, pointer)
                                   : hot_malloc_coarse(bytes, pointer);
}

/* The slab, if `pointer` lies in the first `span` bytes of the first TINY range, which are no more
 * than there are. */
HOT_INLINE bool hot_find_tiny_below(const void *pointer, size_t span, struct slab **slab) {
    uintptr_t offset = (uintptr_t)pointer - load_own(&zone_map.tiny_base);
    if (UNLIKELY(offset >= span))
        return false;
    *slab = slab_header(load_own(&zone_map.tiny_headers), offset >> TINY_SLAB_SHIFT);
    __asm__("" : "+r"(*slab)); /* or clang keeps a sum of two, at the price of an instruction */
    return true;
}

/* The same for all of it. */
HOT_INLINE bool hot_find_tiny(const void *pointer, struct slab **slab) {
    return hot_find_tiny_below(pointer, load_own(&zone_map.tiny_span), slab);
}

/* The same of SMALL. */
HOT_INLINE bool hot_find_small(const void *pointer, struct slab **slab) {
    uintptr_t offset = (uintptr_t)pointer - load_own(&zone_map.small_base);
    if (offset >= load_own(&zone_map.small_span))
        return false;
    *slab = slab_header(load_own(&zone_map.small_headers), offset >> SMALL_SLAB_SHIFT);
    return true;
}

HOT_INLINE bool hot_is_own(const struct slab *slab) {
    return LIKELY(load_own(&slab->owner) == (uintptr_t)cache_self);
}

/* Frees the slot of `slab` at `address`, if this thread owns the slab, it has no remote frees
 * pending, and a live slot starts there. False: nothing was done. */
HOT_INLINE bool hot_free_in(struct slab *slab, uintptr_t address) {
    size_t slot;
    if (UNLIKELY(!hot_is_own(slab)) || UNLIKELY(!slab_slot_at(slab, address, &slot)) ||
        UNLIKELY(!slab_give_unseen(slab, address, slot)))
        return false;
    if (UNLIKELY(decrement_own(&slab->countdown) == 0))
        cache_countdown_over(cache_self, slab);
    return true;
}

/* Bytes that the live block of `slab` at `address` may use, if it has no remote frees pending;
 * 0: there is no such block. */
HOT_INLINE size_t hot_usable_in(const struct slab *slab, uintptr_t address) {
    size_t slot;
    if (UNLIKELY(!slab_slot_at(slab, address, &slot)) ||
        UNLIKELY(slab_load_word(slab, slot / 64) >> (slot % 64) & 1))
        return 0;
    return slab->slot_bytes;
}

/* The same of a TINY block, if this thread owns its slab; 0: perhaps, but it takes another way to
 * know. */
HOT_INLINE size_t hot_usable(const void *pointer) {
    struct slab *slab;
    return hot_find_tiny(pointer, &slab) && hot_is_own(slab)
               ? hot_usable_in(slab, (uintptr_t)pointer)
               : 0;
}

/* The same of a block of any thread's, TINY or SMALL: where a live one lies, all that is looked at
 * stays as it is. Not while checks are on. */
HOT_INLINE size_t hot_usable_by_any(const void *pointer) {
    struct slab *slab;
    if (!hot_find_tiny(pointer, &slab) && !hot_find_small(pointer, &slab))
        return 0;
    uintptr_t owner = load_relaxed(&slab->owner);
    return LIKELY(owner != 0) && LIKELY((owner & OWNER_PENDING) == 0)
               ? hot_usable_in(slab, (uintptr_t)pointer)
               : 0;
}

/* hot_free_in for any address in the first TINY range. */
HOT_INLINE bool hot_free_tiny(void *pointer) {
    struct slab *slab;
    return hot_find_tiny(pointer, &slab) && hot_free_in(slab, (uintptr_t)pointer);
}

/* What is left to do. */
enum hot_remote {
    REMOTE_FREED,
    REMOTE_TO_ANNOUNCE,  /* cache_announce */
    REMOTE_FREED_TWICE,  /* by two threads at once, and the other one did: a double free */
    REMOTE_IS_NOT_SIMPLE /* all of it; what else is wrong is this, too */
};

/* As cache_free_remote, for any address in a TINY slab, but not for slabs that nobody owns or whose
 * owner may have vanished. */
HOT_INLINE enum hot_remote hot_free_remote(struct slab *slab, uintptr_t address) {
    struct cache *self = cache_self;
    size_t slot;
    if (UNLIKELY(!cache_is_live(self)) || UNLIKELY(load_relaxed(&cache_rescue_pending)))
        return REMOTE_IS_NOT_SIMPLE;
    struct cache *owner = owner_cache(load_relaxed(&slab->owner));
    uint8_t state = load_relaxed(&slab->state);
    if (UNLIKELY(owner == NULL) || UNLIKELY(owner == self) || UNLIKELY(state == SLAB_CLAIMED) ||
        UNLIKELY(!slab_slot_at(slab, address, &slot)))
        return REMOTE_IS_NOT_SIMPLE;
    uint64_t *remote = &zone_remote_bits(slab)[slot / 64];
    uint64_t mask = (uint64_t)1 << (slot % 64);
    /* The owner may just have written to the bits, or merged: both lines are on their way at once,
     * and the atomic instruction waits for the first anyway. */
    cpu_prefetch_to_write(remote);
    if (UNLIKELY(load_relaxed(&slab->bits[slot / 64]) & mask))
        return REMOTE_IS_NOT_SIMPLE;
    if (UNLIKELY(fetch_or_seq_cst(remote, mask) & mask))
        return REMOTE_FREED_TWICE;
    return LIKELY(load_seq_cst(&slab->owner) & OWNER_PENDING) ? REMOTE_FREED : REMOTE_TO_ANNOUNCE;
}

/* Whether a block of so many bytes is SMALL, and to be taken from here. */
HOT_INLINE bool hot_is_small(size_t bytes) {
    return bytes - (TINY_MAX_BYTES + 1) < load_own(&zone_map.small_sizes);
}

/* A slot of SMALL, as hot_malloc_fine. `of_class`: none of another class will do. */
HOT_INLINE bool hot_take_small(size_t bytes, bool of_class, void **pointer) {
    unsigned cls = coarse_class_of_step[coarse_step(bytes)];
    if (cls < TINY_CLASSES)
        __builtin_unreachable(); /* or common_of would ask */
    size_t slot = 0;
    if (UNLIKELY(!cache_is_live(cache_self))) /* before common_of: no lock without fork handlers */
        return false;
    struct common *common = common_of(cls);
    if (UNLIKELY(!lock_try_often(&common->lock, RANK_COMMON)))
        return false;
    struct slab *slab = common->cache.coarse[(cls - FINE_CLASSES) % COARSE_CLASSES];
    *pointer = NULL;
    if (LIKELY(slab != NULL)) { /* somebody has entered it before */
        if (!of_class && UNLIKELY(slab->hint_slot >= slab->fresh_from))
            *pointer = common_take_warm(common, cls);
        if (LIKELY(*pointer == NULL))
            slab_take_hinted(slab, pointer, &slot);
    }
    common_leave(common);
    return *pointer != NULL;
}

/* As hot_malloc_fine, for `bytes` in TINY_MAX_BYTES + 1 .. SMALL_MAX_BYTES. */
HOT_INLINE bool hot_malloc_small(size_t bytes, void **pointer) {
    return hot_take_small(bytes, false, pointer);
}

/* The same, aligned as all slots of the class of `bytes` are. */
HOT_INLINE bool hot_malloc_small_aligned(size_t bytes, void **pointer) {
    return hot_take_small(bytes, true, pointer);
}

/* As hot_free_in for any address in the first SMALL range. */
HOT_INLINE bool hot_free_small(void *pointer) {
    uintptr_t address = (uintptr_t)pointer;
    struct slab *slab;
    size_t slot;
    if (!hot_find_small(pointer, &slab) || UNLIKELY(!cache_is_live(cache_self)))
        return false;
    uintptr_t owner = load_relaxed(&slab->owner);
    struct common *common = (struct common *)owner;
    if (UNLIKELY(owner == 0) || UNLIKELY(owner & OWNER_PENDING) ||
        UNLIKELY(!lock_try_often(&common->lock, RANK_COMMON)))
        return false;
    bool freed = LIKELY(load_relaxed(&slab->owner) == owner) &&
                 LIKELY(slab_slot_at(slab, address, &slot)) &&
                 LIKELY(slab_give(slab, address, slot));
    if (LIKELY(freed)) {
        slab_note_freed(slab, slot);
        if (UNLIKELY(decrement_own(&slab->countdown) == 0))
            cache_countdown_over(&common->cache, slab);
    }
    common_leave(common);
    return freed;
}

#endif
