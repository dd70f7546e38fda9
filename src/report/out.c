/* Purpose: out.h. */
#include "report/out.h"

#include <string.h>

#include "base/fatal.h"

static int to_descriptor(void *context, const struct text *text) {
    return text_write_unread(text, (int)(long)context);
}

void out_to_sink(struct out *out, int (*sink)(void *context, const struct text *text),
                 void *context) {
    out->sink = sink;
    out->context = context;
    out->error = 0;
    out->text = (struct text){out->bytes, 0, sizeof out->bytes};
}

void out_to_descriptor(struct out *out, int fd) {
    out_to_sink(out, to_descriptor, (void *)(long)fd);
}

int out_end(struct out *out) {
    if (out->error == 0 && out->text.used > 0)
        out->error = out->sink(out->context, &out->text);
    out->text.used = 0;
    return out->error;
}

void out_text(struct out *out, const struct text *text) {
    if (text->used > out->text.size - out->text.used)
        out_end(out);
    memcpy(out->text.bytes + out->text.used, text->bytes, text->used);
    out->text.used += text->used;
}

void out_format(struct out *out, const char *format, ...) {
    TEXT(line, OUT_LINE_BYTES);
    va_list arguments;
    va_start(arguments, format);
    text_vformat(&line, format, arguments);
    va_end(arguments);
    out_text(out, &line);
}
