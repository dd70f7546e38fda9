/* Purpose: tables of figures as aligned text, as JSON or as XML, from one description of each.
 * Owns:    nothing.
 * Locking: none; allocates nothing.
 *
 * A table is rows of columns; a column is a field of the row's struct. The caller hands the rows
 * over one at a time:
 *
 *           text                            JSON                         XML
 *   RECORD  heading     value, a line each  "name": {"a": 1, "b": 2}     <element a="1" b="2"/>
 *   KEYED   heading row, then a line each   "name": {"key": {...}, ...}  <element key="" a="1"/>...
 *   LIST    heading row, then a line each   "name": [{...}, ...]         <element a="1"/>...
 *
 * Any value is valid in each format: what is not printable ASCII, or has a meaning in one of them,
 * becomes '?' in strings. A figure that is not known (EMIT_UNKNOWN) is "-", null, no attribute. */
#ifndef SLM_REPORT_EMIT_H
#define SLM_REPORT_EMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "report/out.h"

enum emit_format { EMIT_TEXT, EMIT_JSON, EMIT_XML };

#define EMIT_UNKNOWN UINT64_MAX

enum cell_kind {
    CELL_COUNT,   /* 64 bits; text: 12,345,678 */
    CELL_BYTES,   /* 64 bits; text: 12.3 MiB */
    CELL_PERCENT, /* 64 bits; text: 12 % */
    CELL_STRING,  /* const char * */
};

enum table_shape { TABLE_RECORD, TABLE_KEYED, TABLE_LIST };

struct column {
    const char *name;    /* JSON and XML */
    const char *heading; /* text; NULL: not shown there */
    enum cell_kind kind;
    unsigned offset;     /* of the field in a row */
    unsigned width;      /* text: least width; strings to the left, figures to the right */
};

struct table {
    const char *name;    /* JSON */
    const char *title;   /* text: a line above; "": an empty one; NULL: none */
    const char *element; /* XML */
    enum table_shape shape;
    const struct column *columns; /* KEYED: the first is the key */
    unsigned column_count;
};

struct emitter {
    struct out *out;
    enum emit_format format;
    const struct table *table; /* being written */
    bool has_rows;
};

/* JSON: the outermost braces, with "slabmalloc" and "format", the version of what is inside. */
void emit_begin(struct emitter *emitter, struct out *out, enum emit_format format);
void emit_end(struct emitter *emitter);

/* Tables do not nest. */
void emit_table(struct emitter *emitter, const struct table *table);
void emit_row(struct emitter *emitter, const void *row);
void emit_table_end(struct emitter *emitter);

/* A table of one row. */
void emit_record(struct emitter *emitter, const struct table *table, const void *row);

#endif
