/* Purpose: the last words of a process: one line to standard error, then abort.
 * Owns:    nothing.
 * Locking: takes none, allocates nothing; may be called from any state. */
#ifndef SLM_BASE_FATAL_H
#define SLM_BASE_FATAL_H

#include "base/attr.h"
#include "base/format.h"

/* Writes the text, as one write(2) where the kernel takes it whole, to a file descriptor. 0, or an
 * error number: the rest was not written. */
int text_write(const struct text *text, int fd);

/* The same; that nobody reads what is written does not kill: EPIPE. */
int text_write_unread(const struct text *text, int fd);

/* Writes the line to standard error; that nobody may be reading it there does not kill. */
COLD void report_line(const struct text *line);

/* Writes the line and raises SIGABRT; a handler that returns or mallocs finds no lock of ours
 * held. Does not return: if SIGABRT is ignored or its handler returns, the default action ends
 * the process. */
COLD __attribute__((noreturn)) void fatal_line(const struct text *line);

#endif
