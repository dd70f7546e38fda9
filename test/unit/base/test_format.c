/* Protects: the formatter of diagnoses and reports: every conversion against snprintf, widths, and
 * that text which does not fit is cut, marked, and never overflows. */
#include "../expect.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/format.h"

/* Formats both ways and compares. */
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char should[512];                                                                          \
        TEXT(text, 512);                                                                           \
        int length = snprintf(should, sizeof should, __VA_ARGS__);                                 \
        text_format(&text, __VA_ARGS__);                                                           \
        EXPECT_EQ(text.used, length);                                                              \
        cr_assert_arr_eq(text.bytes, should, text.used, "%s is \"%.*s\", not \"%s\"",              \
                         #__VA_ARGS__, (int)text.used, text.bytes, should);                        \
    } while (0)

Test(format, every_conversion_is_printf_s) {
    SAME("plain");
    SAME("%s|%s", "", "some words");
    SAME("%c%c%c", 'a', '~', 'z');
    SAME("100%%");
    SAME("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    SAME("%u %u", 0u, UINT_MAX);
    SAME("%zu %zu", (size_t)0, SIZE_MAX);
    SAME("%zx %zx %zx", (size_t)0, (size_t)0xdeadbeef, SIZE_MAX);
    SAME("%x", 0xabcdef12u);
    SAME("%p", (void *)0x7f3a10004560);
}

Test(format, a_null_pointer_is_0x0) {
    TEXT(text, 16);
    text_format(&text, "%p", NULL);
    EXPECT_EQ(text.used, 3);
    cr_assert_arr_eq(text.bytes, "0x0", 3);
}

Test(format, a_width_pads_on_the_left_or_after_a_minus_on_the_right) {
    SAME("[%8s][%-8s][%2s][%-2s]", "abc", "abc", "abc", "abc");
    SAME("[%4c][%-4c]", 'x', 'x');
    SAME("[%6d][%-6d][%6d][%3d]", 42, 42, -42, -12345);
    SAME("[%6u][%-6u][%12zu][%-12zu]", 7u, 7u, (size_t)123, (size_t)123);
    SAME("[%12zx][%-12zx][%20p][%-20p]", (size_t)0xabc, (size_t)0xabc, (void *)0x10, (void *)0x10);
    SAME("[%100s]", "far right");
}

Test(format, calls_append) {
    TEXT(text, 32);
    text_format(&text, "one ");
    text_format(&text, "%s", "two ");
    text_format(&text, "%d", 3);
    EXPECT_EQ(text.used, 9);
    cr_assert_arr_eq(text.bytes, "one two 3", 9);
}

Test(format, text_that_does_not_fit_is_cut_and_marked_at_every_size) {
    const char *line = "slabmalloc: 12345 -678 0xab abc";
    size_t length = strlen(line);
    for (size_t size = 0; size <= length + 2; size++) {
        char buffer[64];
        memset(buffer, '#', sizeof buffer);
        struct text text = {buffer, 0, size};
        text_format(&text, "%s: %d %d %p %c%s", "slabmalloc", 12345, -678, (void *)0xab, 'a', "bc");
        size_t kept = size < length ? size : length;
        EXPECT_EQ(text.used, kept);
        if (size >= length) {
            cr_assert_arr_eq(buffer, line, length);
        } else if (size > 0) {
            cr_assert_arr_eq(buffer, line, size - 1);
            EXPECT_AT(buffer[size - 1] == '~', size);
        }
        for (size_t i = size; i < sizeof buffer; i++)
            EXPECT_AT(buffer[i] == '#', size);
    }
}

Test(format, a_cut_text_stays_cut) {
    TEXT(text, 4);
    text_format(&text, "abcd");
    cr_assert_arr_eq(text.bytes, "abcd", 4);
    text_format(&text, "e");
    cr_assert_arr_eq(text.bytes, "abc~", 4);
    text_format(&text, "%d", 1);
    cr_assert_arr_eq(text.bytes, "abc~", 4);
    EXPECT_EQ(text.used, 4);
}

Test(format, errno_is_left_alone) {
    TEXT(text, 8);
    errno = 77;
    text_format(&text, "%s %zu", "too long for the text", SIZE_MAX);
    EXPECT_EQ(errno, 77);
}

Test(format, marks_are_expanded) {
    static const unsigned values[] = {12, 345};
    TEXT(text, 64);
    text_expand(&text, "a%p.%n%q%%p%", "pn", values);
    cr_assert_arr_eq(text.bytes, "a12.345%q%12%", 13);
    EXPECT_EQ(text.used, 13);
}
