/* Purpose: the heap profile (check/sample.h) as a file that pprof reads: at exit, on a signal, or
 *          when asked for.
 * Owns:    the signal's handler.
 * Locking: none; allocates nothing. */
#ifndef SLM_REPORT_PROFILE_H
#define SLM_REPORT_PROFILE_H

#include "base/format.h"

/* Writes the profile to a descriptor. 0, or an error number: ENODATA, sampling was never on; or
 * that of a write. */
int profile_write(int fd);

/* Does what the options sample, profile and profile_signal ask for, if any of them does;
 * `complaints` says what is not possible. */
void profile_set_up(struct text *complaints);

/* Writes the file that the option `profile` names, if it names one. */
void profile_at_exit(void);

#endif
