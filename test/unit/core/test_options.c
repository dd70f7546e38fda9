/* Protects: the options' sources: what is right is set, what is wrong is told, a line each, with
 * the nearest name, and changes nothing; which source overrides which; presets. */
#include "../expect.h"

#include <errno.h>
#include <string.h>

#include "core/options.h"

/* Parses and compares the complaints. */
static void compare(const struct text *text, const char *string, const char *complaints) {
    cr_assert(text->used == strlen(complaints) && memcmp(text->bytes, complaints, text->used) == 0,
              "\"%s\" says \"%.*s\", not \"%s\"", string, (int)text->used, text->bytes, complaints);
}

static void parse(const char *string, const char *complaints) {
    TEXT(text, 1024);
    EXPECT(!options_parse(string, &text));
    compare(&text, string, complaints);
}

/* The same for the program's string and up to five variables. */
struct sources {
    const char *program;
    const char *variables[6];
};

static void read_all(const struct sources *sources, const char *complaints) {
    char *environment[6];
    TEXT(text, 1024);
    memcpy(environment, sources->variables, sizeof environment);
    EXPECT(!options_read(sources->program, environment, &text));
    compare(&text, "the environment", complaints);
}

Test(options, have_defaults) {
    EXPECT_EQ(option_get(OPTION_stats), STATS_NONE);
    EXPECT_EQ(option_get(OPTION_on_error), ON_ERROR_ABORT);
}

Test(options, each_value_has_its_word) {
    parse("on_error=report", "");
    EXPECT_EQ(option_get(OPTION_on_error), ON_ERROR_REPORT);
    parse("on_error=ignore", "");
    EXPECT_EQ(option_get(OPTION_on_error), ON_ERROR_IGNORE);
    parse("on_error=abort", "");
    EXPECT_EQ(option_get(OPTION_on_error), ON_ERROR_ABORT);
}

Test(options, a_valid_value_is_set) {
    parse("stats=exit", "");
    EXPECT_EQ(option_get(OPTION_stats), STATS_EXIT);
    parse("stats=none", "");
    EXPECT_EQ(option_get(OPTION_stats), STATS_NONE);
}

Test(options, nothing_is_nothing) {
    parse("", "");
    parse(",", "");
    parse(",,,,", "");
    EXPECT_EQ(option_get(OPTION_stats), STATS_NONE);
}

Test(options, commas_too_many_are_harmless) {
    parse(",stats=exit,", "");
    EXPECT_EQ(option_get(OPTION_stats), STATS_EXIT);
    parse(",,stats=none,,", "");
    EXPECT_EQ(option_get(OPTION_stats), STATS_NONE);
}

Test(options, the_last_setting_holds) {
    parse("stats=none,stats=exit", "");
    EXPECT_EQ(option_get(OPTION_stats), STATS_EXIT);
}

Test(options, an_unknown_name_is_told) {
    parse("statistics=exit",
          "slabmalloc: there is no option 'statistics'; did you mean 'stats'?\n");
    parse("stat=exit", "slabmalloc: there is no option 'stat'; did you mean 'stats'?\n");
    parse("Stats=exit", "slabmalloc: there is no option 'Stats'; did you mean 'stats'?\n");
    parse(" stats=exit", "slabmalloc: there is no option ' stats'; did you mean 'stats'?\n");
    parse("nonsense", "slabmalloc: there is no option 'nonsense'\n");
    EXPECT_EQ(option_get(OPTION_stats), STATS_NONE);
}

Test(options, a_bad_value_is_told) {
    parse("stats=exit", "");
    parse("stats=never", "slabmalloc: option stats takes none|exit, not 'never'\n");
    parse("stats=exi",
          "slabmalloc: option stats takes none|exit, not 'exi'; did you mean 'exit'?\n");
    parse("stats=exitt",
          "slabmalloc: option stats takes none|exit, not 'exitt'; did you mean 'exit'?\n");
    parse("stats=none|exit", "slabmalloc: option stats takes none|exit, not 'none|exit'\n");
    parse("stats=", "slabmalloc: option stats takes none|exit, not ''\n");
    parse("stats", "slabmalloc: option stats takes none|exit, not ''\n");
    parse("stats==none",
          "slabmalloc: option stats takes none|exit, not '=none'; did you mean 'none'?\n");
    EXPECT_EQ(option_get(OPTION_stats), STATS_EXIT);
}

Test(options, what_is_right_is_set_beside_what_is_wrong) {
    parse("a=1,stats=exit,b=,stats=x", "slabmalloc: there is no option 'a'\n"
                                       "slabmalloc: there is no option 'b'\n"
                                       "slabmalloc: option stats takes none|exit, not 'x'\n");
    EXPECT_EQ(option_get(OPTION_stats), STATS_EXIT);
}

Test(options, control_characters_are_not_repeated) {
    parse("a\nslabmalloc: b=1", "slabmalloc: there is no option 'a?slabmalloc: b'\n");
    parse("stats=\033[31m\177", "slabmalloc: option stats takes none|exit, not '?[31m?'\n");
}

Test(options, complaints_that_do_not_fit_are_cut) {
    TEXT(text, 16);
    options_parse("nonsense=1,more=2", &text);
    EXPECT_EQ(text.used, 16);
    EXPECT_EQ(text.bytes[15], '~');
}

Test(options, help_is_asked_for_by_its_word_alone) {
    TEXT(text, 256);
    EXPECT(options_parse("help", &text));
    EXPECT(options_parse("stats=exit,help,on_error=report", &text));
    EXPECT_EQ(option_get(OPTION_on_error), ON_ERROR_REPORT);
    EXPECT_EQ(text.used, 0);
    parse("help=", "slabmalloc: there is no option 'help'\n");
    parse("helpp", "slabmalloc: there is no option 'helpp'\n");
}

/* --- sources ---------------------------------------------------------------------------------- */

static void expect_source(enum option option, uint64_t value, enum option_source source) {
    EXPECT_AT(option_get(option) == value, option);
    EXPECT_AT(option_source(option) == source, option);
}

Test(options, no_source_leaves_the_defaults) {
    TEXT(text, 64);
    EXPECT(!options_read(NULL, NULL, &text));
    read_all(&(struct sources){NULL, {"PATH=/bin", "slabmalloc_options=stats=exit", "S=1"}}, "");
    EXPECT_EQ(text.used, 0);
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        expect_source((enum option)i, option_table[i].initial, OPTION_FROM_DEFAULT);
}

Test(options, each_source_overrides_the_one_before) {
    struct sources sources = {"purge_delay=1", {NULL}};
    read_all(&sources, "");
    expect_source(OPTION_purge_delay, 1, OPTION_FROM_PROGRAM);
    sources.variables[0] = "SLABMALLOC_OPTIONS=purge_delay=2";
    read_all(&sources, "");
    expect_source(OPTION_purge_delay, 2, OPTION_FROM_ENVIRONMENT);
    sources.variables[1] = sources.variables[0]; /* wherever the variables stand */
    sources.variables[0] = "SLABMALLOC_PURGE_DELAY=3";
    read_all(&sources, "");
    expect_source(OPTION_purge_delay, 3, OPTION_FROM_VARIABLE);
    enum option changed;
    EXPECT_EQ(option_change("purge_delay", "4s", &changed), 0);
    EXPECT_EQ(changed, OPTION_purge_delay);
    expect_source(OPTION_purge_delay, 4000, OPTION_FROM_CALL);
}

Test(options, each_source_sets_what_the_others_leave) {
    read_all(&(struct sources){"on_error=ignore",
                               {"SLABMALLOC_LARGE_CACHE=1M", "SLABMALLOC_OPTIONS=purge_delay=7"}},
             "");
    expect_source(OPTION_on_error, ON_ERROR_IGNORE, OPTION_FROM_PROGRAM);
    expect_source(OPTION_purge_delay, 7, OPTION_FROM_ENVIRONMENT);
    expect_source(OPTION_large_cache, 1 << 20, OPTION_FROM_VARIABLE);
    expect_source(OPTION_stats, STATS_NONE, OPTION_FROM_DEFAULT);
}

Test(options, of_two_variables_by_one_name_the_first_holds) {
    read_all(&(struct sources){NULL,
                               {"SLABMALLOC_PURGE_DELAY=1", "SLABMALLOC_PURGE_DELAY=2",
                                "SLABMALLOC_OPTIONS=large_cache=1",
                                "SLABMALLOC_OPTIONS=large_cache=2"}},
             "");
    EXPECT_EQ(option_get(OPTION_purge_delay), 1);
    EXPECT_EQ(option_get(OPTION_large_cache), 1);
}

Test(options, a_bad_value_leaves_the_source_before) {
    read_all(&(struct sources){"purge_delay=1",
                               {"SLABMALLOC_OPTIONS=purge_delay=x", "SLABMALLOC_PURGE_DELAY="}},
             "slabmalloc: option purge_delay takes milliseconds from 0 to 86400000, or never, "
             "not 'x'\n"
             "slabmalloc: option purge_delay takes milliseconds from 0 to 86400000, or never, "
             "not ''\n");
    expect_source(OPTION_purge_delay, 1, OPTION_FROM_PROGRAM);
}

Test(options, a_variable_almost_named_like_ours_is_told) {
    read_all(&(struct sources){NULL,
                               {"SLABMALLOC_PURGEDELAY=1", "SLABMALLOC_OPTION=stats=exit",
                                "SLABMALLOC_ON_EROR=report"}},
             "slabmalloc: there is no variable SLABMALLOC_PURGEDELAY; did you mean "
             "SLABMALLOC_PURGE_DELAY?\n"
             "slabmalloc: there is no variable SLABMALLOC_OPTION; did you mean "
             "SLABMALLOC_OPTIONS?\n"
             "slabmalloc: there is no variable SLABMALLOC_ON_EROR; did you mean "
             "SLABMALLOC_ON_ERROR?\n");
}

Test(options, variables_of_others_are_none_of_our_business) {
    read_all(&(struct sources){NULL,
                               {"SLABMALLOC_ROOT=/usr", "SLABMALLOC_DIR=/usr", "SLABMALLOC_=1",
                                "SLABMALLOC_stats=exit", "SLABMALLOC_STATS"}},
             "");
    expect_source(OPTION_stats, STATS_NONE, OPTION_FROM_DEFAULT);
    char long_name[300] = "SLABMALLOC_";
    memset(long_name + 11, 'A', 200);
    strcat(long_name, "=1");
    read_all(&(struct sources){NULL, {long_name}}, "");
}

/* --- presets ---------------------------------------------------------------------------------- */

Test(options, each_preset_is_a_row_of_options) {
    for (unsigned i = 0; i < PRESET_COUNT; i++) {
        TEXT(string, 64);
        text_format(&string, "preset=%s", preset_table[i].name);
        string.bytes[string.used] = 0;
        parse(string.bytes, "");
        expect_source(OPTION_preset, i, OPTION_FROM_ENVIRONMENT);
        size_t set = 0;
        for (unsigned k = 0; k < OPTION_COUNT; k++)
            set += option_source((enum option)k) == OPTION_FROM_PRESET;
        const char *row = preset_table[i].row;
        size_t named = row[0] != 0;
        for (; *row != 0; row++)
            named += *row == ',';
        EXPECT_EQ(set, named);
    }
}

Test(options, a_preset_sets_its_row) {
    parse("preset=memory", "");
    expect_source(OPTION_purge_delay, 0, OPTION_FROM_PRESET);
    expect_source(OPTION_large_cache, 0, OPTION_FROM_PRESET);
    expect_source(OPTION_on_error, ON_ERROR_ABORT, OPTION_FROM_DEFAULT);
    parse("preset=speed", "");
    EXPECT(option_get(OPTION_purge_delay) > option_table[OPTION_purge_delay].initial);
    EXPECT(option_get(OPTION_large_cache) > option_table[OPTION_large_cache].initial);
    parse("preset=default", "");
    expect_source(OPTION_purge_delay, option_table[OPTION_purge_delay].initial,
                  OPTION_FROM_DEFAULT);
}

Test(options, single_values_override_the_preset_wherever_they_stand) {
    parse("purge_delay=5,preset=memory", "");
    EXPECT_EQ(option_get(OPTION_purge_delay), 5);
    EXPECT_EQ(option_get(OPTION_large_cache), 0);
    parse("preset=memory,purge_delay=6", "");
    EXPECT_EQ(option_get(OPTION_purge_delay), 6);
    read_all(&(struct sources){"purge_delay=7", {"SLABMALLOC_PRESET=memory"}}, "");
    expect_source(OPTION_preset, PRESET_memory, OPTION_FROM_VARIABLE);
    expect_source(OPTION_purge_delay, 7, OPTION_FROM_PROGRAM);
    expect_source(OPTION_large_cache, 0, OPTION_FROM_PRESET);
}

Test(options, one_preset_is_applied_the_last_source_names_it) {
    read_all(&(struct sources){"preset=speed", {"SLABMALLOC_OPTIONS=preset=speed,preset=memory"}},
             "");
    expect_source(OPTION_preset, PRESET_memory, OPTION_FROM_ENVIRONMENT);
    EXPECT_EQ(option_get(OPTION_purge_delay), 0);
    read_all(&(struct sources){"preset=memory",
                               {"SLABMALLOC_OPTIONS=preset=memory", "SLABMALLOC_PRESET=default"}},
             "");
    expect_source(OPTION_preset, PRESET_default, OPTION_FROM_VARIABLE);
    expect_source(OPTION_large_cache, LARGE_CACHE_MIN_BYTES, OPTION_FROM_DEFAULT);
}

Test(options, a_preset_that_is_none_is_told_and_ignored) {
    read_all(&(struct sources){"preset=memory", {"SLABMALLOC_OPTIONS=preset=sped"}},
             "slabmalloc: option preset takes default|speed|memory|hardened|debug, not "
             "'sped'; did you mean 'speed'?\n");
    expect_source(OPTION_preset, PRESET_memory, OPTION_FROM_PROGRAM);
}

/* --- changes ---------------------------------------------------------------------------------- */

Test(options, changes_are_refused_by_name_value_and_time) {
    enum option changed = OPTION_COUNT;
    EXPECT_EQ(option_change("purge_dela", "1", &changed), ENOENT);
    EXPECT_EQ(option_change("", "1", &changed), ENOENT);
    EXPECT_EQ(option_change("purge_delay", "x", &changed), EINVAL);
    EXPECT_EQ(option_change("preset", "speed", &changed), EPERM);
    EXPECT_EQ(option_change("stats_signal", "nonsense", &changed), EPERM);
    EXPECT_EQ(changed, OPTION_COUNT);
    expect_source(OPTION_purge_delay, option_table[OPTION_purge_delay].initial,
                  OPTION_FROM_DEFAULT);
}

Test(options, defaults_are_values_of_their_ranges) {
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_entry *entry = &option_table[i];
        uint64_t value = ~entry->initial;
        TEXT(text, 64);
        option_value_put(&text, &entry->range, entry->initial);
        EXPECT_AT(option_value_parse(&entry->range, (struct word){text.bytes, text.used}, &value),
                  i);
        EXPECT_AT(value == entry->initial, i);
    }
}

Test(options, the_time_before_which_memory_goes_back) {
    parse("purge_delay=100", "");
    EXPECT_EQ(option_purge_before(1000), 901);
    EXPECT_EQ(option_purge_before(99), 0);
    EXPECT_EQ(option_purge_before(100), 1);
    parse("purge_delay=0", "");
    EXPECT_EQ(option_purge_before(1000), 1001); /* what was freed just now, too */
    parse("purge_delay=never", "");
    EXPECT_EQ(option_purge_before(UINT64_MAX / 2), 0);
}
