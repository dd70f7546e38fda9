/* Purpose: verifies the invariants of slab.h, zone.h and depot.h.
 * Owns:    nothing.
 * Locking: the caller holds every lock there is; owners of slabs may be running all the same, so
 *          what only they write is verified only where the caller says that it holds still. */
#ifndef SLM_SLAB_VERIFY_H
#define SLM_SLAB_VERIFY_H

#include "core/violation.h"
#include "slab/slab.h"

/* A slab that has a class: its header says what the class does; no bit beyond its slots is set. */
bool slab_verify_shape(const struct slab *slab, struct violation *violation);

/* Of a slab whose `bits` nobody changes: the summary is what the bits say, no slot is free
 * twice. */
bool slab_verify_bits(const struct slab *slab, struct violation *violation);

/* How many words of the slab the summary does not agree with, just now. */
unsigned slab_count_disagreeing(const struct slab *slab);

/* A zone's ranges, sets of empty slabs and counts; the slabs without an owner, of which those that
 * should be on a depot's shelf are added up. */
bool zone_verify(enum zone_kind kind, size_t *shelved, struct violation *violation);

/* A depot's shelf. */
bool depot_verify(unsigned cls, struct violation *violation);

#endif
