/* Purpose: the table of statistics without a call for it: when the process exits (option stats),
 *          when a signal arrives (stats_signal), and at intervals (stats_interval).
 * Owns:    the signal's handler, and standard error as it was at the start.
 * Locking: none; allocates nothing. */
#ifndef SLM_REPORT_SUMMARY_H
#define SLM_REPORT_SUMMARY_H

#include "base/format.h"
#include "core/options.h"

/* Does what the options ask for, after they were read; `complaints` says what is not possible. May
 * be called again when the option stats or stats_interval has changed. */
void summary_set_up(struct text *complaints);

/* Standard error as it was at the start, for what is written at the exit. */
int summary_descriptor(void);

/* Prints the table if the last one is as old as the option stats_interval says. */
COLD void summary_look(void);

/* The same, for slow paths: nothing without the option. No thread and no timer is needed for it;
 * who makes no slow call changes little that the table tells. */
static inline void summary_if_due(void) {
    if (UNLIKELY(option_get(OPTION_stats_interval) != 0))
        summary_look();
}

/* Prints the table if the option stats says so. */
void summary_at_exit(void);

#endif
