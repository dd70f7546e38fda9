/* Purpose: the report on leaks.
 * Owns:    nothing. */
#ifndef SLM_REPORT_LEAKS_H
#define SLM_REPORT_LEAKS_H

#include <stdbool.h>
#include <stddef.h>

#include "check/leaks.h"

/* Writes the groups of leaks, most bytes first, to a descriptor; nothing if there are none. `when`
 * is what "still live" is followed by. `*blocks`: how many, those that others hold included. 0, or
 * an error number: ENOMEM, or that of the descriptor. */
int leaks_report(int fd, enum check_leaks_kind kind, const char *when, size_t *blocks);

#endif
