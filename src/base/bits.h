/* Purpose: bit and integer tricks without a libgcc call or a CPU feature beyond the baseline.
 * Owns:    nothing; everything here is pure. */
#ifndef SLM_BASE_BITS_H
#define SLM_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

__extension__ typedef unsigned __int128 uint128;

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

/* Index of the highest set bit; `word` must not be 0. */
HOT_INLINE unsigned bit_highest(uint64_t word) { return 63u - (unsigned)__builtin_clzll(word); }

/* Number of set bits. Written out: on baseline x86-64 the built-in is a call into libgcc.
 * (Parallel sums of bit fields; Warren, Hacker's Delight, chapter 5.) */
HOT_INLINE unsigned bit_count(uint64_t word) {
    word -= (word >> 1) & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + ((word >> 2) & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)((word * 0x0101010101010101u) >> 56);
}

HOT_INLINE bool is_power_of_two(size_t n) { return n != 0 && (n & (n - 1)) == 0; }

/* The largest power of two that divides `n`; `n` must not be 0. */
HOT_INLINE size_t lowest_power(size_t n) { return n & (~n + 1); }

/* `n` rounded up to a multiple of `power`, a power of two; the caller excludes overflow. */
HOT_INLINE size_t round_up(size_t n, size_t power) { return (n + power - 1) & ~(power - 1); }
HOT_INLINE size_t round_down(size_t n, size_t power) { return n & ~(power - 1); }

/* Exact division by multiplication (after Lemire, Kaser and Kurz, "Faster remainder by direct
 * computation", 2019): with magic = floor(2^64 / d) + 1 and n * d < 2^64,
 * n * magic = quotient * 2^64 + fraction, and d divides n  <=>  fraction < magic. */
HOT_INLINE uint64_t magic_of(uint32_t divisor) { return UINT64_MAX / divisor + 1; }

/* `magic` stays in memory: it is used twice, each time as an operand. */
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
