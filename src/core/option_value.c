/* Purpose: option_value.h. */
#include "core/option_value.h"

#include <string.h>

#include "core/signals.h"

/* --- numbers ---------------------------------------------------------------------------------- */

struct unit {
    const char *names; /* in any of these forms, "a|b" */
    uint64_t factor;
};

static const struct unit no_units[] = {{"", 1}, {NULL, 0}};
static const struct unit byte_units[] = {
    {"", 1},
    {"K|k", (uint64_t)1 << 10},
    {"M|m", (uint64_t)1 << 20},
    {"G|g", (uint64_t)1 << 30},
    {"T|t", (uint64_t)1 << 40},
    {NULL, 0},
};
static const struct unit time_units[] = {{"|ms", 1}, {"s", 1000}, {NULL, 0}};

static const struct unit *units_of(enum option_type type) {
    return type == OPTION_TYPE_BYTES          ? byte_units
           : type == OPTION_TYPE_MILLISECONDS ? time_units
                                              : no_units;
}

/* Digits, then a unit; false also for what 64 bits do not hold. */
static bool parse_number(struct word word, const struct unit *units, uint64_t *number) {
    uint64_t sum = 0;
    size_t i = 0;
    for (; i < word.length && word.start[i] >= '0' && word.start[i] <= '9'; i++) {
        unsigned digit = (unsigned)(word.start[i] - '0');
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, digit, &sum))
            return false;
    }
    if (i == 0)
        return false;
    struct word unit = {word.start + i, word.length - i};
    for (; units->names != NULL; units++)
        if (word_index(unit, units->names) >= 0)
            return !__builtin_mul_overflow(sum, units->factor, number);
    return false;
}

static bool parse_in_range(const struct option_range *range, struct word word, uint64_t *value) {
    uint64_t number;
    if (range->words != NULL && word_is(word, range->words)) {
        *value = OPTION_UNLIMITED;
        return true;
    }
    if (!parse_number(word, units_of(range->type), &number) || number < range->least ||
        number > range->most)
        return false;
    *value = number;
    return true;
}

static void put_bytes(struct text *text, uint64_t bytes) {
    static const char letters[] = "KMGT";
    unsigned unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit < sizeof letters - 1) {
        bytes /= 1024;
        unit++;
    }
    text_format(text, "%zu", (size_t)bytes);
    if (unit > 0)
        text_format(text, "%c", letters[unit - 1]);
}

static void put_number(struct text *text, const struct option_range *range, uint64_t number) {
    if (range->type == OPTION_TYPE_BYTES)
        put_bytes(text, number);
    else
        text_format(text, "%zu", (size_t)number);
}

/* --- words ------------------------------------------------------------------------------------ */

static const char *const boolean_words[] = {"off|no|false|0", "on|yes|true|1"};

static bool parse_boolean(struct word word, uint64_t *value) {
    for (unsigned i = 0; i < 2; i++) {
        if (word_index(word, boolean_words[i]) >= 0) {
            *value = i;
            return true;
        }
    }
    return false;
}

static bool parse_signal(struct word word, uint64_t *value) {
    bool is_none = word_index(word, "none|0") >= 0;
    unsigned number = signal_by_name(word);
    if (is_none || number != 0)
        *value = number;
    return is_none || number != 0;
}

/* --- sets and paths --------------------------------------------------------------------------- */

static unsigned count_words(const char *list) {
    unsigned count = 1;
    for (; *list != 0; list++)
        count += *list == '|';
    return count;
}

static bool parse_set(const char *words, struct word word, uint64_t *value) {
    uint64_t set = 0;
    if (word_is(word, "all") || word_is(word, "none")) {
        *value = word_is(word, "all") ? OPTION_ALL_OF(count_words(words)) : 0;
        return true;
    }
    for (size_t from = 0; from <= word.length;) {
        struct word one = {word.start + from, 0};
        while (from + one.length < word.length && one.start[one.length] != '+')
            one.length++;
        int index = word_index(one, words);
        if (index < 0)
            return false;
        set |= (uint64_t)1 << index;
        from += one.length + 1;
    }
    *value = set;
    return true;
}

static void put_set(struct text *text, const char *words, uint64_t set) {
    unsigned count = count_words(words);
    if (set == 0 || set == OPTION_ALL_OF(count)) {
        text_format(text, set == 0 ? "none" : "all");
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!(set & (uint64_t)1 << i))
            continue;
        word_put(text, word_at(words, i));
        set &= ~((uint64_t)1 << i);
        if (set != 0)
            text_format(text, "+");
    }
}

/* What could not be shown again as it is, is no path. */
static bool parse_path(const struct option_range *range, struct word word, uint64_t *value) {
    if (word_is(word, "none")) {
        *value = 0;
        return true;
    }
    if (word.length == 0 || word.length > range->most)
        return false;
    for (size_t i = 0; i < word.length; i++)
        if ((unsigned char)word.start[i] < ' ' || word.start[i] == 0x7f)
            return false;
    memmove(range->kept, word.start, word.length);
    range->kept[word.length] = 0;
    *value = word.length;
    return true;
}

bool option_value_parse(const struct option_range *range, struct word word, uint64_t *value) {
    int index;
    switch (range->type) {
    case OPTION_TYPE_WORD:
        index = word_index(word, range->words);
        if (index >= 0)
            *value = (uint64_t)index;
        return index >= 0;
    case OPTION_TYPE_BOOLEAN:
        return parse_boolean(word, value);
    case OPTION_TYPE_SIGNAL:
        return parse_signal(word, value);
    case OPTION_TYPE_SET:
        return parse_set(range->words, word, value);
    case OPTION_TYPE_PATH:
        return parse_path(range, word, value);
    default:
        return parse_in_range(range, word, value);
    }
}

void option_value_put(struct text *text, const struct option_range *range, uint64_t value) {
    switch (range->type) {
    case OPTION_TYPE_WORD:
        word_put(text, word_at(range->words, (unsigned)value));
        break;
    case OPTION_TYPE_BOOLEAN:
        word_put(text, word_at(boolean_words[value != 0], 0));
        break;
    case OPTION_TYPE_SIGNAL:
        if (value == 0)
            text_format(text, "none");
        else
            signal_put(text, (unsigned)value);
        break;
    case OPTION_TYPE_SET:
        put_set(text, range->words, value);
        break;
    case OPTION_TYPE_PATH:
        text_format(text, "%s", value == 0 ? "none" : range->kept);
        break;
    default:
        if (value == OPTION_UNLIMITED && range->words != NULL)
            text_format(text, "%s", range->words);
        else
            put_number(text, range, value);
        break;
    }
}

void option_range_put(struct text *text, const struct option_range *range) {
    switch (range->type) {
    case OPTION_TYPE_WORD:
        text_format(text, "%s", range->words);
        return;
    case OPTION_TYPE_BOOLEAN:
        text_format(text, "off|on");
        return;
    case OPTION_TYPE_SIGNAL:
        text_format(text, "a signal's name or number, or none");
        return;
    case OPTION_TYPE_SET:
        text_format(text, "all, none, or some of %s joined by +", range->words);
        return;
    case OPTION_TYPE_PATH:
        text_format(text, "a path, or %s, or none", range->words);
        return;
    case OPTION_TYPE_BYTES:
        text_format(text, "bytes (K, M, G, T) from ");
        break;
    case OPTION_TYPE_MILLISECONDS:
        text_format(text, "milliseconds from ");
        break;
    default:
        text_format(text, "a number from ");
        break;
    }
    put_number(text, range, range->least);
    text_format(text, " to ");
    put_number(text, range, range->most);
    if (range->words != NULL)
        text_format(text, ", or %s", range->words);
}

void option_range_try_nearest(const struct option_range *range, struct nearest *nearest) {
    if (range->type == OPTION_TYPE_SIGNAL) {
        nearest_try_list(nearest, "none");
        signal_try_nearest(nearest);
    } else if (range->type == OPTION_TYPE_BOOLEAN) {
        nearest_try_list(nearest, boolean_words[0]);
        nearest_try_list(nearest, boolean_words[1]);
    } else if (range->type == OPTION_TYPE_SET) {
        nearest_try_list(nearest, "all|none");
        nearest_try_list(nearest, range->words);
    } else if (range->words != NULL) {
        nearest_try_list(nearest, range->words);
    }
}
