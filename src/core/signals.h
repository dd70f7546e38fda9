/* Purpose: signals by name, for options.
 * Owns:    nothing. */
#ifndef SLM_CORE_SIGNALS_H
#define SLM_CORE_SIGNALS_H

#include "base/word.h"

/* The number of a signal that a handler may be given to without harm, by its name, with "SIG" or
 * without, or its number; 0 if there is none. What says that the program itself is broken (SIGSEGV,
 * ...), what cannot be caught and what libc uses is not among them. */
unsigned signal_by_name(struct word word);

/* Appends its name, or its number if it has none. */
void signal_put(struct text *text, unsigned number);

/* Finds the name most like what is wanted. */
void signal_try_nearest(struct nearest *nearest);

#endif
