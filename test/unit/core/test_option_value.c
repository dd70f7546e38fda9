/* Protects: each type of option: what is a value of it and what is not, at the bounds of ranges and
 * of 64 bits; that every value is shown as text that gives the value again. */
#include "../expect.h"

#include <signal.h>
#include <string.h>

#include "core/option_value.h"

static struct word word(const char *string) { return (struct word){string, strlen(string)}; }

/* The value that is read, and shown as `shown` says. */
static void expect(const struct option_range *range, const char *string, uint64_t value,
                   const char *shown) {
    uint64_t parsed = ~value;
    TEXT(text, 64);
    cr_assert(option_value_parse(range, word(string), &parsed), "'%s' is refused", string);
    cr_assert(parsed == value, "'%s' is %zu", string, (size_t)parsed);
    option_value_put(&text, range, value);
    cr_assert(text.used == strlen(shown) && memcmp(text.bytes, shown, text.used) == 0,
              "'%s' is shown as '%.*s'", string, (int)text.used, text.bytes);
    parsed = ~value;
    EXPECT(option_value_parse(range, word(shown), &parsed) && parsed == value);
}

static void expect_refused(const struct option_range *range, const char *string) {
    uint64_t parsed = 4711;
    cr_assert(!option_value_parse(range, word(string), &parsed), "'%s' is %zu", string,
              (size_t)parsed);
    EXPECT_EQ(parsed, 4711);
}

static void expect_range(const struct option_range *range, const char *shown) {
    TEXT(text, 128);
    option_range_put(&text, range);
    cr_assert(text.used == strlen(shown) && memcmp(text.bytes, shown, text.used) == 0,
              "'%.*s'", (int)text.used, text.bytes);
}

Test(option_value, a_word_is_one_of_the_list) {
    static const struct option_range range = OPTION_WORDS("abort|report|ignore");
    expect(&range, "abort", 0, "abort");
    expect(&range, "report", 1, "report");
    expect(&range, "ignore", 2, "ignore");
    static const char *const wrong[] = {"",       "abor",         "abortt", "ABORT",
                                        " abort", "abort|report", "0"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&range, wrong[i]);
    expect_range(&range, "abort|report|ignore");
}

Test(option_value, a_boolean_has_four_words_for_each) {
    static const struct option_range range = OPTION_BOOLEAN;
    static const char *const no[] = {"no", "off", "false", "0"};
    static const char *const yes[] = {"yes", "on", "true", "1"};
    for (size_t i = 0; i < 4; i++) {
        expect(&range, no[i], 0, "off");
        expect(&range, yes[i], 1, "on");
    }
    static const char *const wrong[] = {"", "2", "00", "y", "n", "yess", "no|off", "-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&range, wrong[i]);
    expect_range(&range, "off|on");
}

Test(option_value, a_count_is_digits_in_its_range) {
    static const struct option_range range = OPTION_COUNT_OF(2, 100, NULL);
    expect(&range, "2", 2, "2");
    expect(&range, "100", 100, "100");
    expect(&range, "0042", 42, "42");
    static const char *const wrong[] = {"",   "1",   "101", "-5",  "+5", " 5",   "5 ",
                                        "5x", "5.0", "0x5", "5K",  "K",  "5ms",  "unlimited",
                                        "18446744073709551618"}; /* 2^64 + 2 */
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&range, wrong[i]);
    expect_range(&range, "a number from 2 to 100");
}

Test(option_value, sixty_four_bits_are_the_end) {
    static const struct option_range range = OPTION_COUNT_OF(0, UINT64_MAX, NULL);
    expect(&range, "18446744073709551615", UINT64_MAX, "18446744073709551615");
    expect(&range, "0", 0, "0");
    expect_refused(&range, "18446744073709551616");
    expect_refused(&range, "99999999999999999999999999999999999999999999999999");
}

Test(option_value, bytes_have_units) {
    static const struct option_range range = OPTION_BYTES(0, (uint64_t)1 << 46, NULL);
    expect(&range, "0", 0, "0");
    expect(&range, "1000", 1000, "1000");
    expect(&range, "1K", 1024, "1K");
    expect(&range, "1024k", 1 << 20, "1M");
    expect(&range, "3m", 3 << 20, "3M");
    expect(&range, "1536K", 1536 << 10, "1536K");
    expect(&range, "5G", (uint64_t)5 << 30, "5G");
    expect(&range, "64T", (uint64_t)1 << 46, "64T");
    expect(&range, "0T", 0, "0");
    static const char *const wrong[] = {"65T", "70368744177665", "1KB", "1KiB", "K", "1 K", "1KK",
                                        "1E",  "18446744073709551615K", "16777216T", "-1K", "1.5G"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&range, wrong[i]);
    expect_range(&range, "bytes (K, M, G, T) from 0 to 64T");
}

Test(option_value, milliseconds_may_be_seconds_or_never) {
    static const struct option_range range = OPTION_MILLISECONDS(0, 86400000, "never");
    expect(&range, "0", 0, "0");
    expect(&range, "250", 250, "250");
    expect(&range, "250ms", 250, "250");
    expect(&range, "10s", 10000, "10000");
    expect(&range, "86400s", 86400000, "86400000");
    expect(&range, "never", OPTION_UNLIMITED, "never");
    static const char *const wrong[] = {"86400001", "86401s", "1m",   "neve",
                                        "nevers",   "s",      "ms",   "1sms",
                                        "18446744073709551615", "18446744073709552s"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&range, wrong[i]);
    expect_range(&range, "milliseconds from 0 to 86400000, or never");
    static const struct option_range bounded = OPTION_MILLISECONDS(0, 10, NULL);
    expect_refused(&bounded, "never");
}

Test(option_value, a_signal_is_a_name_or_a_number) {
    static const struct option_range range = OPTION_SIGNAL;
    expect(&range, "SIGUSR2", SIGUSR2, "SIGUSR2");
    expect(&range, "USR2", SIGUSR2, "SIGUSR2");
    expect(&range, "12", SIGUSR2, "SIGUSR2");
    expect(&range, "SIGPWR", SIGPWR, "SIGPWR");
    expect(&range, "none", 0, "none");
    expect(&range, "0", 0, "none");
    expect(&range, "34", 34, "34");
    expect(&range, "64", 64, "64");
    /* What no handler may be given to, what libc uses itself, what is none. */
    static const char *const wrong[] = {"SIGKILL", "9",  "SIGSEGV", "11", "SIGABRT", "6", "SIGSTOP",
                                        "32",      "33", "65",      "-1", "012",     "",  "sigusr2",
                                        "SIG",     "SIGUSR"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&range, wrong[i]);
    expect_range(&range, "a signal's name or number, or none");
}

Test(option_value, a_set_is_some_words_of_a_list) {
    static const struct option_range range = OPTION_SET("map|unmap|purge");
    expect(&range, "none", 0, "none");
    expect(&range, "map", 1, "map");
    expect(&range, "purge", 4, "purge");
    expect(&range, "purge+map", 5, "map+purge");
    expect(&range, "map+map", 1, "map");
    expect(&range, "all", 7, "all");
    expect(&range, "map+unmap+purge", OPTION_ALL_OF(3), "all");
    static const char *const wrong[] = {"",     "+",    "map+", "+map",     "map++purge", "maps",
                                        "0",    "7",    "MAP",  "map purge", "map|unmap",
                                        "all+map", "none+map"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&range, wrong[i]);
    expect_range(&range, "all, none, or some of map|unmap|purge joined by +");
}

Test(option_value, a_path_is_kept) {
    static char kept[OPTION_PATH_BYTES], longest[OPTION_PATH_BYTES], longer[OPTION_PATH_BYTES + 1];
    static const struct option_range range = OPTION_PATH("stderr", kept);
    uint64_t value;
    memset(longest, 'x', sizeof longest - 1);
    memset(longer, 'x', sizeof longer - 1);
    expect(&range, "none", 0, "none");
    expect(&range, "/tmp/a log %p+1", 15, "/tmp/a log %p+1");
    EXPECT_EQ(strcmp(kept, "/tmp/a log %p+1"), 0);
    EXPECT(option_value_parse(&range, word(longest), &value) && value == sizeof longest - 1);
    expect(&range, "stderr", 6, "stderr");
    expect_refused(&range, longer);
    static const char *const wrong[] = {"", "a\nb", "\033[m", "\177"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_refused(&range, wrong[i]);
    EXPECT_EQ(strcmp(kept, "stderr"), 0); /* as it was */
    expect_range(&range, "a path, or stderr, or none");
}

static void expect_nearest(const struct option_range *range, const char *wanted,
                           const char *found) {
    struct nearest nearest = nearest_to(word(wanted));
    option_range_try_nearest(range, &nearest);
    cr_assert(word_is(nearest.found, found), "'%s' is like '%.*s'", wanted,
              (int)nearest.found.length, nearest.found.start);
}

Test(option_value, the_nearest_value_is_found_where_values_are_words) {
    static const struct option_range words = OPTION_WORDS("abort|report|ignore");
    static const struct option_range boolean = OPTION_BOOLEAN;
    static const struct option_range time = OPTION_MILLISECONDS(0, 10, "never");
    static const struct option_range number = OPTION_COUNT_OF(0, 10, NULL);
    static const struct option_range signal = OPTION_SIGNAL;
    expect_nearest(&words, "raport", "report");
    expect_nearest(&boolean, "flase", "false");
    expect_nearest(&boolean, "yse", "yes");
    expect_nearest(&time, "nevr", "never");
    expect_nearest(&number, "nevr", "");
    expect_nearest(&signal, "SIGUSER2", "SIGUSR2");
    expect_nearest(&signal, "nome", "none");
}
