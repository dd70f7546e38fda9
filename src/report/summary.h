/* Purpose: the table of statistics without a call for it: when the process exits (option stats),
 *          and when a signal arrives (option stats_signal).
 * Owns:    the signal's handler, and standard error as it was at the start.
 * Locking: none; allocates nothing. */
#ifndef SLM_REPORT_SUMMARY_H
#define SLM_REPORT_SUMMARY_H

#include "base/format.h"

/* Does what the options ask for, after they were read; `complaints` says what is not possible. May
 * be called again when the option stats has changed. */
void summary_set_up(struct text *complaints);

/* Standard error as it was at the start, for what is written at the exit. */
int summary_descriptor(void);

/* Prints the table if the option stats says so. */
void summary_at_exit(void);

#endif
