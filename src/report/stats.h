/* Purpose: figures of the heap, counted by looking at it: no hot path counts anything.
 * Owns:    nothing.
 * Locking: RANK_ZONE and RANK_LARGE for a moment; slabs are read without a lock.
 *
 * Calls are exact without a counter in malloc or free: a slab's countdown knows the frees since it
 * was set, each class of each cache the frees before, and what was allocated is what was freed
 * plus what lives. */
#ifndef SLM_REPORT_STATS_H
#define SLM_REPORT_STATS_H

#include "base/format.h"
#include "slabmalloc/slabmalloc.h"

void stats_collect(struct slm_stats *stats);

/* A table of some 30 lines; text is cut if it does not fit (8 KiB do). */
void stats_format(const struct slm_stats *stats, struct text *text);

#endif
