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
    X(stats, 0, "none|exit", "print what the heap did to standard error when the process exits")  \
    X(canary, 0, "off|on", "check that no byte behind the size asked for has been written")       \
    X(junk, 0, "off|on", "fill blocks with junk when they are allocated and when they are freed") \
    X(zero_on_free, 0, "off|on", "fill blocks with zero when they are freed")                     \
    X(quarantine, 0, "0|64K|1M|16M|256M", "bytes of freed blocks that are kept back from reuse")  \
    X(check_kinds, 0, "off|on", "check that new is undone by delete, and the sizes told to them") \
    X(history, 0, "off|on", "record who allocated and freed each block, with call stacks")        \
    X(leaks, 0, "none|exit", "list the blocks that still live when the process exits")            \
    X(leaks_exit_code, 0, "0|1|23|99", "exit with this code if there are any, unless it is 0")    \
    X(random, 0, "off|on", "hand out a random free slot of a slab, not the lowest")               \
    X(guard, 0, "off|on", "a guard page behind each LARGE block; freed ones and empty ones fault") \
    X(explain_faults, 0, "off|on", "say what is where, when an access to the heap faults")

enum option {
#define X(name, initial, values, help) OPTION_##name,
    SLM_OPTIONS(X)
#undef X
        OPTION_COUNT
};

enum { ON_ERROR_ABORT, ON_ERROR_REPORT, ON_ERROR_IGNORE };
enum { STATS_NONE, STATS_EXIT };
enum { LEAKS_NONE, LEAKS_EXIT };

unsigned option_get(enum option option);

/* Sets options from "name=value,..."; what is wrong with it is appended to `complaints`, a line
 * each, and ignored. */
void options_parse(const char *string, struct text *complaints);

/* The table, a line each. */
void options_help(struct text *text);

#endif
