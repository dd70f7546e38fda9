/* Purpose: the operations of slab.h that no hot path needs. */
#include "slab/zone.h"

const uint64_t slab_no_remote[SLAB_WORDS];
const uint64_t slab_last_word = SLAB_WORDS - 1;

void slab_format(struct slab *slab, uintptr_t memory, unsigned cls, bool is_zero) {
    const struct size_class *c = &size_classes[cls];
    size_t start = slab_start_bytes(c, slab->number);
    unsigned slots = class_slots(cls, start);
    unsigned words = (slots + 63) / 64;

    ASSERT(slab->state == SLAB_CLAIMED);
    uint64_t *remote_bits = load_relaxed(&slab->remote_bits);
    for (unsigned w = 0; w < words; w++)
        store_relaxed(&slab->bits[w], UINT64_MAX);
    for (unsigned w = 0; remote_bits != NULL && w < words; w++)
        store_relaxed(&remote_bits[w], 0);
    if (slots % 64 != 0)
        store_relaxed(&slab->bits[words - 1], UINT64_MAX >> (64 - slots % 64));
    if (words < SLAB_WORDS)
        store_relaxed(&slab->bits[words], 0); /* a hint may point there: see slab_aim */
    store_relaxed(&slab->summary, UINT64_MAX >> (64 - words));
    store_relaxed(&slab->lent, 0);
    store_relaxed(&slab->base, memory + start);
    store_relaxed(&slab->magic, c->magic);
    store_relaxed(&slab->slot_bytes, c->slot_bytes);
    store_relaxed(&slab->slots, slots);
    store_relaxed(&slab->limit, magic_limit(c->magic, (uint32_t)c->slot_bytes, slots));
    store_relaxed(&slab->cls, (uint8_t)cls);
    slab->fresh_from = is_zero ? 0 : (uint16_t)slots;
    store_relaxed(&slab->hint, memory + start);
    store_relaxed(&slab->hint_slot, 0);
    store_relaxed(&slab->is_new_life, 1);
    store_relaxed(&slab->is_hollow, 0);
    slab_set_countdown(slab, COUNTDOWN_NEVER);
}

/* Apart, so that others need no stack for it. */
static COLD enum fault examine_shape(const struct slab *slab, uintptr_t address, size_t *slot) {
    struct slab copy;
    const struct slab *shape = zone_shape(slab, &copy);
    return shape->slot_bytes == 0 ? FAULT_EMPTY_SLAB : slab_examine(shape, address, slot);
}

enum fault slab_examine(const struct slab *slab, uintptr_t address, size_t *slot) {
    uint8_t state = load_relaxed(&slab->state);
    uint64_t slot_bytes = load_relaxed(&slab->slot_bytes);
    *slot = 0;
    if (UNLIKELY(slot_bytes == 0))
        return examine_shape(slab, address, slot);
    if (UNLIKELY(!slab_slot_at(slab, address, slot))) {
        *slot = (address - slab->base) / slot_bytes;
        return address >= slab->base && *slot < slab->slots ? FAULT_INTERIOR : FAULT_PADDING;
    }
    /* An empty slab keeps the shape it had last: what its slots were can still be told. */
    if (UNLIKELY(state == SLAB_EMPTY || state == SLAB_CLAIMED))
        return FAULT_DOUBLE_FREE;
    return slab_is_free(slab, *slot) ? FAULT_DOUBLE_FREE : FAULT_NONE;
}

bool slab_take(struct slab *slab, size_t *slot) {
    for (;;) {
        uint64_t summary = load_relaxed(&slab->summary);
        if (summary == 0)
            return false;
        if (LIKELY(load_relaxed(&slab->bits[bit_lowest(summary)]) != 0)) {
            void *pointer;
            slab_aim(slab, summary, 0);
            return slab_take_hinted(slab, &pointer, slot);
        }
        /* This is a signal handler, in the middle of a malloc that has emptied the word. */
        store_relaxed(&slab->summary, summary & (summary - 1));
    }
}

/* One of the `count` lowest set bits, each as likely as any other, by the low 32 bits of
 * `random`. */
static size_t pick_bit(uint64_t word, unsigned count, uint64_t random) {
    return bit_select(word, (unsigned)((random & UINT32_MAX) * count >> 32));
}

/* Of these free slots of a word, how many may be next: of SMALL those that have been used, and a
 * few more, for the memory of all would be used in the end. */
static unsigned count_choice(const struct slab *slab, size_t word, uint64_t bits) {
    unsigned all = bit_count(bits);
    if (slab->zone == ZONE_TINY || slab->fresh_from >= (word + 1) * 64)
        return all;
    uint64_t used = slab->fresh_from > word * 64 ? ~(UINT64_MAX << slab->fresh_from % 64) : 0;
    unsigned some = bit_count(bits & used) + RANDOM_AHEAD;
    return some < all ? some : all;
}

size_t slab_take_random(struct slab *slab, uint64_t summary, uint64_t random, uint8_t *word_used) {
    if (slab->zone == ZONE_SMALL)
        *word_used = (uint8_t)bit_lowest(summary);
    else if ((summary >> *word_used & 1) == 0)
        *word_used = (uint8_t)pick_bit(summary, bit_count(summary), random >> 32);
    size_t word = *word_used;
    uint64_t bits = load_own(&slab->bits[word]);
    size_t slot = word * 64 + pick_bit(bits, count_choice(slab, word, bits), random);
    bits &= ~((uint64_t)1 << slot % 64);
    store_own(&slab->summary, summary ^ ((uint64_t)(bits == 0) << word)); /* as in slab_take */
    __atomic_signal_fence(__ATOMIC_RELEASE);
    store_own(&slab->bits[word], bits);
    return slot;
}

unsigned slab_count_free(const struct slab *slab) {
    unsigned count = 0;
    unsigned words = slab_words(slab);
    for (unsigned w = 0; w < words; w++)
        count += bit_count(load_relaxed(&slab->bits[w]));
    return count;
}

unsigned slab_merge_remote(struct slab *slab, size_t *conflict) {
    unsigned merged = 0;
    unsigned words = slab_words(slab);
    uint64_t *remote_bits = load_relaxed(&slab->remote_bits);
    for (unsigned w = 0; remote_bits != NULL && w < words; w++) {
        /* seq_cst: not before the exchange that cleared OWNER_PENDING */
        if (load_seq_cst(&remote_bits[w]) == 0)
            continue;
        uint64_t remote = exchange_seq_cst(&remote_bits[w], 0);
        uint64_t bits = load_relaxed(&slab->bits[w]);
        slab_note_freed(slab, w * 64 + bit_highest(remote));
        if (UNLIKELY(remote & bits)) {
            *conflict = w * 64 + bit_lowest(remote & bits);
            remote &= ~bits;
        }
        store_relaxed(&slab->bits[w], bits | remote);
        store_relaxed(&slab->summary, load_relaxed(&slab->summary) | (uint64_t)1 << w);
        merged += bit_count(remote);
    }
    return merged;
}

uint64_t slab_rebuild_summary(struct slab *slab) {
    uint64_t summary = 0;
    unsigned words = slab_words(slab);
    /* Four at a time: for most classes that is all, and how many it is can't be predicted. */
    for (unsigned w = 0; w < words; w += 4)
#pragma GCC unroll 4
        for (unsigned i = w; i < w + 4; i++)
            summary |= (uint64_t)(load_relaxed(&slab->bits[i]) != 0) << i;
    summary &= UINT64_MAX >> (SLAB_WORDS - words);
    store_relaxed(&slab->summary, summary);
    return summary;
}
