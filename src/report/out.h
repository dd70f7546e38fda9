/* Purpose: where a report goes: a buffer on the caller's stack that is written when it is full.
 * Owns:    nothing.
 * Locking: none; allocates nothing. After the first write that fails, the rest is dropped. */
#ifndef SLM_REPORT_OUT_H
#define SLM_REPORT_OUT_H

#include "base/format.h"

enum { OUT_BYTES = 2048, OUT_LINE_BYTES = 320 };

struct out {
    /* Writes all of the text; 0 or an error number. */
    int (*sink)(void *context, const struct text *text);
    void *context;
    int error; /* of the first write that failed, or 0 */
    struct text text;
    char bytes[OUT_BYTES];
};

/* A file descriptor. A pipe that nobody reads does not kill: EPIPE. */
void out_to_descriptor(struct out *out, int fd);
void out_to_sink(struct out *out, int (*sink)(void *context, const struct text *text),
                 void *context);

/* At most OUT_LINE_BYTES at once; see text_format. */
void out_format(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void out_text(struct out *out, const struct text *text);

/* Writes what is left. 0, or the error number of the first write that failed. */
int out_end(struct out *out);

#endif
