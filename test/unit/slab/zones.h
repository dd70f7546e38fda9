/* Purpose: what the tests of zones share: set-up without purges, sizes, releasing, what is zero.
 * Owns:    nothing. */
#ifndef SLM_TEST_UNIT_SLAB_ZONES_H
#define SLM_TEST_UNIT_SLAB_ZONES_H

#include <string.h>

#include "../expect.h"
#include "core/options.h"
#include "slab/zone.h"

/* Nothing is purged but by zone_purge and its kin. */
static inline void no_automatic_purge(void) {
    zones[ZONE_TINY].next_purge_ms = zones[ZONE_SMALL].next_purge_ms = UINT64_MAX;
    store_relaxed(&option_values[OPTION_keep_free], OPTION_UNLIMITED);
}

static inline void set_up(void) {
    quiet_os();
    EXPECT(zone_init());
    no_automatic_purge();
}

static inline size_t slab_bytes_of(const struct slab *slab) {
    return (size_t)1 << slab_shift_of((enum zone_kind)slab->zone);
}

static inline void release(struct slab *slab) {
    EXPECT_EQ(slab->state, SLAB_CLAIMED);
    zone_release(slab);
}

/* A slab of the class, every byte written. */
static inline struct slab *acquire_written(unsigned cls, uintptr_t owner) {
    struct slab *slab = zone_acquire(cls, owner);
    slab->fresh_from = (uint32_t)slab->slots;
    memset((void *)zone_slab_memory(slab), 7, slab_bytes_of(slab));
    return slab;
}

static inline bool is_zero(const struct slab *slab) {
    const char *memory = (const char *)zone_slab_memory(slab);
    return memory[0] == 0 && memcmp(memory, memory + 1, slab_bytes_of(slab) - 1) == 0;
}

#endif
