/* Purpose: one slab: its header and its two-level bitmap, the only truth about what is free.
 * Owns:    nothing; a zone owns the memory of headers and slots.
 * Locking: no lock in here. `bits`, `summary` and `countdown` are written by the owning thread
 *          alone (others may look); `owner` and `remote_bits` are atomic;
 *          the list links belong to whoever owns the slab, or to the depot's lock if nobody does.
 *
 *   bits[0..63]           bit i of word w = 1  <=>  slot 64*w+i is free
 *   hot line              owner | summary | base | magic | slot size | slots | countdown, state
 *   cold line             list links | remote queue link | countdown's start | fresh_from | ...
 *   remote_bits[0..63]    bit = 1  <=>  freed by another thread, not merged yet
 *
 * Invariants:
 *  - summary bit w = 1  <=>  bits[w] != 0. It can be rebuilt from bits alone.
 *  - a slot is live  <=>  its bit is 0 in bits and in remote_bits. No slot has both bits set.
 *  - slots beyond `slots` have 0 in both.
 *  - a set bit in remote_bits  =>  owner has OWNER_PENDING set and the slab is on its owner's
 *    remote queue, or the thread that set the bit is still inside its free() to bring that about.
 *  - countdown is the number of frees by the owner until the slab is looked at again
 *    (cache/refill.c); it is the only count that a free touches, and malloc touches none. */
#ifndef SLM_SLAB_SLAB_H
#define SLM_SLAB_SLAB_H

#include "base/atomic.h"
#include "base/bits.h"
#include "core/classes.h"
#include "core/fault.h"

enum slab_state {
    SLAB_EMPTY,    /* in its zone's set of empty slabs, or never used; unowned */
    SLAB_CLAIMED,  /* taken from the zone, not formatted yet */
    SLAB_CURRENT,  /* owned; its owner allocates from it */
    SLAB_PARTIAL,  /* owned; on its owner's list of slabs worth allocating from */
    SLAB_FULL,     /* owned; on its owner's list of slabs with few or no free slots */
    SLAB_SHELVED,  /* unowned; on the depot's list */
    SLAB_ORPHANED, /* unowned; full when its owner left, on no list */
};

/* Low bit of `owner`: some remote_bits are set and the slab is on the owner's remote queue. */
#define OWNER_PENDING ((uintptr_t)1)

/* A countdown that never ends in practice: of a current slab. */
#define COUNTDOWN_NEVER ((uint32_t)INT32_MAX)

struct slab {
    uint64_t bits[SLAB_WORDS]; /* first: an index into it needs no displacement on the hot paths */

    uintptr_t owner CACHE_ALIGNED; /* struct cache * | OWNER_PENDING; 0 = nobody's */
    uint64_t summary;              /* see above */
    uintptr_t base;                /* address of slot 0 */
    uint64_t magic;                /* magic_of(slot_bytes) */
    uint64_t slot_bytes;
    uint64_t slots;
    uint32_t countdown;
    uint8_t cls;
    uint8_t state;   /* enum slab_state */
    uint8_t zone;    /* enum zone_kind */
    uint8_t is_zero; /* EMPTY only: the slab's memory is known to read as zero */
    uint64_t unused_hot;

    struct slab *next, *prev;  /* the list that `state` names */
    struct slab *queue_next;   /* the owner's remote queue */
    uint32_t countdown_start;  /* countdown when it was last set */
    uint32_t fresh_from; /* SMALL: a free slot from here on was never handed out: it is zero */
    uint32_t number;           /* of the slab in its range */
    uint32_t range;            /* of the zone's ranges */
    uint64_t freed_ms;         /* EMPTY only: when it became so */
    uint64_t is_decommitted;   /* EMPTY only: its pages can't be accessed */
    uint64_t unused_cold;

    uint64_t remote_bits[SLAB_WORDS];
};

_Static_assert(sizeof(struct slab) == 1152, "9 * 128: an index scales by lea and shl");
_Static_assert(offsetof(struct slab, owner) == 512, "hot fields begin a line");
_Static_assert(offsetof(struct slab, next) == 576, "and fill it");

HOT_INLINE unsigned slab_words(const struct slab *slab) {
    return (unsigned)(load_relaxed(&slab->slots) + 63) / 64;
}

HOT_INLINE void *slab_slot_address(const struct slab *slab, size_t slot) {
    return (void *)(slab->base + slot * slab->slot_bytes);
}

/* Takes the lowest free slot. Owner only; `summary` is the slab's, not 0. No branch: whether the
 * word runs empty can't be predicted. */
HOT_INLINE size_t slab_take(struct slab *slab, uint64_t summary) {
    size_t word = bit_lowest(summary);
    uint64_t bits = load_own(&slab->bits[word]);
    size_t slot = word * 64 + bit_lowest(bits);
    bits &= bits - 1;
    /* In this order: a signal handler in between must not find a word that runs empty in the
     * summary, or it would be handed a slot of the next word. */
    store_own(&slab->summary, summary ^ ((uint64_t)(bits == 0) << word));
    __atomic_signal_fence(__ATOMIC_RELEASE);
    store_own(&slab->bits[word], bits);
    return slot;
}

/* Which slot starts at `address`? False if none does. Total for every address. */
HOT_INLINE bool slab_slot_at(const struct slab *slab, uintptr_t address, size_t *slot) {
    uint64_t fraction;
    *slot = magic_divide(address - slab->base, &slab->magic, &fraction);
    return LIKELY(fraction < slab->magic) && LIKELY(*slot < slab->slots);
}

/* Marks a live slot free. Owner only. False, and nothing changed: it was free already. */
HOT_INLINE bool slab_give(struct slab *slab, size_t slot) {
    size_t word = slot / 64;
    uint64_t bits = load_own(&slab->bits[word]);
    if (UNLIKELY(bit_test_and_set(&bits, slot)))
        return false;
    store_own(&slab->bits[word], bits);
    uint64_t summary = load_own(&slab->summary);
    bit_test_and_set(&summary, word);
    store_own(&slab->summary, summary);
    return true;
}

/* A free slot is known to be zero if it was never handed out. Whatever was, and is free again, came
 * through here: so malloc, which is called at least as often, need not keep count. */
HOT_INLINE void slab_note_freed(struct slab *slab, size_t slot) {
    if (slot >= slab->fresh_from)
        slab->fresh_from = (uint32_t)slot + 1;
}

HOT_INLINE bool slab_is_free(const struct slab *slab, size_t slot) {
    uint64_t free_bits =
        load_relaxed(&slab->bits[slot / 64]) | load_relaxed(&slab->remote_bits[slot / 64]);
    return free_bits >> (slot % 64) & 1;
}

/* Class and state as they were at one instant: under the depot's lock of that class, a slab seen
 * shelved or orphaned in it stays so, while one read after the other may be of two lives. */
HOT_INLINE uint8_t slab_state_in_class(const struct slab *slab, unsigned *cls) {
    _Static_assert(offsetof(struct slab, state) == offsetof(struct slab, cls) + 1 &&
                       offsetof(struct slab, cls) % 2 == 0 &&
                       __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
                   "one aligned load; the class is its low byte");
    const uint16_t __attribute__((may_alias)) *both = (const void *)&slab->cls;
    uint16_t value = load_acquire(both);
    *cls = value & 0xff;
    return (uint8_t)(value >> 8);
}

/* Exactly why `address`, which lies in this slab, can't be freed; FAULT_NONE if it can. */
enum fault slab_examine(const struct slab *slab, uintptr_t address, size_t *slot);

/* Makes a claimed slab one of class `cls` with every slot free. `memory` is the slab's first byte;
 * `is_zero`: all of it is known to read as zero. */
void slab_format(struct slab *slab, uintptr_t memory, unsigned cls, bool is_zero);

/* Free slots by `bits` (remote frees that are not merged do not count). */
unsigned slab_count_free(const struct slab *slab);

/* Moves all remote frees into `bits`. Owner only, after OWNER_PENDING was cleared by a seq_cst
 * exchange. Returns how many. A slot that was free in `bits` already was freed by two threads at
 * once: it stays free, and `*conflict` is set to it (else left alone). */
unsigned slab_merge_remote(struct slab *slab, size_t *conflict);

/* After a fork the child may find a slab in the middle of another thread's malloc or free. The bits
 * are the truth; what follows from them is made anew, and no slot counts as zero any more. */
void slab_rebuild_summary(struct slab *slab);

/* Frees by the owner since the countdown was last set. */
HOT_INLINE uint32_t slab_frees_since_set(const struct slab *slab) {
    return load_relaxed(&slab->countdown_start) - load_relaxed(&slab->countdown);
}

HOT_INLINE void slab_set_countdown(struct slab *slab, uint32_t frees) {
    store_relaxed(&slab->countdown_start, frees);
    store_relaxed(&slab->countdown, frees);
}

/* --- a list of slabs, linked through next and prev ------------------------------------------- */

HOT_INLINE void slab_list_push(struct slab **head, struct slab *slab) {
    slab->prev = NULL;
    slab->next = *head;
    if (*head != NULL)
        (*head)->prev = slab;
    store_relaxed(head, slab); /* a depot's is looked at without its lock */
}

HOT_INLINE void slab_list_remove(struct slab **head, struct slab *slab) {
    if (slab->prev != NULL)
        slab->prev->next = slab->next;
    else
        store_relaxed(head, slab->next);
    if (slab->next != NULL)
        slab->next->prev = slab->prev;
    slab->next = slab->prev = NULL;
}

#endif
