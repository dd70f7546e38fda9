/* Purpose: the formatter of format.h. */
#include "base/format.h"

#include <string.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct spec {
    bool left;
    bool is_size; /* the 'z' modifier */
    unsigned width;
    char kind;
};

static void put(struct text *text, char byte) {
    if (text->used < text->size)
        text->bytes[text->used++] = byte;
    else if (text->size > 0)
        text->bytes[text->size - 1] = '~';
}

static void put_padded(struct text *text, const struct spec *spec, const char *from, size_t n) {
    size_t pad = spec->width > n ? spec->width - n : 0;
    for (size_t i = 0; i < pad && !spec->left; i++)
        put(text, ' ');
    for (size_t i = 0; i < n; i++)
        put(text, from[i]);
    for (size_t i = 0; i < pad && spec->left; i++)
        put(text, ' ');
}

static void put_number(struct text *text, const struct spec *spec, uint64_t value, bool minus) {
    char digits[24];
    size_t at = sizeof digits;
    unsigned base = spec->kind == 'p' || spec->kind == 'x' ? 16 : 10;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (spec->kind == 'p') {
        digits[--at] = 'x';
        digits[--at] = '0';
    }
    if (minus)
        digits[--at] = '-';
    put_padded(text, spec, digits + at, sizeof digits - at);
}

static const char *parse(const char *format, struct spec *spec) {
    *spec = (struct spec){0};
    if (*format == '-') {
        spec->left = true;
        format++;
    }
    while (*format >= '0' && *format <= '9')
        spec->width = spec->width * 10 + (unsigned)(*format++ - '0');
    if (*format == 'z') {
        spec->is_size = true;
        format++;
    }
    spec->kind = *format;
    return format;
}

static size_t length_of(const char *string) {
    size_t n = 0;
    while (string[n] != 0)
        n++;
    return n;
}

void text_vformat(struct text *text, const char *format, va_list arguments) {
    for (; *format != 0; format++) {
        struct spec spec;
        if (*format != '%') {
            put(text, *format);
            continue;
        }
        format = parse(format + 1, &spec);
        switch (spec.kind) {
        case 's': {
            const char *string = va_arg(arguments, const char *);
            put_padded(text, &spec, string, length_of(string));
            break;
        }
        case 'c': {
            char byte = (char)va_arg(arguments, int);
            put_padded(text, &spec, &byte, 1);
            break;
        }
        case 'd': {
            int value = va_arg(arguments, int);
            uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
            put_number(text, &spec, magnitude, value < 0);
            break;
        }
        case 'u':
        case 'x':
            put_number(text, &spec,
                       spec.is_size ? va_arg(arguments, size_t) : va_arg(arguments, unsigned),
                       false);
            break;
        case 'p':
            put_number(text, &spec, (uintptr_t)va_arg(arguments, void *), false);
            break;
        case 0:
            return;
        default:
            put(text, spec.kind);
            break;
        }
    }
}

void text_format(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    text_vformat(text, format, arguments);
    va_end(arguments);
}

void text_expand(struct text *text, const char *words, const char *marks, const unsigned *values) {
    for (; *words != 0; words++) {
        const char *mark = words[0] == '%' && words[1] != 0 ? strchr(marks, words[1]) : NULL;
        if (mark != NULL) {
            text_format(text, "%u", values[mark - marks]);
            words++;
        } else {
            text_format(text, "%c", *words);
        }
    }
}
