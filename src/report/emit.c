/* Purpose: emit.h. */
#include "report/emit.h"

#include "slabmalloc/slabmalloc.h"

enum { CELL_TEXT_BYTES = 64, JSON_FORMAT = 1 };

#define QUOTED_(n) #n
#define QUOTED(n) QUOTED_(n)
static const char version[] = QUOTED(SLABMALLOC_VERSION_MAJOR) "." QUOTED(
    SLABMALLOC_VERSION_MINOR) "." QUOTED(SLABMALLOC_VERSION_PATCH);

static uint64_t number_in(const struct column *column, const void *row) {
    return *(const uint64_t *)(const void *)((const char *)row + column->offset);
}

static const char *string_in(const struct column *column, const void *row) {
    return *(const char *const *)(const void *)((const char *)row + column->offset);
}

static void put_string(struct text *text, const char *string) {
    for (; *string != 0; string++) {
        unsigned char c = (unsigned char)*string;
        bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\' && c != '<' && c != '&';
        text_format(text, "%c", plain ? c : '?');
    }
}

static void put_grouped(struct text *text, uint64_t value) {
    TEXT(digits, 24);
    text_format(&digits, "%zu", (size_t)value);
    for (size_t i = 0; i < digits.used; i++) {
        if (i > 0 && (digits.used - i) % 3 == 0)
            text_format(text, ",");
        text_format(text, "%c", digits.bytes[i]);
    }
}

/* "9999 B", "12.3 MiB". */
static void put_scaled(struct text *text, uint64_t bytes) {
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 10000) {
        text_format(text, "%zu B", (size_t)bytes);
        return;
    }
    unsigned unit = 0;
    while (bytes >> 10 >= 10000) {
        bytes >>= 10;
        unit++;
    }
    uint64_t tenths = bytes * 10 >> 10;
    text_format(text, "%zu.%zu %s", (size_t)(tenths / 10), (size_t)(tenths % 10), units[unit]);
}

static void put_cell(struct text *text, const struct column *column, const void *row) {
    if (column->kind == CELL_STRING) {
        put_string(text, string_in(column, row));
        return;
    }
    uint64_t value = number_in(column, row);
    if (value == EMIT_UNKNOWN)
        text_format(text, "-");
    else if (column->kind == CELL_BYTES)
        put_scaled(text, value);
    else
        put_grouped(text, value);
    if (column->kind == CELL_PERCENT && value != EMIT_UNKNOWN)
        text_format(text, " %%");
}

/* --- text ------------------------------------------------------------------------------------- */

/* Strings to the left, figures to the right. */
static void put_padded(struct out *out, const struct column *column, const struct text *cell) {
    size_t pad = column->width > cell->used ? column->width - cell->used : 0;
    bool left = column->kind == CELL_STRING;
    for (size_t i = 0; i < pad && !left; i++)
        out_format(out, " ");
    out_text(out, cell);
    for (size_t i = 0; i < pad && left; i++)
        out_format(out, " ");
}

static void text_heading(struct emitter *emitter) {
    const struct table *table = emitter->table;
    if (table->title != NULL)
        out_format(emitter->out, table->title[0] != 0 ? "\n%s\n" : "\n%s", table->title);
    if (table->shape == TABLE_RECORD)
        return;
    for (unsigned i = 0; i < table->column_count; i++) {
        TEXT(cell, CELL_TEXT_BYTES);
        if (table->columns[i].heading == NULL)
            continue;
        text_format(&cell, "%s", table->columns[i].heading);
        put_padded(emitter->out, &table->columns[i], &cell);
    }
    out_format(emitter->out, "\n");
}

static void text_row(struct emitter *emitter, const void *row) {
    const struct table *table = emitter->table;
    bool record = table->shape == TABLE_RECORD;
    for (unsigned i = 0; i < table->column_count; i++) {
        TEXT(cell, CELL_TEXT_BYTES);
        if (table->columns[i].heading == NULL)
            continue;
        put_cell(&cell, &table->columns[i], row);
        if (record)
            out_format(emitter->out, "%-28s", table->columns[i].heading);
        put_padded(emitter->out, &table->columns[i], &cell);
        if (record)
            out_format(emitter->out, "\n");
    }
    if (!record)
        out_format(emitter->out, "\n");
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_heading(struct emitter *emitter) {
    static const char *const open[] = {"", " {", " ["};
    out_format(emitter->out, ",\n\"%s\":%s", emitter->table->name, open[emitter->table->shape]);
}

static void json_cell(struct out *out, const struct column *column, const void *row) {
    TEXT(cell, CELL_TEXT_BYTES);
    if (column->kind == CELL_STRING) {
        put_string(&cell, string_in(column, row));
        out_format(out, "\"%s\": \"", column->name);
        out_text(out, &cell);
        out_format(out, "\"");
    } else if (number_in(column, row) == EMIT_UNKNOWN) {
        out_format(out, "\"%s\": null", column->name);
    } else {
        out_format(out, "\"%s\": %zu", column->name, (size_t)number_in(column, row));
    }
}

static void json_row(struct emitter *emitter, const void *row) {
    const struct table *table = emitter->table;
    unsigned first = 0;
    out_format(emitter->out, table->shape == TABLE_RECORD ? " "
                             : emitter->has_rows          ? ",\n  "
                                                          : "\n  ");
    if (table->shape == TABLE_KEYED) {
        TEXT(key, CELL_TEXT_BYTES);
        put_string(&key, string_in(&table->columns[first++], row));
        out_format(emitter->out, "\"");
        out_text(emitter->out, &key);
        out_format(emitter->out, "\": ");
    }
    for (unsigned i = first; i < table->column_count; i++) {
        out_format(emitter->out, i == first ? "{" : ", ");
        json_cell(emitter->out, &table->columns[i], row);
    }
    out_format(emitter->out, "}");
}

static void json_table_end(struct emitter *emitter) {
    static const char *const close[] = {"", "}", "]"};
    out_format(emitter->out, "%s%s",
               emitter->has_rows && emitter->table->shape != TABLE_RECORD ? "\n" : "",
               close[emitter->table->shape]);
}

/* --- XML -------------------------------------------------------------------------------------- */

static void xml_row(struct emitter *emitter, const void *row) {
    const struct table *table = emitter->table;
    out_format(emitter->out, "<%s", table->element);
    for (unsigned i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        TEXT(cell, CELL_TEXT_BYTES);
        if (column->kind == CELL_STRING)
            put_string(&cell, string_in(column, row));
        else if (number_in(column, row) != EMIT_UNKNOWN)
            text_format(&cell, "%zu", (size_t)number_in(column, row));
        else
            continue;
        out_format(emitter->out, " %s=\"", column->name);
        out_text(emitter->out, &cell);
        out_format(emitter->out, "\"");
    }
    out_format(emitter->out, "/>\n");
}

/* ---------------------------------------------------------------------------------------------- */

void emit_begin(struct emitter *emitter, struct out *out, enum emit_format format) {
    *emitter = (struct emitter){out, format, NULL, false};
    if (format == EMIT_JSON)
        out_format(out, "{\n\"slabmalloc\": \"%s\",\n\"format\": %d", version, JSON_FORMAT);
}

void emit_end(struct emitter *emitter) {
    if (emitter->format == EMIT_JSON)
        out_format(emitter->out, "\n}\n");
}

void emit_table(struct emitter *emitter, const struct table *table) {
    emitter->table = table;
    emitter->has_rows = false;
    if (emitter->format == EMIT_TEXT)
        text_heading(emitter);
    else if (emitter->format == EMIT_JSON)
        json_heading(emitter);
}

void emit_row(struct emitter *emitter, const void *row) {
    if (emitter->format == EMIT_TEXT)
        text_row(emitter, row);
    else if (emitter->format == EMIT_JSON)
        json_row(emitter, row);
    else
        xml_row(emitter, row);
    emitter->has_rows = true;
}

void emit_table_end(struct emitter *emitter) {
    if (emitter->format == EMIT_JSON)
        json_table_end(emitter);
    emitter->table = NULL;
}

void emit_record(struct emitter *emitter, const struct table *table, const void *row) {
    emit_table(emitter, table);
    emit_row(emitter, row);
    emit_table_end(emitter);
}
