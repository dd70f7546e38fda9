/* Purpose: what can be chosen at run time, in one table: enum, parser and help come from it.
 * Owns:    the values.
 * Locking: parsed once, before main, by one thread; read by anybody afterwards.
 *
 * SLABMALLOC_OPTIONS="name=value,name=value" is read by a constructor, when the environment is sure
 * to be there. Until then, and without it, the defaults hold: nothing depends on having been read.
 */
#ifndef SLM_CORE_OPTIONS_H
#define SLM_CORE_OPTIONS_H

#include "base/format.h"

/* X(name, default, "values", "help"): a value is the index of its word in the list of values. */
#define SLM_OPTIONS(X)                                                                            \
    X(on_error, 0, "abort|report|ignore", "what happens after a bad free or a like fault")        \
    X(stats, 0, "none|exit", "print what the heap did to standard error when the process exits")

enum option {
#define X(name, initial, values, help) OPTION_##name,
    SLM_OPTIONS(X)
#undef X
        OPTION_COUNT
};

enum { ON_ERROR_ABORT, ON_ERROR_REPORT, ON_ERROR_IGNORE };
enum { STATS_NONE, STATS_EXIT };

unsigned option_get(enum option option);

/* Sets options from "name=value,..."; what is wrong with it is appended to `complaints`, a line
 * each, and ignored. */
void options_parse(const char *string, struct text *complaints);

/* The table, a line each. */
void options_help(struct text *text);

#endif
