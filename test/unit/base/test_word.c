/* Protects: words of other people's strings: found, compared, shown without control characters; the
 * nearest of those that were possible. */
#include "../expect.h"

#include <string.h>

#include "base/word.h"

static struct word word(const char *string) { return (struct word){string, strlen(string)}; }

Test(word, ends_at_a_stop_or_at_the_end) {
    EXPECT_EQ(word_until("abc=d", "=,").length, 3);
    EXPECT_EQ(word_until("abc", "=,").length, 3);
    EXPECT_EQ(word_until("=abc", "=,").length, 0);
    EXPECT_EQ(word_until("", "=,").length, 0);
}

Test(word, is_a_string_if_all_of_it_is) {
    EXPECT(word_is(word("stats"), "stats"));
    EXPECT(!word_is(word("stat"), "stats"));
    EXPECT(!word_is(word("statss"), "stats"));
    EXPECT(!word_is((struct word){"stats", 0}, "stats"));
    EXPECT(word_is((struct word){"stats=exit", 5}, "stats"));
    EXPECT(word_is((struct word){"x", 0}, ""));
}

Test(word, has_a_place_in_a_list) {
    EXPECT_EQ(word_index(word("a"), "a|bc|d"), 0);
    EXPECT_EQ(word_index(word("bc"), "a|bc|d"), 1);
    EXPECT_EQ(word_index(word("d"), "a|bc|d"), 2);
    EXPECT(word_index(word("b"), "a|bc|d") == -1);
    EXPECT(word_index(word("a|bc"), "a|bc|d") == -1);
    EXPECT(word_index(word(""), "a|bc|d") == -1);
    EXPECT_EQ(word_index(word(""), "|ms"), 0);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_AT(word_index(word_at("a|bc|d", i), "a|bc|d") == (int)i, i);
}

Test(word, is_shown_without_control_characters) {
    TEXT(text, 32);
    word_put(&text, (struct word){"a\n\033\177\200z", 6});
    EXPECT_EQ(text.used, 6);
    EXPECT(memcmp(text.bytes, "a???\200z", 6) == 0);
}

Test(word, distances_are_edits) {
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},          {"", "abc", 3},          {"abc", "abc", 0},
        {"abc", "abd", 1},    {"abc", "ab", 1},        {"abc", "xabc", 1},
        {"abc", "acb", 1},    {"ab", "ba", 1},         {"kitten", "sitting", 3},
        {"ca", "abc", 3},     {"preset", "persets", 2}, {"abcdef", "badcfe", 3},
        {"statistics", "stats", 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_AT(word_distance(word(cases[i].a), word(cases[i].b)) == cases[i].distance, i);
        EXPECT_AT(word_distance(word(cases[i].b), word(cases[i].a)) == cases[i].distance, i);
    }
}

Test(word, distances_of_long_words_are_not_counted) {
    char longest[WORD_DISTANCE_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    EXPECT_EQ(word_distance(word(longest), word("x")), SIZE_MAX);
    EXPECT_EQ(word_distance(word("x"), word(longest)), SIZE_MAX);
    longest[WORD_DISTANCE_MAX] = 0;
    EXPECT_EQ(word_distance(word(longest), word("")), WORD_DISTANCE_MAX);
    EXPECT_EQ(word_distance(word(""), word(longest)), WORD_DISTANCE_MAX);
}

static void expect_nearest(const char *wanted, const char *list, const char *text_expected) {
    TEXT(text, 64);
    struct nearest nearest = nearest_to(word(wanted));
    nearest_try_list(&nearest, list);
    nearest_put(&text, &nearest);
    cr_assert(text.used == strlen(text_expected) &&
                  memcmp(text.bytes, text_expected, text.used) == 0,
              "'%s' gives '%.*s'", wanted, (int)text.used, text.bytes);
}

Test(word, the_nearest_is_named_if_it_is_like_it) {
    expect_nearest("repotr", "abort|report|ignore", "; did you mean 'report'?");
    expect_nearest("igno", "abort|report|ignore", "; did you mean 'ignore'?");
    expect_nearest("xyz", "abort|report|ignore", "");
    expect_nearest("", "abort|report|ignore", "");
    expect_nearest("z", "abort|report|ignore", "");
}
