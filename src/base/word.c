/* Purpose: word.h. */
#include "base/word.h"

#include <stdint.h>
#include <string.h>

struct word word_until(const char *string, const char *stops) {
    return (struct word){string, strcspn(string, stops)};
}

bool word_is(struct word word, const char *string) {
    return strncmp(word.start, string, word.length) == 0 && string[word.length] == 0;
}

/* Goes to the next word of "a|b|c"; false behind the last. */
static bool step(const char **list, struct word word) {
    *list = word.start + word.length;
    return *(*list)++ == '|';
}

int word_index(struct word word, const char *list) {
    for (int index = 0;; index++) {
        struct word candidate = word_until(list, "|");
        if (candidate.length == word.length &&
            memcmp(candidate.start, word.start, word.length) == 0)
            return index;
        if (!step(&list, candidate))
            return -1;
    }
}

struct word word_at(const char *list, unsigned index) {
    struct word word = word_until(list, "|");
    while (index-- > 0 && step(&list, word))
        word = word_until(list, "|");
    return word;
}

void word_put(struct text *text, struct word word) {
    for (size_t i = 0; i < word.length; i++) {
        bool control = (unsigned char)word.start[i] < ' ' || word.start[i] == 0x7f;
        text_format(text, "%c", control ? '?' : word.start[i]);
    }
}

/* --- the nearest ------------------------------------------------------------------------------ */

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

size_t word_distance(struct word a, struct word b) {
    /* Row i, column j: from the first i letters of a to the first j of b. Three rows are needed. */
    uint8_t rows[3][WORD_DISTANCE_MAX + 1];
    if (a.length > WORD_DISTANCE_MAX || b.length > WORD_DISTANCE_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.length; j++)
        rows[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= a.length; i++) {
        const uint8_t *before = rows[(i - 1) % 3];
        uint8_t *row = rows[i % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b.length; j++) {
            bool same = a.start[i - 1] == b.start[j - 1];
            unsigned distance = least(before[j - 1] + !same, least(before[j], row[j - 1]) + 1u);
            if (i > 1 && j > 1 && a.start[i - 1] == b.start[j - 2] &&
                a.start[i - 2] == b.start[j - 1])
                distance = least(distance, rows[(i - 2) % 3][j - 2] + 1u);
            row[j] = (uint8_t)distance;
        }
    }
    return rows[a.length % 3][b.length];
}

struct nearest nearest_to(struct word wanted) {
    return (struct nearest){wanted, SIZE_MAX, {"", 0}};
}

void nearest_try(struct nearest *nearest, struct word candidate) {
    size_t distance = word_distance(nearest->wanted, candidate);
    if (distance >= nearest->distance)
        return;
    nearest->distance = distance;
    nearest->found = candidate;
}

void nearest_try_list(struct nearest *nearest, const char *list) {
    struct word word;
    do {
        word = word_until(list, "|");
        nearest_try(nearest, word);
    } while (step(&list, word));
}

bool nearest_is_within(const struct nearest *nearest, size_t part) {
    return nearest->distance <= nearest->wanted.length / part;
}

void nearest_put(struct text *text, const struct nearest *nearest) {
    if (!nearest_is_within(nearest, 2))
        return;
    text_format(text, "; did you mean '");
    word_put(text, nearest->found);
    text_format(text, "'?");
}
