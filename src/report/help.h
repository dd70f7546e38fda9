/* Purpose: SLABMALLOC_OPTIONS=help: every option, its value and where that came from, what it takes
 *          and does; every preset. tools/options reads it, so docs and manual agree with it.
 * Owns:    nothing. */
#ifndef SLM_REPORT_HELP_H
#define SLM_REPORT_HELP_H

#include "report/out.h"

void help_print(struct out *out);

#endif
