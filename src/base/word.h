/* Purpose: words of a string that is somebody else's: found, compared, shown, and the nearest of
 *          those that were possible.
 * Owns:    nothing; allocates nothing. */
#ifndef SLM_BASE_WORD_H
#define SLM_BASE_WORD_H

#include <stdbool.h>

#include "base/format.h"

/* Part of a string; not terminated. */
struct word {
    const char *start;
    size_t length;
};

/* The piece of a string that ends before any of `stops`, or at the string's end. */
struct word word_until(const char *string, const char *stops);

bool word_is(struct word word, const char *string);

/* The place of `word` in "a|b|c", or -1. */
int word_index(struct word word, const char *list);

/* The word at a place in "a|b|c", which is there. */
struct word word_at(const char *list, unsigned index);

/* Appends a word, without control characters, which could forge lines or drive a terminal. */
void word_put(struct text *text, struct word word);

/* The candidate that differs least, if it is any like what is wanted. */
struct nearest {
    struct word wanted;
    size_t distance;
    struct word found;
};

/* How many letters have to be inserted, left out, replaced or exchanged with their neighbour to
 * make `a` of `b`; SIZE_MAX for words of more than WORD_DISTANCE_MAX letters.
 * Source: optimal string alignment; Damerau, "A technique for computer detection and correction of
 * spelling errors" (1964), Wagner and Fischer (1974). */
enum { WORD_DISTANCE_MAX = 40 };
size_t word_distance(struct word a, struct word b);

struct nearest nearest_to(struct word wanted);
void nearest_try(struct nearest *nearest, struct word candidate);
void nearest_try_list(struct nearest *nearest, const char *list);

/* At most one letter of `part` differs. */
bool nearest_is_within(const struct nearest *nearest, size_t part);

/* Appends "; did you mean 'x'?", if at most half of the letters differ. */
void nearest_put(struct text *text, const struct nearest *nearest);

#endif
