/* Purpose: bit and integer tricks without a libgcc call or a CPU feature beyond the baseline.
 * Owns:    nothing; everything here is pure. */
#ifndef SLM_BASE_BITS_H
#define SLM_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

__extension__ typedef unsigned __int128 uint128;

/* 2^64 over the golden ratio: for hashing, and as a step between seeds. */
#define GOLDEN_64 0x9e3779b97f4a7c15u

/* The output of splitmix64 (Steele, Lea and Flood 2014), whose state goes up by GOLDEN_64. */
HOT_INLINE uint64_t bit_mix(uint64_t state) {
    state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9u;
    state = (state ^ state >> 27) * 0x94d049bb133111ebu;
    return state ^ state >> 31;
}

/* Index of the lowest set bit; `word` must not be 0. As an instruction: the built-in's int result
 * costs a sign extension wherever it is used as an index. (rep bsf is tzcnt where that exists.) */
HOT_INLINE size_t bit_lowest(uint64_t word) {
#if defined(__x86_64__)
    size_t index;
    __asm__("rep bsfq %1, %0" : "=r"(index) : "r"(word) : "cc");
    return index;
#else
    return (size_t)__builtin_ctzll(word);
#endif
}

/* The same, but of 0 it is 64, or 0 on a CPU without tzcnt. */
HOT_INLINE size_t bit_lowest_if_any(uint64_t word) {
#if defined(__x86_64__)
    __asm__("rep bsfq %0, %0" : "+r"(word) : : "cc");
    return word;
#else
    return word != 0 ? (size_t)__builtin_ctzll(word) : 64;
#endif
}

/* Sets bit `index` % 64 of a word in a register; true if it was set before. */
HOT_INLINE bool bit_test_and_set(uint64_t *word, uint64_t index) {
#if defined(__x86_64__)
    bool was_set;
    __asm__("btsq %2, %0" : "+r"(*word), "=@ccc"(was_set) : "r"(index));
    return was_set;
#else
    uint64_t mask = (uint64_t)1 << (index % 64);
    bool was_set = (*word & mask) != 0;
    *word |= mask;
    return was_set;
#endif
}

/* Clears bit `index` % 64 of a word in a register; true if it was set before. */
HOT_INLINE bool bit_test_and_clear(uint64_t *word, uint64_t index) {
#if defined(__x86_64__)
    bool was_set;
    __asm__("btrq %2, %0" : "+r"(*word), "=@ccc"(was_set) : "r"(index));
    return was_set;
#else
    uint64_t mask = (uint64_t)1 << (index % 64);
    bool was_set = (*word & mask) != 0;
    *word &= ~mask;
    return was_set;
#endif
}

/* Index of the highest set bit; `word` must not be 0. */
HOT_INLINE unsigned bit_highest(uint64_t word) { return 63u - (unsigned)__builtin_clzll(word); }

/* Each byte's is the number of set bits in that byte and all below. (Parallel sums of bit fields;
 * Warren, Hacker's Delight, chapter 5.) */
HOT_INLINE uint64_t bit_running_counts(uint64_t word) {
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return word * 0x0101010101010101u;
}

/* Number of set bits. Written out: on baseline x86-64 the built-in is a call into libgcc. */
HOT_INLINE unsigned bit_count(uint64_t word) { return (unsigned)(bit_running_counts(word) >> 56); }

/* Index of the set bit that has `rank` set bits below it; `word` must have more than `rank`.
 * The byte is found by comparing all eight running counts at once (after Vigna, "Broadword
 * Implementation of Rank/Select Queries", 2008). */
static inline size_t bit_select(uint64_t word, unsigned rank) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t counts = bit_running_counts(word);
    uint64_t passed = ((rank * ones | ones << 7) - counts) >> 7 & ones; /* bytes with <= `rank` */
    size_t shift = (size_t)((passed * ones) >> 56) * 8;
    rank -= (unsigned)((counts << 8) >> shift) & 0xff;
    for (word >>= shift; rank > 0; rank--)
        word &= word - 1;
    return shift + bit_lowest(word);
}

HOT_INLINE bool is_power_of_two(size_t n) { return n != 0 && (n & (n - 1)) == 0; }

/* The largest power of two that divides `n`; `n` must not be 0. */
HOT_INLINE size_t lowest_power(size_t n) { return n & (~n + 1); }

/* `n` rounded up to a multiple of `power`, a power of two; the caller excludes overflow. */
HOT_INLINE size_t round_up(size_t n, size_t power) { return (n + power - 1) & ~(power - 1); }
HOT_INLINE size_t round_down(size_t n, size_t power) { return n & ~(power - 1); }

/* Exact division by multiplication (after Lemire, Kaser and Kurz, "Faster remainder by direct
 * computation", 2019): with magic = floor(2^64 / d) + 1 and n * d < 2^64,
 * n * magic = quotient * 2^64 + fraction, and d divides n  <=>  fraction < magic.
 *
 * More than that: let excess = magic * d - 2^64, which is 1..d. The fraction of k * d is
 * k * excess, and of a number that d does not divide, or of a negative one, it is larger by far
 * than anything here:
 *     fraction < count * excess  <=>  n is one of 0, d, 2 * d, ... (count - 1) * d
 * for n > -2^32 and n, count * d < 2^32. */
#define MAGIC_OF(divisor)                                                                         \
    (UINT64_MAX / (divisor) + 1 + (((divisor) & ((divisor)-1)) == 0))
HOT_INLINE uint64_t magic_of(uint32_t divisor) { return MAGIC_OF(divisor); }

/* What the fractions of 0, d, ... (count - 1) * d are below, and no others. */
HOT_INLINE uint64_t magic_limit(uint64_t magic, uint32_t divisor, uint32_t count) {
    return magic * divisor * count;
}

/* `magic` stays in memory, as an operand. */
HOT_INLINE uint64_t magic_divide(uint64_t n, const uint64_t *magic, uint64_t *fraction) {
#if defined(__x86_64__)
    uint64_t quotient;
    __asm__("mulq %3" : "=a"(*fraction), "=d"(quotient) : "0"(n), "m"(*magic) : "cc");
    return quotient;
#else
    uint128 product = (uint128)n * *magic;
    *fraction = (uint64_t)product;
    return (uint64_t)(product >> 64);
#endif
}

#endif
