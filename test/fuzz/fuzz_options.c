/* Purpose: fuzz target: an input is a setting of SLABMALLOC_OPTIONS, and how much room there is for
 *          what is wrong with it.
 *
 * Protects: start-up with any environment (field cases A6, A14). The parser reads only the string
 * and writes only the text; a complaint is a line that begins with our name, whatever the string
 * holds; a value out of range is never set; the same string again gives the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/options.h"
#include "fuzz.h"

enum { ROOM_MAX = 8192, GUARD_BYTES = 32, GUARD = 0x5a };

struct input input;

void fuzz_fail(const char *what, const struct block *block) {
    (void)block;
    fprintf(stderr, "fuzz_options: %s: \"%.*s\"\n", what, (int)input.size, input.bytes);
    abort();
}

/* The string is a block of its own, so that a sanitizer sees a byte read too many. */
static char *make_string(const uint8_t *bytes, size_t size) {
    char *string = malloc(size + 1);
    if (string == NULL)
        fuzz_fail("no memory for the string, which is no fault of the parser", NULL);
    memcpy(string, bytes, size);
    string[size] = 0;
    return string;
}

static void check_lines(const struct text *text) {
    static const char prefix[] = "slabmalloc: ";
    const char *at = text->bytes, *end = text->bytes + text->used;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if ((size_t)(end - at) < sizeof prefix || memcmp(at, prefix, sizeof prefix - 1) != 0)
            fuzz_fail("a complaint that does not begin with our name", NULL);
        if (newline == NULL)
            fuzz_fail("a complaint without an end", NULL);
        for (; at < newline; at++)
            if ((unsigned char)*at < ' ' || *at == 0x7f)
                fuzz_fail("a control character in a complaint", NULL);
        at++;
    }
}

/* Parses into a text of exactly `room` bytes, guarded. */
static struct text parse(const char *string, char *bytes, size_t room) {
    struct text text = {bytes, 0, room};
    memset(bytes, GUARD, room + GUARD_BYTES);
    options_parse(string, &text);
    if (text.bytes != bytes || text.size != room || text.used > room)
        fuzz_fail("the text was exchanged or overflows", NULL);
    for (size_t i = text.used; i < room + GUARD_BYTES; i++)
        if (bytes[i] != GUARD)
            fuzz_fail("written behind what is used of the text", NULL);
    return text;
}

#ifdef SLM_OPTIONS
static void check_settings(void) {
    static const char *const values[OPTION_COUNT] = {
#define X(name, initial, values, help) values,
        SLM_OPTIONS(X)
#undef X
    };
    for (unsigned option = 0; option < OPTION_COUNT; option++) {
        unsigned count = 1;
        for (const char *at = values[option]; *at != 0; at++)
            count += *at == '|';
        if (option_get((enum option)option) >= count)
            fuzz_fail("a setting out of its range", NULL);
    }
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static char first[ROOM_MAX + GUARD_BYTES], second[ROOM_MAX + GUARD_BYTES];
    input = (struct input){.bytes = bytes, .size = size};
    size_t room = take_byte();
    char *string = make_string(bytes + input.at, size - input.at);
    struct text whole = parse(string, first, ROOM_MAX);
    check_settings();
    if (whole.used < ROOM_MAX)
        check_lines(&whole);
    /* Again, with room for less: the same as far as it goes, and the cut is marked. */
    struct text part = parse(string, second, room);
    check_settings();
    if (whole.used <= room) {
        if (part.used != whole.used || memcmp(first, second, whole.used) != 0)
            fuzz_fail("the same string gives other complaints", NULL);
    } else if (room > 0 && (part.used != room || memcmp(first, second, room - 1) != 0 ||
                            second[room - 1] != '~')) {
        fuzz_fail("complaints that do not fit are cut wrongly", NULL);
    }
    free(string);
    return 0;
}
