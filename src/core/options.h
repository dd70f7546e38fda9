/* Purpose: what can be chosen at run time: the values, where they came from, how they are read.
 *          options_table.h has the table.
 * Owns:    the values.
 * Locking: none. Read once, before main, by one thread; those that are OPTION_LIVE may change at
 *          any time. A value is one word, read by a plain load.
 *
 * Sources, each of which overrides those before it:
 *   the default, the preset's row, the program's own `slabmalloc_options`, SLABMALLOC_OPTIONS,
 *   SLABMALLOC_<NAME>, slm_option_set.
 * Whichever source names the preset, its row is applied before any single value.
 *
 * They are read by a constructor, when the environment is sure to be there. Until then, and without
 * it, the defaults hold: nothing depends on having been read. */
#ifndef SLM_CORE_OPTIONS_H
#define SLM_CORE_OPTIONS_H

#include "base/atomic.h"
#include "core/options_table.h"

enum option {
#define X(name, initial, when, range, help) OPTION_##name,
    SLM_OPTIONS(X)
#undef X
        OPTION_COUNT
};

enum preset {
#define X(name, row, purpose) PRESET_##name,
    SLM_PRESETS(X)
#undef X
        PRESET_COUNT
};

enum { ON_ERROR_ABORT, ON_ERROR_REPORT, ON_ERROR_IGNORE };
enum { STATS_NONE, STATS_EXIT };
enum { LEAKS_NONE, LEAKS_EXIT };
enum { STACKS_FRAMES, STACKS_TABLES };
enum { BACKGROUND_OFF, BACKGROUND_LAZY, BACKGROUND_ON };
enum { LEAK_CHECK_LIVE, LEAK_CHECK_REACHABLE };

enum option_when { OPTION_FIXED, OPTION_LIVE };

enum option_source {
    OPTION_FROM_DEFAULT,
    OPTION_FROM_PRESET,
    OPTION_FROM_PROGRAM,     /* slabmalloc_options */
    OPTION_FROM_ENVIRONMENT, /* SLABMALLOC_OPTIONS */
    OPTION_FROM_VARIABLE,    /* SLABMALLOC_<NAME> */
    OPTION_FROM_CALL,        /* slm_option_set */
};

struct option_entry {
    const char *name;
    uint64_t initial;
    enum option_when when;
    struct option_range range;
    const char *help;
};

struct preset_entry {
    const char *name, *row, *purpose;
};

/* The path that OPTION_log has, unless its value is 0. */
extern char option_log_path[OPTION_PATH_BYTES] HIDDEN;

/* And OPTION_profile. */
extern char option_profile_path[OPTION_PATH_BYTES] HIDDEN;

extern const struct option_entry option_table[OPTION_COUNT] HIDDEN;
extern const struct preset_entry preset_table[PRESET_COUNT] HIDDEN;
extern uint64_t option_values[OPTION_COUNT] HIDDEN;

static inline uint64_t option_get(enum option option) {
    return load_relaxed(&option_values[option]);
}

enum option_source option_source(enum option option);

/* The option of that name; OPTION_COUNT if there is none. */
enum option option_find(struct word name);

/* Sets an option by name. 0, or ENOENT: no such option; EINVAL: no such value; EPERM: OPTION_FIXED.
 */
int option_change(const char *name, const char *value, enum option *changed);

/* Reads the program's string and the environment, a NULL-terminated list of "NAME=value"; either
 * may be NULL. What is wrong in them is appended to `complaints`, a line each, and ignored. True:
 * SLABMALLOC_OPTIONS asks for help too. */
bool options_read(const char *program, char *const *environment, struct text *complaints);

/* The same for one string "name=value,...", as SLABMALLOC_OPTIONS has it. */
bool options_parse(const char *string, struct text *complaints);

/* What was empty for that long goes back to the system: the time before which, given the present
 * time, both in milliseconds (os_clock_ms). */
static inline uint64_t option_purge_before(uint64_t now_ms) {
    uint64_t delay = option_get(OPTION_purge_delay);
    return delay <= now_ms ? now_ms - delay + 1 : 0;
}

#endif
