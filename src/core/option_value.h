/* Purpose: what kinds of values options have, how they are read from text and shown as text.
 * Owns:    nothing; pure functions. */
#ifndef SLM_CORE_OPTION_VALUE_H
#define SLM_CORE_OPTION_VALUE_H

#include <stdint.h>

#include "base/word.h"

enum option_type {
    OPTION_TYPE_WORD,    /* one of a list; the value is its place there */
    OPTION_TYPE_BOOLEAN, /* off or on; also no/yes, false/true, 0/1 */
    OPTION_TYPE_COUNT,
    OPTION_TYPE_BYTES,        /* with K, M, G or T behind it: times 2^10, 2^20, ... */
    OPTION_TYPE_MILLISECONDS, /* with s behind it: seconds */
    OPTION_TYPE_SIGNAL,       /* a name or a number; 0: none */
};

/* The value of the extra word that a number's range may have ("never", "unlimited"): more than any
 * number in the range. */
#define OPTION_UNLIMITED UINT64_MAX

struct option_range {
    enum option_type type;
    uint64_t least, most;
    const char *words; /* WORD: all, "a|b|c"; numbers: the word for OPTION_UNLIMITED, or NULL */
};

/* As they stand in the table of options. `word`: see OPTION_UNLIMITED. */
#define OPTION_WORDS(words) {OPTION_TYPE_WORD, 0, 0, words}
#define OPTION_BOOLEAN {OPTION_TYPE_BOOLEAN, 0, 1, NULL}
#define OPTION_COUNT_OF(least, most, word) {OPTION_TYPE_COUNT, least, most, word}
#define OPTION_BYTES(least, most, word) {OPTION_TYPE_BYTES, least, most, word}
#define OPTION_MILLISECONDS(least, most, word) {OPTION_TYPE_MILLISECONDS, least, most, word}
#define OPTION_SIGNAL {OPTION_TYPE_SIGNAL, 0, 64, NULL}

/* False: the word is no value in the range, and `*value` is as it was. */
bool option_value_parse(const struct option_range *range, struct word word, uint64_t *value);

/* Appends a value as option_value_parse reads it. */
void option_value_put(struct text *text, const struct option_range *range, uint64_t value);

/* Appends what values there are: "abort|report|ignore", "milliseconds from 0 to ...". */
void option_range_put(struct text *text, const struct option_range *range);

/* Finds the value most like the wrong one, among those that are words. */
void option_range_try_nearest(const struct option_range *range, struct nearest *nearest);

#endif
