/* Purpose: options.h. */
#include "core/options.h"

#include <stdbool.h>
#include <string.h>

#include "base/atomic.h"

static const struct {
    const char *name;
    unsigned initial;
    const char *values;
    const char *help;
} table[OPTION_COUNT] = {
#define X(name, initial, values, help) {#name, initial, values, help},
    SLM_OPTIONS(X)
#undef X
};

static unsigned settings[OPTION_COUNT] = {
#define X(name, initial, values, help) initial,
    SLM_OPTIONS(X)
#undef X
};

unsigned option_get(enum option option) { return load_relaxed(&settings[option]); }

/* A piece of a string that ends at any of `stops` or at the string's end. */
struct word {
    const char *start;
    size_t length;
};

static struct word next_word(const char *string, const char *stops) {
    return (struct word){string, strcspn(string, stops)};
}

static int is_word(struct word word, const char *string, size_t length) {
    return word.length == length && memcmp(word.start, string, length) == 0;
}

/* Without control characters, which could forge lines or drive a terminal. */
static void put_word(struct text *text, struct word word) {
    for (size_t i = 0; i < word.length; i++) {
        bool control = (unsigned char)word.start[i] < ' ' || word.start[i] == 0x7f;
        text_format(text, "%c", control ? '?' : word.start[i]);
    }
}

/* The index of `value` in "a|b|c", or -1. */
static int index_of(struct word value, const char *values) {
    for (int index = 0;; index++) {
        struct word candidate = next_word(values, "|");
        if (is_word(value, candidate.start, candidate.length))
            return index;
        values += candidate.length;
        if (*values++ == 0)
            return -1;
    }
}

static void set(struct word name, struct word value, struct text *complaints) {
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (!is_word(name, table[i].name, strlen(table[i].name)))
            continue;
        int index = index_of(value, table[i].values);
        if (index >= 0) {
            store_relaxed(&settings[i], (unsigned)index);
            return;
        }
        text_format(complaints, "slabmalloc: option %s takes %s, not '", table[i].name,
                    table[i].values);
        put_word(complaints, value);
        text_format(complaints, "'\n");
        return;
    }
    text_format(complaints, "slabmalloc: there is no option '");
    put_word(complaints, name);
    text_format(complaints, "'\n");
}

void options_parse(const char *string, struct text *complaints) {
    while (*string != 0) {
        struct word name = next_word(string, "=,");
        string += name.length;
        struct word value = {string, 0};
        if (*string == '=') {
            value = next_word(string + 1, ",");
            string = value.start + value.length;
        }
        if (name.length > 0)
            set(name, value, complaints);
        if (*string == ',')
            string++;
    }
}

void options_help(struct text *text) {
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        text_format(text, "%-16s %-20s %s\n", table[i].name, table[i].values, table[i].help);
}
