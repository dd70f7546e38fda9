/* Purpose: reports that a signal asks for.
 * Owns:    nothing. */
#ifndef SLM_REPORT_ON_SIGNAL_H
#define SLM_REPORT_ON_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/format.h"

/* Has `handler` called when the signal arrives, on the program's alternate stack if there is one.
 * What handles the signal already is the program's own: then that, or that it can't be handled, is
 * appended to `complaints`, for the option of that name. Number 0 is none.
 * Source: sigaction(2), signal-safety(7). */
void on_signal(const char *option, unsigned number, void (*handler)(int number),
               struct text *complaints);

/* Around a report that such a handler writes in static memory. `*writer` is the process that is
 * about it, or 0: a forked child's report is not the parent's. False: one is being written, and
 * this one is let pass. */
bool on_signal_begin(uint32_t *writer);
void on_signal_end(uint32_t *writer);

#endif
