/* Purpose: fill.h. */
#include "check/fill.h"

#include <string.h>

#include "check/check.h"

/* Eight bytes that are the block's own: a canary that is copied from elsewhere is found out. The
 * mixer is the finaliser of MurmurHash3 (Appleby). */
static uint64_t canary_of(uintptr_t start) {
    uint64_t x = start ^ check_policy.secret;
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    return x | 0x0101010101010101u;
}

static unsigned char canary_byte(uint64_t canary, uintptr_t address) {
    return (unsigned char)(canary >> (address % 8 * 8));
}

void canary_write(uintptr_t start, size_t bytes, size_t room) {
    uint64_t canary = canary_of(start);
    uintptr_t at = start + bytes;
    uintptr_t end = start + room;
    for (; at < end && at % 8 != 0; at++)
        *(unsigned char *)at = canary_byte(canary, at);
    for (; at + 8 <= end; at += 8)
        *(uint64_t *)at = canary;
    for (; at < end; at++)
        *(unsigned char *)at = canary_byte(canary, at);
}

static COLD void describe(uintptr_t start, uintptr_t first, uintptr_t last, struct damage *damage) {
    *damage = (struct damage){first - start, last - first + 1, *(unsigned char *)first};
}

static COLD bool find_in_canary(uintptr_t start, uintptr_t at, uintptr_t end,
                                struct damage *damage) {
    uint64_t canary = canary_of(start);
    uintptr_t first = 0;
    uintptr_t last = 0;
    for (; at < end; at++) {
        if (*(unsigned char *)at == canary_byte(canary, at))
            continue;
        first = first != 0 ? first : at;
        last = at;
    }
    if (first == 0)
        return true; /* it has been mended meanwhile */
    describe(start, first, last, damage);
    return false;
}

bool canary_verify(uintptr_t start, size_t bytes, size_t room, struct damage *damage) {
    uint64_t canary = canary_of(start);
    uintptr_t at = start + bytes;
    uintptr_t end = start + room;
    uint64_t differing = 0;
    for (; at < end && at % 8 != 0; at++)
        differing |= *(unsigned char *)at ^ canary_byte(canary, at);
    for (; at + 8 <= end; at += 8)
        differing |= *(uint64_t *)at ^ canary;
    for (; at < end; at++)
        differing |= *(unsigned char *)at ^ canary_byte(canary, at);
    return LIKELY(differing == 0) || find_in_canary(start, start + bytes, end, damage);
}

/* Slots and pages are multiples of 16 bytes. */
typedef uint64_t lanes __attribute__((vector_size(16), may_alias));

static COLD bool find_in_fill(uintptr_t start, size_t room, unsigned char byte,
                              struct damage *damage) {
    uintptr_t first = 0;
    uintptr_t last = 0;
    for (uintptr_t at = start; at < start + room; at++) {
        if (*(unsigned char *)at == byte)
            continue;
        first = first != 0 ? first : at;
        last = at;
    }
    if (first == 0)
        return true;
    describe(start, first, last, damage);
    return false;
}

bool fill_verify(uintptr_t start, size_t room, unsigned char byte, struct damage *damage) {
    uint64_t pattern = byte * 0x0101010101010101u;
    const lanes patterns = {pattern, pattern};
    lanes differing = {0, 0};
    for (size_t at = 0; at < room; at += sizeof differing)
        differing |= *(const lanes *)(start + at) ^ patterns;
    return LIKELY((differing[0] | differing[1]) == 0) || find_in_fill(start, room, byte, damage);
}
