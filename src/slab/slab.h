/* Purpose: one slab: its header and its two-level bitmap, the only truth about what is free.
 * Owns:    nothing; a zone owns the memory of headers and slots.
 * Locking: no lock in here. `bits`, `summary` and `countdown` are written by the owning thread
 *          alone (others may look); `owner` and `remote_bits` are atomic;
 *          the list links belong to whoever owns the slab, or to the depot's lock if nobody does.
 *
 *   line 0                owner | base | magic | limit | slot size | slots, state, ...
 *   line 1                summary | hint | countdown, ... | bits[0..4]
 *   bits[0..63]           bit i of word w = 1  <=>  slot 64*w+i is free
 *   list links
 *   remote_bits[0..63]    bit = 1  <=>  freed by another thread, not merged yet
 *
 * Invariants:
 *  - summary bit w = 1  =>  bits[w] != 0. The other way round, too, but for TINY slabs that have an
 *    owner: its frees do not look whether the word was empty, and what the summary has missed is
 *    found when it has no words left (slab_rebuild_summary).
 *  - hint_slot is what malloc tries first, free or not; it can be anything below
 *    SLAB_WORDS * 64 + 128, where there are always bits. hint is where it begins, but for the
 *    moment between the writing of one and the other (slab_is_interrupted).
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
    SLAB_SPARSE,   /* the same, and little of it is live */
    SLAB_PURGED,   /* the same, and its free pages were given back */
    SLAB_FULL,     /* owned; on its owner's list of slabs with few or no free slots */
    SLAB_AWAY,     /* owned; nobody allocates from it while its free pages are given back */
    SLAB_SHELVED,  /* unowned; on the depot's list */
    SLAB_ORPHANED, /* unowned; full when its owner left, on no list */
};

/* Low bit of `owner`: some remote_bits are set and the slab is on the owner's remote queue. */
#define OWNER_PENDING ((uintptr_t)1)

/* A countdown that never ends in practice: of a current slab. */
#define COUNTDOWN_NEVER ((uint32_t)INT32_MAX)

struct slab {
    /* What others than the owner read when they free: seldom written. */
    uintptr_t owner; /* struct cache * | OWNER_PENDING; 0 = nobody's */
    uintptr_t base;  /* address of slot 0 */
    uint64_t magic;  /* magic_of(slot_bytes) */
    uint64_t limit;  /* magic_limit of the slots */
    uint64_t *remote_bits; /* words as of `bits`, apart; NULL until there is one */
    uint64_t slot_bytes;
    uint32_t slots;
    uint32_t number; /* of the slab in its range */
    uint16_t range;  /* of the zone's ranges */
    uint8_t cls;
    uint8_t state;   /* enum slab_state */
    uint8_t zone;    /* enum zone_kind */
    uint8_t is_zero; /* EMPTY only: the slab's memory is known to read as zero */
    uint8_t is_decommitted; /* EMPTY only: its pages can't be accessed; 2: a guard (zone.h) */
    uint8_t is_new_life;    /* since it was formatted, check/ has not looked at it */

    /* What every malloc and free of the owner's writes. */
    uint64_t summary CACHE_ALIGNED; /* see above */
    uintptr_t hint;                 /* see above */
    uint16_t hint_slot;             /* see above */
    uint16_t fresh_from; /* SMALL: a free slot from here on was never handed out: it is zero */
    uint32_t countdown;
    uint64_t bits[SLAB_WORDS];
    uint64_t never[2]; /* 0: where a hint of a full slab points to */

    struct slab *next, *prev; /* the list that `state` names */
    struct slab *queue_next;  /* the owner's remote queue */
    union {
        uint64_t freed_ms;  /* EMPTY only: when it became so */
        struct {
            uint32_t purged_at; /* owned: the countdown when free pages were given back, or 0 */
            uint16_t lent;      /* owned: so many slots of remote_bits were purged (lend.c) */
            uint8_t sparse_at;  /* SPARSE: its owner's count of looks when it was listed so */
        };
    };
    uint32_t countdown_start; /* countdown when it was last set */
    uint8_t relink_fraction; /* of cache_relink_mark; 0: of a zone that is not large */
    uint8_t few_times; /* current, of SMALL: countdowns that ended with few live, in turn */
    uint8_t is_hollow; /* some of its pages were given back since it was formatted */
};

enum { SLAB_REMOTE_BYTES = SLAB_WORDS * sizeof(uint64_t) };

_Static_assert(sizeof(struct slab) == 704, "11 lines: odd, or some sets of a cache get none");
_Static_assert(offsetof(struct slab, summary) == 64, "what others read when they free: one line");
_Static_assert(offsetof(struct slab, never) ==
                   offsetof(struct slab, bits) + SLAB_WORDS * sizeof(uint64_t),
               "words 64 and 65 of the bits are never set");

/* All zero. What nobody writes to takes no memory, and few slabs have remote frees in a program
 * that has few threads. */
extern const uint64_t slab_no_remote[SLAB_WORDS];

/* SLAB_WORDS - 1: no slab has slots of that word. */
extern const uint64_t slab_last_word HIDDEN;

/* To be read only: zone_remote_bits has those to write to. */
HOT_INLINE const uint64_t *slab_remote_bits(const struct slab *slab) {
    const uint64_t *bits = load_relaxed(&slab->remote_bits);
    return bits != NULL ? bits : slab_no_remote;
}

/* A word of the bits. As an instruction: gcc makes a sum of its own for the index, at the price of
 * one more in each hot path. */
HOT_INLINE uint64_t slab_load_word(const struct slab *slab, size_t word) {
#if defined(__x86_64__) && !defined(SLM_TSAN)
    uint64_t bits;
    __asm__("movq %c2(%1,%3,8), %0"
            : "=r"(bits)
            : "r"(slab), "i"(offsetof(struct slab, bits)), "r"(word), "m"(slab->bits));
    return bits;
#else
    return load_own(&slab->bits[word]);
#endif
}

HOT_INLINE void slab_store_word(struct slab *slab, size_t word, uint64_t bits) {
#if defined(__x86_64__) && !defined(SLM_TSAN)
    __asm__("movq %4, %c2(%1,%3,8)"
            : "+m"(slab->bits)
            : "r"(slab), "i"(offsetof(struct slab, bits)), "r"(word), "r"(bits));
#else
    store_own(&slab->bits[word], bits);
#endif
}

HOT_INLINE unsigned slab_words(const struct slab *slab) {
    return (unsigned)(load_relaxed(&slab->slots) + 63) / 64;
}

HOT_INLINE void *slab_slot_address(const struct slab *slab, size_t slot) {
    return (void *)(slab->base + slot * slab->slot_bytes);
}

/* Both halves, with nothing in between: a signal handler that leaves another hint than it found, of
 * slots that are both free, would make one of each. */
HOT_INLINE uintptr_t slab_load_hint(const struct slab *slab, size_t *slot) {
    uintptr_t hint;
#if defined(__x86_64__) && !defined(SLM_TSAN)
    __asm__("movzwl %2, %k0\n\tmovq %3, %1"
            : "=&r"(*slot), "=r"(hint)
            : "m"(slab->hint_slot), "m"(slab->hint));
#else
    *slot = load_own(&slab->hint_slot);
    hint = load_own(&slab->hint);
#endif
    return hint;
}

/* The lowest free slot of a word; where it has none, 64, or `otherwise` on a CPU without tzcnt,
 * which is at most 64. */
HOT_INLINE size_t slab_lowest_in_word(const struct slab *slab, size_t word, size_t otherwise) {
#if defined(__x86_64__) && !defined(SLM_TSAN)
    __asm__("rep bsfq %c2(%1,%3,8), %0"
            : "+r"(otherwise)
            : "r"(slab), "i"(offsetof(struct slab, bits)), "r"(word), "m"(slab->bits)
            : "cc");
    return otherwise;
#else
    (void)otherwise;
    return bit_lowest_if_any(slab_load_word(slab, word));
#endif
}

/* A bit of the summary to clear: that of `word`, which has become `bits`, or one that is clear. (In
 * rsi: gcc would take that of the caller's argument, at the price of an instruction.) */
HOT_INLINE size_t slab_bit_to_clear(uint64_t bits, size_t word) {
#if defined(__x86_64__)
    __asm__("testq %1, %1\n\tcmovneq %2, %0"
            : "+S"(word)
            : "r"(bits), "m"(slab_last_word)
            : "cc");
    return word;
#else
    return bits == 0 ? word : SLAB_WORDS - 1;
#endif
}

/* The lowest free slot, for the next malloc. In a full slab, or where a signal handler interrupts
 * the emptying of a word, it is one that is not free, of word 0 or of that behind the last one:
 * which is 0, as are `never`. In this order: hint_slot is taken until the second is written.
 *
 * Its first line is soon to be written to: a program that fills what it allocates waits for memory
 * as often, and more of it is on its way at once. `otherwise` as of slab_lowest_in_word. */
HOT_INLINE void slab_aim(struct slab *slab, uint64_t summary, size_t otherwise) {
    size_t word = bit_lowest_if_any(summary);
    size_t bit = slab_lowest_in_word(slab, word, otherwise);
    size_t slot = word * 64 + bit;
    uintptr_t hint = (uintptr_t)slab_slot_address(slab, slot);
    store_own(&slab->hint, hint);
    __atomic_signal_fence(__ATOMIC_RELEASE);
    store_own(&slab->hint_slot, (uint16_t)slot);
    cpu_prefetch_to_write((void *)hint);
}

/* Takes the slot that the hint names, which is known before it is asked for, and looks for the next
 * one while the caller has it already. It is remembered as an address, too: a free has that at
 * hand, and the malloc behind it waits for no arithmetic. Owner only. False, and nothing changed:
 * it is not free. No other branch: whether a word runs empty can't be predicted.
 *
 * In this order: a signal handler in between that frees what it allocates, last first, leaves all
 * as it was, or finds the hint taken and goes the slow way, where a summary that promises too much
 * is mended. */
HOT_INLINE bool slab_take_hinted(struct slab *slab, void **pointer, size_t *slot) {
    size_t hinted;
    uintptr_t hint = slab_load_hint(slab, &hinted);
    size_t word = hinted / 64;
    uint64_t bits = slab_load_word(slab, word);
    if (UNLIKELY(!bit_test_and_clear(&bits, hinted)))
        return false;
    slab_store_word(slab, word, bits);
    __atomic_signal_fence(__ATOMIC_RELEASE);
    size_t to_clear = slab_bit_to_clear(bits, word);
    uint64_t summary = load_own(&slab->summary);
    bit_test_and_clear(&summary, to_clear);
    store_own(&slab->summary, summary);
    __atomic_signal_fence(__ATOMIC_RELEASE);
    slab_aim(slab, summary, to_clear);
    *pointer = (void *)hint;
    *slot = hinted;
    return true;
}

/* This is a signal handler, and below it a malloc or free has written one half of the hint, and not
 * the other: it will, whatever is done to the slab. Until then the hint is of a live slot. */
static inline bool slab_is_interrupted(const struct slab *slab) {
    return load_own(&slab->hint) != slab->base + load_own(&slab->hint_slot) * slab->slot_bytes;
}

/* Takes the lowest free slot, if there is one. Owner only. */
bool slab_take(struct slab *slab, size_t *slot);

/* Which slot starts at `address`, which lies in this slab? False if none does. */
HOT_INLINE bool slab_slot_at(const struct slab *slab, uintptr_t address, size_t *slot) {
    uint64_t fraction;
    *slot = magic_divide(address - slab->base, &slab->magic, &fraction);
    return LIKELY(fraction < slab->limit);
}

/* Marks the live slot free that begins at `address`, and the next to be taken: its memory is at
 * hand. Owner only. False, and nothing changed: it was free already. Not in the summary. The bit
 * comes last: while the hint is of two minds, it is of a live slot. */
HOT_INLINE bool slab_give_unseen(struct slab *slab, uintptr_t address, size_t slot) {
    size_t word = slot / 64;
    uint64_t bits = slab_load_word(slab, word);
    if (UNLIKELY(bit_test_and_set(&bits, slot)))
        return false;
    store_own(&slab->hint_slot, (uint16_t)slot);
    __atomic_signal_fence(__ATOMIC_RELEASE);
    store_own(&slab->hint, address);
    __atomic_signal_fence(__ATOMIC_RELEASE);
    slab_store_word(slab, word, bits);
    return true;
}

/* The same, and in the summary. */
HOT_INLINE bool slab_give(struct slab *slab, uintptr_t address, size_t slot) {
    if (UNLIKELY(!slab_give_unseen(slab, address, slot)))
        return false;
    uint64_t summary = load_own(&slab->summary);
    bit_test_and_set(&summary, slot / 64);
    store_own(&slab->summary, summary);
    return true;
}

/* The same by the slot alone. */
static inline bool slab_give_slot(struct slab *slab, size_t slot) {
    return slab_give(slab, (uintptr_t)slab_slot_address(slab, slot), slot);
}

/* A free slot is known to be zero if it was never handed out. Whatever was, and is free again, came
 * through here: so malloc, which is called at least as often, need not keep count. */
HOT_INLINE void slab_note_freed(struct slab *slab, size_t slot) {
    if (slot >= slab->fresh_from)
        slab->fresh_from = (uint16_t)(slot + 1);
}

HOT_INLINE bool slab_is_free(const struct slab *slab, size_t slot) {
    uint64_t free_bits =
        load_relaxed(&slab->bits[slot / 64]) | load_relaxed(&slab_remote_bits(slab)[slot / 64]);
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

/* Where slot 0 of the slab with that number begins: its colour, which others than the owner find
 * out without a look at the header. */
HOT_INLINE size_t slab_start_bytes(const struct size_class *c, uint32_t number) {
    return number < COLOURED_SLABS ? (size_t)(number % c->colours) * c->colour_step : 0;
}

/* Makes a claimed slab one of class `cls` with every slot free. `memory` is the slab's first byte;
 * `is_zero`: all of it is known to read as zero. */
void slab_format(struct slab *slab, uintptr_t memory, unsigned cls, bool is_zero);

/* Takes a free slot, as `random` says. Of TINY, one of the word `*word`, or of another if that has
 * none, which `*word` becomes. Of SMALL, one of the first word with any that was used before, or of
 * the next RANDOM_AHEAD. `summary` is the slab's, and not 0. Owner only. */
size_t slab_take_random(struct slab *slab, uint64_t summary, uint64_t random, uint8_t *word);

/* Free slots by `bits` (remote frees that are not merged do not count). */
unsigned slab_count_free(const struct slab *slab);

/* Moves all remote frees into `bits`. Owner only, after OWNER_PENDING was cleared by a seq_cst
 * exchange. Returns how many. A slot that was free in `bits` already was freed by two threads at
 * once: it stays free, and `*conflict` is set to it (else left alone). */
unsigned slab_merge_remote(struct slab *slab, size_t *conflict);

/* pages.c: gives back the pages in which no live slot lies, if there were frees since it last did.
 * Owner only. Returns the bytes, of which some may not have been resident. */
size_t slab_purge_pages(struct slab *slab);

/* pages.c: gives back the pages in which no others lie than these slots, which are the caller's: a
 * bit for each. Returns the bytes. */
size_t slab_purge_slots(struct slab *slab, const uint64_t *slots);

/* Makes the summary what the bits say, and returns it. Owner only; or of a slab whose thread a fork
 * has left behind, in the middle of a malloc or free: the bits are the truth. */
uint64_t slab_rebuild_summary(struct slab *slab);

/* Frees by the owner since the countdown was last set. */
HOT_INLINE uint32_t slab_frees_since_set(const struct slab *slab) {
    return load_relaxed(&slab->countdown_start) - load_relaxed(&slab->countdown);
}

HOT_INLINE void slab_set_countdown(struct slab *slab, uint32_t frees) {
    store_relaxed(&slab->countdown_start, frees);
    store_relaxed(&slab->countdown, frees);
    slab->purged_at = 0;
}

/* --- a list of slabs, linked through next and prev ------------------------------------------- */

HOT_INLINE void slab_list_push(struct slab **head, struct slab *slab) {
    slab->prev = NULL;
    slab->next = *head;
    if (*head != NULL)
        (*head)->prev = slab;
    store_relaxed(head, slab); /* a depot's is looked at without its lock */
}

/* Behind the last one; NULL: the list is empty. */
HOT_INLINE void slab_list_append(struct slab **head, struct slab *last, struct slab *slab) {
    slab->next = NULL;
    slab->prev = last;
    *(last != NULL ? &last->next : head) = slab;
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
