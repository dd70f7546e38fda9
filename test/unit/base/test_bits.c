/* Protects: the bit tricks against their definitions, and the magic division, exact for every class
 * at every byte of a slab and around it: it is what tells a block's start from its inside. */
#include "../expect.h"

#include "base/bits.h"
#include "core/classes.h"

static unsigned naive_count(uint64_t word) {
    unsigned count = 0;
    for (unsigned i = 0; i < 64; i++)
        count += (unsigned)(word >> i & 1);
    return count;
}

static unsigned naive_lowest(uint64_t word) {
    unsigned i = 0;
    while ((word >> i & 1) == 0)
        i++;
    return i;
}

static unsigned naive_highest(uint64_t word) {
    unsigned i = 63;
    while ((word >> i & 1) == 0)
        i--;
    return i;
}

static void check_word(uint64_t word) {
    EXPECT_EQ(bit_count(word), naive_count(word));
    unsigned rank = 0;
    for (unsigned i = 0; i < 64; i++)
        if (word >> i & 1)
            EXPECT_EQ(bit_select(word, rank++), i);
    if (word == 0)
        return;
    EXPECT_EQ(bit_lowest(word), naive_lowest(word));
    EXPECT_EQ(bit_highest(word), naive_highest(word));
}

Test(bits, count_select_lowest_and_highest_agree_with_their_definitions) {
    uint64_t seed = 1;
    check_word(0);
    check_word(UINT64_MAX);
    for (unsigned i = 0; i < 64; i++) {
        check_word((uint64_t)1 << i);
        check_word(UINT64_MAX << i);
        check_word(UINT64_MAX >> i);
        for (unsigned k = 0; k < 64; k++)
            check_word((uint64_t)1 << i | (uint64_t)1 << k);
    }
    for (int i = 0; i < 100000; i++)
        check_word(random_next(&seed) & random_next(&seed));
}

Test(bits, test_and_set_sets_the_bit_modulo_64_and_tells_what_was_there) {
    for (uint64_t index = 0; index < 4096; index++) {
        uint64_t mask = (uint64_t)1 << (index % 64);
        uint64_t word = 0;
        EXPECT(!bit_test_and_set(&word, index));
        EXPECT_EQ(word, mask);
        EXPECT(bit_test_and_set(&word, index));
        EXPECT_EQ(word, mask);
        word = ~mask;
        EXPECT(!bit_test_and_set(&word, index));
        EXPECT_EQ(word, UINT64_MAX);
    }
}

Test(bits, powers_of_two) {
    EXPECT(!is_power_of_two(0));
    for (unsigned i = 0; i < 64; i++) {
        size_t power = (size_t)1 << i;
        EXPECT_AT(is_power_of_two(power), i);
        EXPECT_AT(i == 0 || !is_power_of_two(power | 1), i);
        EXPECT_EQ(lowest_power(power), power);
        EXPECT_EQ(lowest_power(SIZE_MAX << i), power);
    }
    EXPECT(!is_power_of_two(SIZE_MAX));
}

Test(bits, rounding_up_and_down_to_a_power) {
    for (size_t power = 1; power <= 4096; power *= 2) {
        for (size_t n = 0; n < 3 * power; n++) {
            EXPECT_EQ(round_down(n, power), n / power * power);
            EXPECT_EQ(round_up(n, power), (n + power - 1) / power * power);
        }
    }
    EXPECT_EQ(round_down(SIZE_MAX, 4096), SIZE_MAX - 4095);
}

/* Quotient and divisibility by counting along, so that nothing here divides either. */
static void check_slab_offsets(uint32_t divisor, size_t bytes) {
    uint64_t magic = magic_of(divisor);
    uint32_t count = (uint32_t)(bytes / 2 / divisor) + 1;
    uint64_t limit = magic_limit(magic, divisor, count);
    uint64_t quotient = 0;
    uint32_t rest = 0;
    for (uint64_t n = 0; n < bytes; n++) {
        uint64_t fraction;
        EXPECT_AT(magic_divide(n, &magic, &fraction) == quotient, n);
        EXPECT_AT((fraction < magic) == (rest == 0), n);
        EXPECT_AT((fraction < limit) == (rest == 0 && quotient < count), n);
        if (++rest == divisor) {
            rest = 0;
            quotient++;
        }
    }
}

Test(bits, magic_division_is_exact_for_every_class_at_every_byte_of_a_slab) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const struct size_class *c = &size_classes[cls];
        EXPECT_EQ(c->magic, magic_of(c->slot_bytes));
        check_slab_offsets(c->slot_bytes, (size_t)1 << slab_shift_of((enum zone_kind)c->zone));
    }
}

/* An address below slot 0 gives an offset that wrapped around: no slot may come out. */
Test(bits, magic_division_of_wrapped_offsets_never_gives_a_slot) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const struct size_class *c = &size_classes[cls];
        for (uint64_t below = 1; below <= (uint64_t)1 << SMALL_SLAB_SHIFT; below++) {
            uint64_t fraction;
            EXPECT_AT(magic_divide(0 - below, &c->magic, &fraction) >= SLAB_SLOTS_MAX, below);
            EXPECT_AT(fraction >= magic_limit(c->magic, c->slot_bytes, SLAB_SLOTS_MAX), below);
        }
    }
}
