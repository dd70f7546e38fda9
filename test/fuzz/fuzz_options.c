/* Purpose: fuzz target: an input is all that options are read from, and how much room there is for
 *          what is wrong with it: a byte for the room; then, each up to a zero byte, a setting of
 *          SLABMALLOC_OPTIONS, the program's own string, and variables SLABMALLOC_... as they
 *          stand.
 *
 * Protects: start-up with any environment (field cases A6, A14). The parser reads only the strings
 * and writes only the text; a complaint is a line that begins with our name, whatever the strings
 * hold; a value out of range is never set, and each is shown as text that gives it again; the same
 * strings again give the same. */
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

enum { VARIABLES_MAX = 8 };

/* What an input says. */
struct sources {
    char *program;
    char *environment[VARIABLES_MAX + 1];
};

/* The bytes up to the next zero byte behind a prefix: a block of its own, so that a sanitizer sees
 * a byte read too many. NULL: the input is at its end. */
static char *make_string(const char *prefix) {
    const uint8_t *bytes = input.bytes + input.at;
    size_t left = input.size - input.at;
    size_t size = strnlen((const char *)bytes, left);
    size_t before = strlen(prefix);
    if (left == 0)
        return NULL;
    char *string = malloc(before + size + 1);
    if (string == NULL)
        fuzz_fail("no memory for a string, which is no fault of the parser", NULL);
    memcpy(string, prefix, before);
    memcpy(string + before, bytes, size);
    string[before + size] = 0;
    input.at += size < left ? size + 1 : left;
    return string;
}

static void make_sources(struct sources *sources) {
    unsigned count = 0;
    *sources = (struct sources){0};
    char *string = make_string("SLABMALLOC_OPTIONS=");
    if (string != NULL)
        sources->environment[count++] = string;
    sources->program = make_string("");
    while (count < VARIABLES_MAX && (string = make_string("SLABMALLOC_")) != NULL)
        sources->environment[count++] = string;
}

static void free_sources(struct sources *sources) {
    free(sources->program);
    for (unsigned i = 0; i < VARIABLES_MAX; i++)
        free(sources->environment[i]);
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
static struct text parse(const struct sources *sources, char *bytes, size_t room) {
    struct text text = {bytes, 0, room};
    memset(bytes, GUARD, room + GUARD_BYTES);
    options_read(sources->program, sources->environment, &text);
    if (text.bytes != bytes || text.size != room || text.used > room)
        fuzz_fail("the text was exchanged or overflows", NULL);
    for (size_t i = text.used; i < room + GUARD_BYTES; i++)
        if (bytes[i] != GUARD)
            fuzz_fail("written behind what is used of the text", NULL);
    return text;
}

static void check_settings(void) {
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option_range *range = &option_table[i].range;
        uint64_t value = option_get((enum option)i);
        uint64_t again = ~value;
        TEXT(text, OPTION_PATH_BYTES);
        option_value_put(&text, range, value);
        if (!option_value_parse(range, (struct word){text.bytes, text.used}, &again) ||
            again != value)
            fuzz_fail("a setting out of its range", NULL);
        if (range->type != OPTION_TYPE_WORD && value != OPTION_UNLIMITED &&
            (value < range->least || value > range->most))
            fuzz_fail("a number out of its range", NULL);
        if (option_source((enum option)i) > OPTION_FROM_CALL)
            fuzz_fail("a setting from nowhere", NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static char first[ROOM_MAX + GUARD_BYTES], second[ROOM_MAX + GUARD_BYTES];
    input = (struct input){.bytes = bytes, .size = size};
    size_t room = take_byte();
    struct sources sources;
    make_sources(&sources);
    struct text whole = parse(&sources, first, ROOM_MAX);
    check_settings();
    if (whole.used < ROOM_MAX)
        check_lines(&whole);
    /* Again, with room for less: the same as far as it goes, and the cut is marked. */
    struct text part = parse(&sources, second, room);
    check_settings();
    if (whole.used <= room) {
        if (part.used != whole.used || memcmp(first, second, whole.used) != 0)
            fuzz_fail("the same string gives other complaints", NULL);
    } else if (room > 0 && (part.used != room || memcmp(first, second, room - 1) != 0 ||
                            second[room - 1] != '~')) {
        fuzz_fail("complaints that do not fit are cut wrongly", NULL);
    }
    free_sources(&sources);
    return 0;
}
