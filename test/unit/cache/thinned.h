/* What the tests of memory that goes back share: a heap of which one block in KEPT stays, and what
 * of a zone is in memory. Who includes it defines BYTES, BLOCKS and KEPT. */
#ifndef SLM_TEST_UNIT_CACHE_THINNED_H
#define SLM_TEST_UNIT_CACHE_THINNED_H

#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "../expect.h"
#include "heap/heap.h"
#include "slab/zone.h"

static char *blocks[BLOCKS];

static inline size_t resident_bytes(enum zone_kind kind) {
    static unsigned char vector[1 << 16];
    const struct range *range = &zones[kind].ranges[0];
    size_t span = (size_t)range->fresh << slab_shift_of(kind);
    size_t bytes = 0;
    EXPECT(span / os_page_bytes <= sizeof vector);
    EXPECT(mincore((void *)range->base, span, vector) == 0);
    for (size_t i = 0; i < span / os_page_bytes; i++)
        bytes += (vector[i] & 1) * os_page_bytes;
    return bytes;
}

/* The row of SMALL is that of the processor: on another one the heap would grow. */
static inline void stay_here(void) {
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((unsigned)sched_getcpu(), &here);
    EXPECT(sched_setaffinity(0, sizeof here, &here) == 0);
}

static inline void fill_block(size_t i, char *block) {
    blocks[i] = memset(block, (int)(i % 127) + 1, BYTES);
}

static inline void fill_all(void) {
    for (size_t i = 0; i < BLOCKS; i++)
        fill_block(i, heap_malloc(BYTES));
}

static inline void free_all(void) {
    for (size_t i = 0; i < BLOCKS; i++)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
}

/* One of KEPT stays, so that no slab becomes empty. */
static inline void thin_out(void) {
    for (size_t i = 0; i < BLOCKS; i++)
        if (i % KEPT != 0)
            EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
}

static inline void expect_contents(void) {
    for (size_t i = 0; i < BLOCKS; i += KEPT)
        for (size_t k = 0; k < BYTES; k++)
            EXPECT_AT(blocks[i][k] == (char)(i % 127 + 1), i);
}

static inline void free_rest(void) {
    for (size_t i = 0; i < BLOCKS; i += KEPT)
        EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
}

static inline void expect_whole(void) {
    struct violation violation = {0};
    cr_assert(heap_verify(&violation), "%s", violation.what);
}

#endif
