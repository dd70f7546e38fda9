/* Purpose: figures of the heap, counted by looking at it: no hot path counts anything.
 * Owns:    nothing.
 * Locking: none: everything is read as it is, so that a signal handler may ask.
 *
 * Calls are exact without a counter in malloc or free: a slab's countdown knows the frees since it
 * was set, each class of each cache the frees before, and what was allocated is what was freed
 * plus what lives. */
#ifndef SLM_REPORT_STATS_H
#define SLM_REPORT_STATS_H

#include "report/emit.h"
#include "slabmalloc/slabmalloc.h"

void stats_collect(struct slm_stats *stats);

/* Everything: the process, totals, memory, zones, slabs, the classes that waste most, classes.
 * `knows_resident`: what the breakdown says of pages in memory is true. */
void stats_emit(struct emitter *emitter, const struct slm_stats *stats,
                const struct slm_breakdown *breakdown, bool knows_resident);

/* The classes alone, a row each. */
void stats_emit_classes(struct emitter *emitter, const struct slm_stats *stats,
                        const struct slm_breakdown *breakdown, bool knows_resident);

/* What all reports of statistics show, taken at one time. */
struct figures {
    struct slm_stats stats;
    struct slm_breakdown breakdown;
    bool knows_resident;
};

void figures_take(struct figures *figures);

/* Everything, and the end of the output: 0, or the error number of the first write that failed. */
int figures_print(const struct figures *figures, struct out *out, enum emit_format format);

#endif
