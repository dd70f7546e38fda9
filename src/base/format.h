/* Purpose: formatting without allocation, locale or errno: the text of diagnoses and reports.
 * Owns:    nothing; a `struct text` is the caller's buffer and how much of it is used.
 *
 * Text that does not fit is cut and the last character becomes '~'; nothing overflows. */
#ifndef SLM_BASE_FORMAT_H
#define SLM_BASE_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

struct text {
    char *bytes;
    size_t used;
    size_t size;
};

/* A text on the stack: `TEXT(line, 256);` */
#define TEXT(name, bytes_max)                                                                     \
    char name##_buffer[bytes_max];                                                                \
    struct text name = {name##_buffer, 0, sizeof name##_buffer}

/* Understood: %s %c %% %d (int) %u (unsigned) %zu (size_t) %zx %p (0x...), each with an optional
 * minimum width that pads with spaces on the left, or on the right after '-' (%-12s, %8zu). */
void text_format(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void text_vformat(struct text *text, const char *format, va_list arguments);

/* Appends `words`; where these have % and one of the letters of `marks`, the number at that
 * letter's place in `values`. */
void text_expand(struct text *text, const char *words, const char *marks, const unsigned *values);

/* What "%zu byte%s" ends with: "s", but for one. */
static inline const char *plural(size_t count) { return count == 1 ? "" : "s"; }

#endif
