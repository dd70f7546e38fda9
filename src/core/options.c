/* Purpose: options.h. */
#include "core/options.h"

#include <errno.h>
#include <string.h>

char option_log_path[OPTION_PATH_BYTES];
char option_profile_path[OPTION_PATH_BYTES];

const struct option_entry option_table[OPTION_COUNT] = {
#define X(name, initial, when, range, help) {#name, initial, when, range, help},
    SLM_OPTIONS(X)
#undef X
};

const struct preset_entry preset_table[PRESET_COUNT] = {
#define X(name, row, purpose) {#name, row, purpose},
    SLM_PRESETS(X)
#undef X
};

uint64_t option_values[OPTION_COUNT] = {
#define X(name, initial, when, range, help) initial,
    SLM_OPTIONS(X)
#undef X
};

static uint8_t sources[OPTION_COUNT];

static const char prefix[] = "SLABMALLOC_";
enum { PREFIX = sizeof prefix - 1 };

static void store(enum option option, uint64_t value, enum option_source source) {
    store_relaxed(&option_values[option], value);
    store_relaxed(&sources[option], (uint8_t)source);
}

enum option_source option_source(enum option option) {
    return (enum option_source)load_relaxed(&sources[option]);
}

enum option option_find(struct word name) {
    unsigned i = 0;
    while (i < OPTION_COUNT && !word_is(name, option_table[i].name))
        i++;
    return (enum option)i;
}

int option_change(const char *name, const char *value, enum option *changed) {
    uint64_t parsed;
    enum option option = option_find((struct word){name, strlen(name)});
    if (option == OPTION_COUNT)
        return ENOENT;
    if (option_table[option].when == OPTION_FIXED)
        return EPERM;
    if (!option_value_parse(&option_table[option].range, (struct word){value, strlen(value)},
                            &parsed))
        return EINVAL;
    store(option, parsed, OPTION_FROM_CALL);
    *changed = option;
    return 0;
}

/* --- complaints ------------------------------------------------------------------------------- */

static struct nearest nearest_name(struct word name) {
    struct nearest nearest = nearest_to(name);
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        nearest_try(&nearest, (struct word){option_table[i].name, strlen(option_table[i].name)});
    return nearest;
}

static void complain_of_name(struct text *complaints, struct word name) {
    struct nearest nearest = nearest_name(name);
    text_format(complaints, "slabmalloc: there is no option '");
    word_put(complaints, name);
    text_format(complaints, "'");
    nearest_put(complaints, &nearest);
    text_format(complaints, "\n");
}

static void complain_of_value(struct text *complaints, enum option option, struct word value) {
    const struct option_range *range = &option_table[option].range;
    struct nearest nearest = nearest_to(value);
    option_range_try_nearest(range, &nearest);
    text_format(complaints, "slabmalloc: option %s takes ", option_table[option].name);
    option_range_put(complaints, range);
    text_format(complaints, ", not '");
    word_put(complaints, value);
    text_format(complaints, "'");
    nearest_put(complaints, &nearest);
    text_format(complaints, "\n");
}

/* --- one string ------------------------------------------------------------------------------- */

struct item {
    struct word name, value;
    bool has_value;
};

/* The next "name=value" of a string that `*at` walks through; false at its end. */
static bool next_item(const char **at, struct item *item) {
    const char *string = *at + strspn(*at, ",");
    if (*string == 0)
        return false;
    item->name = word_until(string, "=,");
    string += item->name.length;
    item->has_value = *string == '=';
    item->value = (struct word){string, 0};
    if (item->has_value) {
        item->value = word_until(string + 1, ",");
        string = item->value.start + item->value.length;
    }
    *at = string;
    return true;
}

/* Sets one option. The preset was applied before; what is told here is whether it is one. */
static void set(enum option option, struct word value, enum option_source source,
                struct text *complaints) {
    uint64_t parsed;
    if (!option_value_parse(&option_table[option].range, value, &parsed))
        complain_of_value(complaints, option, value);
    else if (option != OPTION_preset)
        store(option, parsed, source);
}

static bool set_all(const char *string, enum option_source source, struct text *complaints) {
    struct item item;
    bool help = false;
    while (next_item(&string, &item)) {
        enum option option = option_find(item.name);
        if (option != OPTION_COUNT)
            set(option, item.value, source, complaints);
        else if (word_is(item.name, "help") && !item.has_value)
            help = true;
        else
            complain_of_name(complaints, item.name);
    }
    return help;
}

/* --- presets ---------------------------------------------------------------------------------- */

struct choice {
    uint64_t preset;
    enum option_source source;
};

static void choose(struct choice *choice, struct word value, enum option_source source) {
    if (option_value_parse(&option_table[OPTION_preset].range, value, &choice->preset))
        choice->source = source;
}

static void choose_from(struct choice *choice, const char *string, enum option_source source) {
    struct item item;
    while (next_item(&string, &item))
        if (word_is(item.name, option_table[OPTION_preset].name))
            choose(choice, item.value, source);
}

/* Nothing happens if none was chosen. */
static void apply(const struct choice *choice, struct text *complaints) {
    if (choice->source == OPTION_FROM_DEFAULT)
        return;
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        store((enum option)i, option_table[i].initial, OPTION_FROM_DEFAULT);
    store(OPTION_preset, choice->preset, choice->source);
    set_all(preset_table[choice->preset].row, OPTION_FROM_PRESET, complaints);
}

bool options_parse(const char *string, struct text *complaints) {
    struct choice choice = {0, OPTION_FROM_DEFAULT};
    choose_from(&choice, string, OPTION_FROM_ENVIRONMENT);
    apply(&choice, complaints);
    return set_all(string, OPTION_FROM_ENVIRONMENT, complaints);
}

/* --- the environment -------------------------------------------------------------------------- */

/* The option that a variable "SLABMALLOC_<NAME>=..." is for; its name in lower case is put into
 * `name`, which stays empty for a variable that is not named like ours. OPTION_COUNT: none. */
enum { NAME_BYTES = 64 };

static enum option option_of_variable(const char *variable, struct text *name,
                                      struct word *value) {
    if (strncmp(variable, prefix, PREFIX) != 0)
        return OPTION_COUNT;
    struct word upper = word_until(variable + PREFIX, "=abcdefghijklmnopqrstuvwxyz");
    if (upper.length > name->size || upper.start[upper.length] != '=')
        return OPTION_COUNT;
    for (size_t i = 0; i < upper.length; i++) {
        char c = upper.start[i];
        name->bytes[name->used++] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    const char *start = upper.start + upper.length + 1;
    *value = (struct word){start, strlen(start)};
    return option_find((struct word){name->bytes, name->used});
}

static void put_variable(struct text *text, struct word name) {
    text_format(text, "%s", prefix);
    for (size_t i = 0; i < name.length; i++) {
        char c = name.start[i];
        char upper = c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
        word_put(text, (struct word){&upper, 1});
    }
}

/* Others may have variables that begin like ours (CMake's SLABMALLOC_ROOT does): only what is very
 * like one of ours is told. */
static void look_at_unknown(struct word name, struct text *complaints) {
    static const struct word all = {"options", 7};
    if (name.length == 0 || word_is(name, all.start))
        return;
    struct nearest nearest = nearest_name(name);
    nearest_try(&nearest, all);
    if (!nearest_is_within(&nearest, 4))
        return;
    text_format(complaints, "slabmalloc: there is no variable ");
    put_variable(complaints, name);
    text_format(complaints, "; did you mean ");
    put_variable(complaints, nearest.found);
    text_format(complaints, "?\n");
}

static void set_from_variables(char *const *environment, struct text *complaints) {
    uint8_t seen[OPTION_COUNT] = {0};
    for (; *environment != NULL; environment++) {
        struct word value;
        TEXT(name, NAME_BYTES);
        enum option option = option_of_variable(*environment, &name, &value);
        if (option == OPTION_COUNT)
            look_at_unknown((struct word){name.bytes, name.used}, complaints);
        else if (!seen[option]++) /* as getenv: of two by one name the first */
            set(option, value, OPTION_FROM_VARIABLE, complaints);
    }
}

static AT_START const char *find_variable(char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

AT_START bool options_read(const char *program, char *const *environment, struct text *complaints) {
    static char *const nothing[] = {NULL};
    struct choice choice = {0, OPTION_FROM_DEFAULT};
    if (environment == NULL)
        environment = nothing;
    const char *string = find_variable(environment, "SLABMALLOC_OPTIONS");
    const char *preset = find_variable(environment, "SLABMALLOC_PRESET");
    if (program != NULL)
        choose_from(&choice, program, OPTION_FROM_PROGRAM);
    if (string != NULL)
        choose_from(&choice, string, OPTION_FROM_ENVIRONMENT);
    if (preset != NULL)
        choose(&choice, (struct word){preset, strlen(preset)}, OPTION_FROM_VARIABLE);
    apply(&choice, complaints);
    if (program != NULL)
        set_all(program, OPTION_FROM_PROGRAM, complaints);
    bool help = string != NULL && set_all(string, OPTION_FROM_ENVIRONMENT, complaints);
    set_from_variables(environment, complaints);
    return help;
}
