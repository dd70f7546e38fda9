/* Protects: looking a pointer up is total (field case A9). For many 64-bit values, random ones and
 * ones around every border there is, nothing crashes, exactly the live blocks are found, and a
 * bad free changes nothing. White box: heap_free returns what the API layer would die of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "heap/heap.h"
#include "large/large.h"
#include "slab/zone.h"

enum { VALUES = 300000, BLOCKS = 3000 };

static uintptr_t live[BLOCKS];
static size_t live_count;
static uint64_t state = 0x2545f4914f6cdd1d;
static uint64_t faults_seen[FAULT_LATE_DOUBLE + 1];

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int compare(const void *a, const void *b) {
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static bool is_live(uintptr_t address) {
    return bsearch(&address, live, live_count, sizeof *live, compare) != NULL;
}

static void fail(uintptr_t address, const char *what, int fault) {
    printf("%#lx: %s (fault %d)\n", (unsigned long)address, what, fault);
    exit(1);
}

static void look_up(uintptr_t address) {
    enum fault fault;
    uintptr_t start = 0;
    size_t bytes = 0;
    bool expected = is_live(address);
    size_t usable = heap_usable((void *)address, &fault);
    if (expected != (fault == FAULT_NONE) || expected != (usable > 0))
        fail(address, expected ? "a live block, not found" : "found, but no live block", fault);
    faults_seen[fault]++;
    struct slab *slab = zone_find(address);
    enum fault large = large_examine(address, &start, &bytes);
    if (slab != NULL && large != FAULT_FOREIGN)
        fail(address, "in a slab and in a LARGE block", large);
    if (large == FAULT_INTERIOR && (address <= start || address - start >= bytes))
        fail(address, "inside a block that it is not inside of", large);
    if (!expected && address != 0 && heap_free((void *)address) != fault)
        fail(address, "free sees another fault than usable_size", fault);
}

static void look_around(uintptr_t address) {
    static const uintptr_t distances[] = {0, 1, 8, 15, 16, 64, 4095, 4096, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        look_up(address + distances[i]);
        look_up(address - distances[i]);
    }
}

static uintptr_t any_address(void) {
    uint64_t r = next_random();
    const struct range *range = &zones[r % ZONE_COUNT].ranges[0];
    switch (r >> 8 & 7) {
    case 0:
        return r; /* hardly ever canonical */
    case 1:
        return next_random() >> 17; /* 47 bits */
    case 2:
        return range->base + next_random() % range->span;
    case 3:
        return range->base + (next_random() % ((size_t)range->fresh + 4) << 16);
    case 4:
        return (uintptr_t)range->mapping + next_random() % ((size_t)8 << 20); /* tables */
    case 5:
        return live[next_random() % live_count] + next_random() % 4096 * 16;
    case 6:
        return live[next_random() % live_count] - next_random() % 4096;
    default:
        return next_random() >> (r >> 16 & 63);
    }
}

static void make_heap(void) {
    static uintptr_t freed[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t r = next_random();
        size_t bytes = r % (i % 10 < 7 ? 1024 : i % 100 < 99 ? 131072 : 3000000) + 1;
        uintptr_t p = (uintptr_t)(r >> 60 == 0 ? heap_malloc_aligned(bytes, (size_t)64 << i % 15)
                                               : heap_malloc(bytes));
        if (p == 0)
            fail(p, "no memory", 0);
        live[i] = p;
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (next_random() % 4 != 0)
            live[live_count++] = live[i];
        else
            freed[i] = live[i];
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (freed[i] != 0 && heap_free((void *)freed[i]) != FAULT_NONE)
            fail(freed[i], "a good free", 0);
    qsort(live, live_count, sizeof *live, compare);
}

int main(void) {
    make_heap();
    for (unsigned bit = 0; bit < 64; bit++)
        look_around((uintptr_t)1 << bit);
    look_around(0);
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        const struct range *range = &zones[kind].ranges[0];
        look_around(range->base);
        look_around(range->base + range->span);
        look_around((uintptr_t)range->mapping);
        look_around(range->headers);
        look_around(range->base + ((uintptr_t)range->fresh << slab_shift_of(kind)));
        look_around(range->base + ((uintptr_t)range->writable << slab_shift_of(kind)));
    }
    for (size_t i = 0; i < live_count; i++)
        look_around(live[i]);
    for (unsigned i = 0; i < VALUES; i++)
        look_up(any_address());
    /* The values reached everything that can be wrong, and after all that the blocks are whole. */
    for (enum fault fault = FAULT_NONE; fault <= FAULT_FOREIGN; fault++)
        if (faults_seen[fault] < 100)
            fail(0, "too few of this fault", fault);
    for (size_t i = 0; i < live_count; i++)
        if (heap_free((void *)live[i]) != FAULT_NONE)
            fail(live[i], "a good free at the end", 0);
    return 0;
}
