/* Purpose: what kinds of values options have, how they are read from text and shown as text.
 * Owns:    nothing; paths are kept by whoever has the range. */
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
    OPTION_TYPE_SET,  /* some of a list, "a+c"; bit i is the word at place i; also all, none */
    OPTION_TYPE_PATH, /* its length, or 0: none; the path is kept beside it */
};

/* The value of the extra word that a number's range may have ("never", "unlimited"): more than any
 * number in the range. */
#define OPTION_UNLIMITED UINT64_MAX

struct option_range {
    enum option_type type;
    uint64_t least, most;
    /* WORD, SET: all, "a|b|c"; PATH: what else it may be; numbers: the word for OPTION_UNLIMITED or
     * NULL */
    const char *words;
    char *kept; /* PATH: OPTION_PATH_BYTES of room for what was parsed last, ended by 0 */
};

enum { OPTION_PATH_BYTES = 256 };

/* As they stand in the table of options. `word`: see OPTION_UNLIMITED. */
#define OPTION_WORDS(words) {OPTION_TYPE_WORD, 0, 0, words, NULL}
#define OPTION_BOOLEAN {OPTION_TYPE_BOOLEAN, 0, 1, NULL, NULL}
#define OPTION_COUNT_OF(least, most, word) {OPTION_TYPE_COUNT, least, most, word, NULL}
#define OPTION_BYTES(least, most, word) {OPTION_TYPE_BYTES, least, most, word, NULL}
#define OPTION_MILLISECONDS(least, most, word) {OPTION_TYPE_MILLISECONDS, least, most, word, NULL}
#define OPTION_SIGNAL {OPTION_TYPE_SIGNAL, 0, 64, NULL, NULL}
#define OPTION_SET(words) {OPTION_TYPE_SET, 0, UINT64_MAX, words, NULL}
#define OPTION_PATH(words, kept) {OPTION_TYPE_PATH, 0, OPTION_PATH_BYTES - 1, words, kept}

/* The value of a SET of that many words with all of them in it. */
#define OPTION_ALL_OF(count) (((uint64_t)1 << (count)) - 1)

/* False: the word is no value in the range, and `*value` and what is kept are as they were. */
bool option_value_parse(const struct option_range *range, struct word word, uint64_t *value);

/* Appends a value as option_value_parse reads it. */
void option_value_put(struct text *text, const struct option_range *range, uint64_t value);

/* Appends what values there are: "abort|report|ignore", "milliseconds from 0 to ...". */
void option_range_put(struct text *text, const struct option_range *range);

/* Finds the value most like the wrong one, among those that are words. */
void option_range_try_nearest(const struct option_range *range, struct nearest *nearest);

#endif
