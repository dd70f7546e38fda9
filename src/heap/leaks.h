/* Purpose: leaks, looked for while nothing changes.
 * Owns:    nothing. */
#ifndef SLM_HEAP_LEAKS_H
#define SLM_HEAP_LEAKS_H

#include "check/leaks.h"

/* Fills `*leaks`, whose memory is the caller's to drop (check_drop_leaks). With all locks held; for
 * CHECK_LEAKS_LOST, with the other threads stopped. False: no memory. */
bool heap_find_leaks(enum check_leaks_kind kind, struct check_leaks *leaks);

#endif
