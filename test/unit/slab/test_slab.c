/* Protects: one slab: its shape for every class and colour, taking and giving against a naive
 * model, the summary, which byte is a slot, remote frees merged, and the summary rebuilt from the
 * bits. */
#include "../expect.h"

#include <string.h>

#include "slab/slab.h"

/* Slots are never touched here, so a slab's memory need not exist. */
static const uintptr_t memory = (uintptr_t)0x5500000 << 20;

/* Of whatever slab is tried. */
static uint64_t remote_bits[SLAB_WORDS];

static void format(struct slab *slab, unsigned cls, uint32_t number, bool is_zero) {
    memset(slab, 0, sizeof *slab);
    slab->number = number;
    slab->state = SLAB_CLAIMED;
    slab->remote_bits = remote_bits;
    slab_format(slab, memory, cls, is_zero);
}

/* As slab_take_hinted, which tells where the slot begins. */
static bool take_hinted(struct slab *slab, size_t *slot) {
    void *pointer = NULL;
    if (!slab_take_hinted(slab, &pointer, slot))
        return false;
    EXPECT(pointer == slab_slot_address(slab, *slot));
    return true;
}

static bool give_unseen(struct slab *slab, size_t slot) {
    return slab_give_unseen(slab, (uintptr_t)slab_slot_address(slab, slot), slot);
}

static size_t slab_bytes_of(unsigned cls) {
    return (size_t)1 << slab_shift_of((enum zone_kind)size_classes[cls].zone);
}

static void expect_summary(const struct slab *slab, uint64_t where) {
    for (unsigned w = 0; w < SLAB_WORDS; w++)
        EXPECT_AT((slab->summary >> w & 1) == (slab->bits[w] != 0), where);
}

Test(slab, format_gives_aligned_slots_inside_the_slab) {
    static struct slab slab;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        for (uint32_t number = 0; number < 2 * COLOURS; number++) {
            size_t slot_bytes = size_classes[cls].slot_bytes;
            format(&slab, cls, number, false);
            EXPECT_EQ(slab.cls, cls);
            EXPECT_EQ(slab.slot_bytes, slot_bytes);
            EXPECT_EQ(slab.slots, class_slots(cls, slab.base - memory));
            EXPECT_AT(slab.base >= memory && slab.base - memory < COLOURS * COLOUR_BYTES, cls);
            EXPECT_AT(slab.base + slab.slots * slot_bytes <= memory + slab_bytes_of(cls), cls);
            EXPECT_AT(slab.base + (slab.slots + 1) * slot_bytes > memory + slab_bytes_of(cls) ||
                          slab.slots == SLAB_SLOTS_MAX,
                      cls);
            for (size_t slot = 0; slot < slab.slots; slot++)
                EXPECT_AT((uintptr_t)slab_slot_address(&slab, slot) % lowest_power(slot_bytes) == 0,
                          cls);
        }
    }
}

Test(slab, format_makes_every_slot_free_and_no_other) {
    static struct slab slab;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        memset(&slab, 0, sizeof slab);
        slab.state = SLAB_CLAIMED;
        slab.remote_bits = remote_bits;
        slab.number = cls;
        slab.remote_bits[0] = 1;
        slab_format(&slab, memory, cls, false);
        for (size_t slot = 0; slot < SLAB_WORDS * 64; slot++) {
            EXPECT_AT((slab.bits[slot / 64] >> (slot % 64) & 1) == (slot < slab.slots), cls);
            EXPECT_AT(slab.remote_bits[slot / 64] == 0, cls);
        }
        expect_summary(&slab, cls);
        EXPECT_EQ(slab_count_free(&slab), slab.slots);
        EXPECT_EQ(slab.fresh_from, slab.slots);
        EXPECT_EQ(slab_frees_since_set(&slab), 0);
        EXPECT_EQ(slab.countdown, COUNTDOWN_NEVER);
        format(&slab, cls, 0, true);
        EXPECT_EQ(slab.fresh_from, 0);
    }
}

Test(slab, neighbours_start_at_different_colours) {
    static struct slab slab;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        uintptr_t last = 0;
        for (uint32_t number = 0; number < 2 * COLOURS; number++) {
            format(&slab, cls, number, false);
            EXPECT_AT(slab.base != last || size_classes[cls].colours == 1, cls);
            last = slab.base;
        }
    }
}

/* --- take and give ---- */

static size_t take(struct slab *slab) {
    size_t slot = SIZE_MAX;
    EXPECT(slab_take(slab, &slot));
    return slot;
}

static void random_take_and_give(unsigned cls, int steps) {
    static struct slab slab;
    static bool live[SLAB_SLOTS_MAX];
    uint64_t seed = cls + 1;
    size_t live_count = 0;
    format(&slab, cls, cls, false);
    memset(live, 0, sizeof live);
    for (int i = 0; i < steps; i++) {
        bool filling = (i / (int)slab.slots) % 2 == 0;
        if (random_below(&seed, 4) < (filling ? 3u : 1u)) {
            size_t lowest = 0;
            while (lowest < slab.slots && live[lowest])
                lowest++;
            EXPECT_AT((slab.summary == 0) == (lowest == slab.slots), cls);
            size_t slot = SIZE_MAX;
            bool hinted = random_below(&seed, 2) == 0 && take_hinted(&slab, &slot);
            EXPECT_AT(hinted || slab_take(&slab, &slot) == (slab.slots > live_count), cls);
            if (slot == SIZE_MAX)
                continue;
            EXPECT_AT(hinted ? !live[slot] : slot == lowest, cls);
            live[slot] = true;
            live_count++;
        } else {
            size_t slot = random_below(&seed, slab.slots);
            EXPECT_AT(slab_is_free(&slab, slot) == !live[slot], cls);
            EXPECT_AT(slab_give_slot(&slab, slot) == live[slot], cls);
            live_count -= live[slot];
            live[slot] = false;
        }
        expect_summary(&slab, cls);
        EXPECT_AT(slab_count_free(&slab) == slab.slots - live_count, cls);
        EXPECT_AT(slab.hint_slot < SLAB_WORDS * 64 + 128, cls);
        EXPECT_AT(!slab_is_interrupted(&slab), cls);
    }
    for (size_t slot = 0; slot < slab.slots; slot++)
        EXPECT_AT(slab_is_free(&slab, slot) == !live[slot], cls);
}

Test(slab, taking_and_giving_agree_with_a_naive_model) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        random_take_and_give(cls, 5000);
}

/* What malloc does: the hint is enough until the slab is full, or another's frees are merged. */
Test(slab, the_hint_serves_all_slots_and_the_last_freed_first) {
    static struct slab slab;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        size_t slot;
        format(&slab, cls, 0, false);
        for (size_t i = 0; i < slab.slots; i++) {
            EXPECT_AT(take_hinted(&slab, &slot), cls);
            EXPECT_AT(slot == i, cls);
        }
        for (int i = 0; i < 3; i++)
            EXPECT_AT(!take_hinted(&slab, &slot), cls);
        EXPECT_EQ(slab.summary, 0);
        EXPECT(slab_give_slot(&slab, 1) && slab_give_slot(&slab, slab.slots - 1) &&
               slab_give_slot(&slab, 0));
        EXPECT(take_hinted(&slab, &slot) && slot == 0);
        EXPECT(take_hinted(&slab, &slot) && slot == 1);
        EXPECT(take_hinted(&slab, &slot) && slot == slab.slots - 1);
        EXPECT(!take_hinted(&slab, &slot));
    }
}

/* As a signal handler finds it in the middle of a malloc that has taken the last slot of a word. */
Test(slab, at_random_each_free_slot_of_a_word_is_as_likely_as_any_other) {
    static struct slab slab;
    const uint64_t free_slots = (uint64_t)1 << 63 | 0x3ff; /* ten side by side, one far from them */
    const unsigned draws = 11000;
    unsigned drawn[64] = {0};
    uint64_t seed = 1;
    uint8_t word = 0;
    format(&slab, 0, 0, false);
    for (unsigned i = 0; i < draws; i++) {
        slab.bits[0] = free_slots;
        size_t slot = slab_take_random(&slab, slab.summary, random_next(&seed), &word);
        EXPECT_AT(slot < 64 && (free_slots >> slot & 1) != 0, i);
        EXPECT_EQ(slab.bits[0], free_slots & ~((uint64_t)1 << slot));
        drawn[slot]++;
    }
    for (unsigned slot = 0; slot < 64; slot++)
        if (free_slots >> slot & 1)
            EXPECT_AT(drawn[slot] > draws / 11 * 85 / 100 && drawn[slot] < draws / 11 * 115 / 100,
                      slot);
}

/* So that memory is used as the program needs it. */
Test(slab, at_random_a_slot_of_SMALL_is_a_used_one_or_one_of_the_next_few) {
    static struct slab slab;
    uint64_t seed = 1;
    uint8_t word = 0;
    unsigned cls = TINY_CLASSES; /* 4608 bytes, 227 slots */
    unsigned drawn[64] = {0};
    format(&slab, cls, 0, true);
    slab.zone = ZONE_SMALL;
    for (size_t i = 0; i < 100; i++) { /* none is freed */
        size_t slot = slab_take_random(&slab, slab.summary, random_next(&seed), &word);
        EXPECT_AT(slot < i + RANDOM_AHEAD, i);
    }
    format(&slab, cls, 0, true);
    slab.zone = ZONE_SMALL;
    slab_note_freed(&slab, 9);
    for (unsigned i = 0; i < 14000; i++) {
        size_t slot = slab_take_random(&slab, slab.summary, random_next(&seed), &word);
        EXPECT_AT(slot < 10 + RANDOM_AHEAD, i);
        drawn[slot]++;
        slab.bits[0] |= (uint64_t)1 << slot;
    }
    for (size_t slot = 0; slot < 10 + RANDOM_AHEAD; slot++)
        EXPECT_AT(drawn[slot] > 850 && drawn[slot] < 1150, slot);
}

Test(slab, at_random_every_slot_is_handed_out_once) {
    static struct slab slab;
    static bool live[SLAB_SLOTS_MAX];
    uint64_t seed = 1;
    uint8_t word = 0;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        format(&slab, cls, cls, false);
        memset(live, 0, sizeof live);
        for (size_t i = 0; i < slab.slots; i++) {
            size_t slot = slab_take_random(&slab, slab.summary, random_next(&seed), &word);
            EXPECT_AT(slot < slab.slots && !live[slot], cls);
            live[slot] = true;
        }
        EXPECT_EQ(slab.summary, 0);
    }
}

Test(slab, a_summary_that_promises_too_much_is_mended) {
    static struct slab slab;
    size_t slot;
    format(&slab, 0, 0, false);
    slab.bits[0] = slab.bits[1] = 0;
    EXPECT(take_hinted(&slab, &slot) == false);
    EXPECT_EQ(take(&slab), 128);
    expect_summary(&slab, 0);
    memset(slab.bits, 0, sizeof slab.bits);
    EXPECT(!slab_take(&slab, &slot));
    EXPECT_EQ(slab.summary, 0);
}

/* A slab has had a class of more words before. */
Test(slab, an_interrupted_malloc_never_leads_beyond_the_last_word) {
    static struct slab slab;
    size_t slot;
    format(&slab, 0, 0, false);
    slab.state = SLAB_CLAIMED;
    slab_format(&slab, memory, 3, false);
    unsigned words = slab_words(&slab);
    /* The summary of the last word is not written yet. */
    memset(slab.bits, 0, words * sizeof slab.bits[0]);
    slab.summary = (uint64_t)1 << (words - 1);
    slab_aim(&slab, slab.summary, 0);
    EXPECT(!take_hinted(&slab, &slot));
    EXPECT(!slab_take(&slab, &slot));
}

/* What free does: the bit and the hint, and not the summary. Nothing is lost by that. */
Test(slab, what_was_given_unseen_is_found_again) {
    static struct slab slab;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        size_t slot;
        format(&slab, cls, 0, false);
        size_t last = slab.slots - 1;
        while (slab.summary != 0)
            take(&slab);
        EXPECT(give_unseen(&slab, last) && give_unseen(&slab, 0));
        EXPECT(!give_unseen(&slab, 0) && !slab_give_slot(&slab, last));
        EXPECT_EQ(slab.summary, 0);
        EXPECT_EQ(slab_count_free(&slab), 2);
        EXPECT_AT(take_hinted(&slab, &slot) && slot == 0, cls);
        EXPECT_AT(slab_rebuild_summary(&slab) == (uint64_t)1 << last / 64, cls);
        EXPECT_AT(slab_take(&slab, &slot) && slot == last, cls);
        EXPECT_AT(slab_rebuild_summary(&slab) == 0, cls);
        expect_summary(&slab, cls);
    }
}

Test(slab, giving_a_free_slot_is_refused_and_changes_nothing) {
    static struct slab slab, before;
    format(&slab, 3, 0, false);
    for (int i = 0; i < 130; i++)
        take(&slab);
    EXPECT(slab_give_slot(&slab, 64));
    before = slab;
    EXPECT(!slab_give_slot(&slab, 64));
    EXPECT(!slab_give_slot(&slab, 200));
    EXPECT(!give_unseen(&slab, 200));
    EXPECT_EQ(memcmp(&slab, &before, sizeof slab), 0);
}

/* --- addresses ---- */

static void check_every_byte(unsigned cls, uint32_t number) {
    static struct slab slab;
    format(&slab, cls, number, false);
    uintptr_t end = memory + slab_bytes_of(cls);
    size_t expected = 0;
    for (uintptr_t address = memory; address < end; address++) {
        size_t slot;
        bool starts = expected < slab.slots && address == slab.base + expected * slab.slot_bytes;
        EXPECT_AT(slab_slot_at(&slab, address, &slot) == starts, address - memory);
        if (starts)
            EXPECT_EQ(slot, expected++);
    }
    EXPECT_EQ(expected, slab.slots);
}

Test(slab, a_slot_is_found_at_its_first_byte_and_nowhere_else) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        for (uint32_t number = 0; number < (cls < TINY_CLASSES ? 3 : 1); number++)
            check_every_byte(cls, number);
}

/* As far around as an address can be whose slab this is taken to be. */
Test(slab, no_slot_is_found_beside_the_slots) {
    static struct slab slab;
    uint64_t seed = 9;
    size_t slot;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        format(&slab, cls, 1, false);
        uintptr_t end = slab.base + slab.slots * slab.slot_bytes;
        for (int i = 0; i < 20000; i++) {
            uint64_t away = random_below(&seed, (uint64_t)1 << random_below(&seed, 31)) + 1;
            EXPECT_AT(!slab_slot_at(&slab, slab.base - away, &slot), away);
            EXPECT_AT(!slab_slot_at(&slab, end + away - 1, &slot), away);
        }
        EXPECT(!slab_slot_at(&slab, slab.base - slab.slot_bytes, &slot));
        EXPECT(!slab_slot_at(&slab, end, &slot));
    }
    memset(&slab, 0, sizeof slab); /* the header of a slab that was never used */
    for (int i = 0; i < 1000; i++)
        EXPECT(!slab_slot_at(&slab, random_next(&seed), &slot));
}

Test(slab, examine_says_what_is_wrong) {
    static struct slab slab;
    size_t slot;
    EXPECT_EQ(slab_examine(&slab, memory, &slot), FAULT_EMPTY_SLAB);
    format(&slab, class_of(96), 1, false); /* colour 1: slot 0 does not start with the slab */
    slab.state = SLAB_CURRENT;
    uintptr_t base = slab.base;
    EXPECT(base > memory);
    for (int i = 0; i < 70; i++)
        take(&slab);
    EXPECT_EQ(slab_examine(&slab, base + 69 * 96, &slot), FAULT_NONE);
    EXPECT_EQ(slot, 69);
    EXPECT_EQ(slab_examine(&slab, base + 70 * 96, &slot), FAULT_DOUBLE_FREE);
    EXPECT_EQ(slot, 70);
    EXPECT_EQ(slab_examine(&slab, base + 69 * 96 + 95, &slot), FAULT_INTERIOR);
    EXPECT_EQ(slot, 69);
    EXPECT_EQ(slab_examine(&slab, base - 1, &slot), FAULT_PADDING);
    EXPECT_EQ(slab_examine(&slab, memory, &slot), FAULT_PADDING);
    EXPECT_EQ(slab_examine(&slab, base + slab.slots * 96, &slot), FAULT_PADDING);
    slab.remote_bits[1] = 1;
    EXPECT_EQ(slab_examine(&slab, base + 64 * 96, &slot), FAULT_DOUBLE_FREE);
    EXPECT_EQ(slot, 64);
    slab.state = SLAB_EMPTY;
    EXPECT_EQ(slab_examine(&slab, base, &slot), FAULT_DOUBLE_FREE);
    EXPECT_EQ(slab_examine(&slab, base + 1, &slot), FAULT_INTERIOR);
}

/* --- remote frees, fork ---- */

Test(slab, remote_frees_are_merged_and_counted) {
    static struct slab slab;
    size_t conflict = SIZE_MAX;
    format(&slab, 0, 0, false);
    while (slab.summary != 0)
        take(&slab);
    EXPECT_EQ(slab_merge_remote(&slab, &conflict), 0);
    EXPECT_EQ(slab.summary, 0);
    static const size_t freed[] = {0, 63, 64, 1000, SLAB_SLOTS_MAX - 1};
    for (unsigned i = 0; i < 5; i++) {
        slab.remote_bits[freed[i] / 64] |= (uint64_t)1 << (freed[i] % 64);
        EXPECT_AT(slab_is_free(&slab, freed[i]), i);
    }
    EXPECT_EQ(slab_count_free(&slab), 0);
    EXPECT_EQ(slab_merge_remote(&slab, &conflict), 5);
    EXPECT_EQ(conflict, SIZE_MAX);
    EXPECT_EQ(slab_count_free(&slab), 5);
    expect_summary(&slab, 0);
    for (unsigned w = 0; w < SLAB_WORDS; w++)
        EXPECT_EQ(slab.remote_bits[w], 0);
    for (unsigned i = 0; i < 5; i++)
        EXPECT_EQ(take(&slab), freed[i]);
    EXPECT_EQ(slab.summary, 0);
}

Test(slab, a_slot_freed_on_both_sides_is_a_conflict_and_counts_once) {
    static struct slab slab;
    size_t conflict = SIZE_MAX;
    format(&slab, 5, 0, false);
    for (int i = 0; i < 200; i++)
        take(&slab);
    slab_give_slot(&slab, 130);
    slab.remote_bits[2] = (uint64_t)1 << 2 | (uint64_t)1 << 7;
    EXPECT_EQ(slab_merge_remote(&slab, &conflict), 1);
    EXPECT_EQ(conflict, 130);
    EXPECT_EQ(slab_count_free(&slab), slab.slots - 198);
    EXPECT(slab_is_free(&slab, 130) && slab_is_free(&slab, 135));
    EXPECT_EQ(slab.remote_bits[2], 0);
    expect_summary(&slab, 0);
}

Test(slab, the_summary_is_rebuilt_from_the_bits) {
    static struct slab slab;
    uint64_t seed = 3;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        format(&slab, cls, 0, false);
        for (size_t i = random_below(&seed, slab.slots); i > 0; i--)
            take(&slab);
        for (int i = 0; i < 20; i++)
            slab_give_slot(&slab, random_below(&seed, slab.slots));
        uint64_t right = slab.summary;
        slab.summary = random_next(&seed);
        uint32_t fresh_from = slab.fresh_from;
        EXPECT_EQ(slab_rebuild_summary(&slab), right);
        EXPECT_EQ(slab.summary, right);
        EXPECT_EQ(slab.fresh_from, fresh_from);
        expect_summary(&slab, cls);
    }
}

Test(slab, lists_keep_their_order_and_forget_what_is_removed) {
    static struct slab slabs[3];
    struct slab *head = NULL;
    for (unsigned i = 0; i < 3; i++)
        slab_list_push(&head, &slabs[i]);
    EXPECT(head == &slabs[2] && head->next == &slabs[1] && slabs[1].next == &slabs[0]);
    EXPECT(slabs[0].next == NULL && slabs[0].prev == &slabs[1] && slabs[2].prev == NULL);
    slab_list_remove(&head, &slabs[1]);
    EXPECT(head == &slabs[2] && slabs[2].next == &slabs[0] && slabs[0].prev == &slabs[2]);
    EXPECT(slabs[1].next == NULL && slabs[1].prev == NULL);
    slab_list_remove(&head, &slabs[2]);
    EXPECT(head == &slabs[0] && slabs[0].prev == NULL);
    slab_list_remove(&head, &slabs[0]);
    EXPECT(head == NULL);
}
