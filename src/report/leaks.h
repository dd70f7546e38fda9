/* Purpose: the report on blocks that still live.
 * Owns:    nothing. */
#ifndef SLM_REPORT_LEAKS_H
#define SLM_REPORT_LEAKS_H

#include <stdbool.h>

/* Writes the groups of live blocks, most bytes first, to a descriptor; nothing if there are none.
 * True: there are some. To be called once, at exit. */
bool leaks_report(int fd);

#endif
