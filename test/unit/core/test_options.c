/* Protects: the parser of SLABMALLOC_OPTIONS: what is right is set, what is wrong is told, a line
 * each, and changes nothing. */
#include "../expect.h"

#include <string.h>

#include "core/options.h"

/* Parses and compares the complaints. */
static void parse(const char *string, const char *complaints) {
    TEXT(text, 1024);
    options_parse(string, &text);
    cr_assert(text.used == strlen(complaints) && memcmp(text.bytes, complaints, text.used) == 0,
              "\"%s\" says \"%.*s\", not \"%s\"", string, (int)text.used, text.bytes, complaints);
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
    parse("statistics=exit", "slabmalloc: there is no option 'statistics'\n");
    parse("stat=exit", "slabmalloc: there is no option 'stat'\n");
    parse("Stats=exit", "slabmalloc: there is no option 'Stats'\n");
    parse(" stats=exit", "slabmalloc: there is no option ' stats'\n");
    parse("nonsense", "slabmalloc: there is no option 'nonsense'\n");
    EXPECT_EQ(option_get(OPTION_stats), STATS_NONE);
}

Test(options, a_bad_value_is_told) {
    parse("stats=exit", "");
    parse("stats=never", "slabmalloc: option stats takes none|exit, not 'never'\n");
    parse("stats=exi", "slabmalloc: option stats takes none|exit, not 'exi'\n");
    parse("stats=exitt", "slabmalloc: option stats takes none|exit, not 'exitt'\n");
    parse("stats=none|exit", "slabmalloc: option stats takes none|exit, not 'none|exit'\n");
    parse("stats=", "slabmalloc: option stats takes none|exit, not ''\n");
    parse("stats", "slabmalloc: option stats takes none|exit, not ''\n");
    parse("stats==none", "slabmalloc: option stats takes none|exit, not '=none'\n");
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

Test(options, help_names_every_option_on_a_line) {
    TEXT(text, 4096);
    options_help(&text);
    unsigned lines = 0;
    for (size_t i = 0; i < text.used; i++)
        lines += text.bytes[i] == '\n';
    EXPECT_EQ(lines, OPTION_COUNT);
    EXPECT(memmem(text.bytes, text.used, "on_error", 8) == text.bytes);
    EXPECT(memmem(text.bytes, text.used, "\nstats", 6) != NULL);
    EXPECT(memmem(text.bytes, text.used, "none|exit", 9) != NULL);
}
