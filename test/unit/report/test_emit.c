/* Protects: one description of a table gives text, JSON and XML; any string and any number is valid
 * in each; what is written goes out in order and whole, in pieces that fit the buffer, and nothing
 * more after the first failure. */
#include "../expect.h"

#include <errno.h>
#include <string.h>

#include "report/emit.h"

struct row {
    const char *name;
    uint64_t count, bytes, percent, hidden;
};

static const struct column columns[] = {
    {"name", "name", CELL_STRING, offsetof(struct row, name), 8},
    {"count", "count", CELL_COUNT, offsetof(struct row, count), 12},
    {"bytes", "bytes", CELL_BYTES, offsetof(struct row, bytes), 12},
    {"percent", "full", CELL_PERCENT, offsetof(struct row, percent), 8},
    {"hidden", NULL, CELL_COUNT, offsetof(struct row, hidden), 0},
};
#define TABLE_OF(shape) {"things", "Things:", "thing", shape, columns, 5}
static const struct table record = TABLE_OF(TABLE_RECORD);
static const struct table keyed = TABLE_OF(TABLE_KEYED);
static const struct table list = TABLE_OF(TABLE_LIST);

static const struct row rows[] = {
    {"plain", 1234567, 12345678, 50, 1},
    {"a\"b\\c<d&e\n\x01\xff", 0, 0, 0, 0},
    {"", UINT64_MAX - 1, UINT64_MAX - 1, 100, 7},
    {"unknown", EMIT_UNKNOWN, EMIT_UNKNOWN, EMIT_UNKNOWN, EMIT_UNKNOWN},
};

static struct {
    char bytes[100000];
    size_t used, writes, fail_from;
} page;

static int to_page(void *context, const struct text *text) {
    (void)context;
    if (page.writes++ >= page.fail_from)
        return ENOSPC;
    EXPECT(page.used + text->used < sizeof page.bytes && text->used > 0);
    memcpy(page.bytes + page.used, text->bytes, text->used);
    page.used += text->used;
    page.bytes[page.used] = 0;
    return 0;
}

static void clear_page(void) {
    memset(&page, 0, sizeof page);
    page.fail_from = SIZE_MAX;
}

static const char *emit(const struct table *table, enum emit_format format, size_t count) {
    struct out out;
    struct emitter emitter;
    clear_page();
    out_to_sink(&out, to_page, NULL);
    emit_begin(&emitter, &out, format);
    if (table->shape == TABLE_RECORD) {
        emit_record(&emitter, table, &rows[count]);
    } else {
        emit_table(&emitter, table);
        for (size_t i = 0; i < count; i++)
            emit_row(&emitter, &rows[i]);
        emit_table_end(&emitter);
    }
    emit_end(&emitter);
    EXPECT_EQ(out_end(&out), 0);
    return page.bytes;
}

static void expect_text(const char *is, const char *should) {
    if (strcmp(is, should) != 0)
        cr_assert_fail("is:\n%s\nshould be:\n%s", is, should);
}

#define JSON_HEAD "{\n\"slabmalloc\": \"0.1.0\",\n\"format\": 1,\n\"things\":"
#define JSON_ROWS(key1, key2, key3, key4)                                                          \
    "  " key1 "\"count\": 1234567, \"bytes\": 12345678, \"percent\": 50, \"hidden\": 1},\n"        \
    "  " key2 "\"count\": 0, \"bytes\": 0, \"percent\": 0, \"hidden\": 0},\n"                      \
    "  " key3 "\"count\": 18446744073709551614, \"bytes\": 18446744073709551614, "                 \
    "\"percent\": 100, \"hidden\": 7},\n"                                                          \
    "  " key4 "\"count\": null, \"bytes\": null, \"percent\": null, \"hidden\": null}\n"

Test(emit, json) {
    expect_text(emit(&list, EMIT_JSON, 4),
                JSON_HEAD " [\n" JSON_ROWS("{\"name\": \"plain\", ",
                                           "{\"name\": \"a?b?c?d?e???\", ", "{\"name\": \"\", ",
                                           "{\"name\": \"unknown\", ") "]\n}\n");
    expect_text(emit(&keyed, EMIT_JSON, 4),
                JSON_HEAD " {\n" JSON_ROWS("\"plain\": {", "\"a?b?c?d?e???\": {", "\"\": {",
                                           "\"unknown\": {") "}\n}\n");
    expect_text(emit(&record, EMIT_JSON, 0),
                JSON_HEAD " {\"name\": \"plain\", \"count\": 1234567, \"bytes\": 12345678, "
                          "\"percent\": 50, \"hidden\": 1}\n}\n");
    expect_text(emit(&list, EMIT_JSON, 0), JSON_HEAD " []\n}\n");
    expect_text(emit(&keyed, EMIT_JSON, 0), JSON_HEAD " {}\n}\n");
}

Test(emit, xml) {
    expect_text(emit(&list, EMIT_XML, 4),
                "<thing name=\"plain\" count=\"1234567\" bytes=\"12345678\" percent=\"50\" "
                "hidden=\"1\"/>\n"
                "<thing name=\"a?b?c?d?e???\" count=\"0\" bytes=\"0\" percent=\"0\" "
                "hidden=\"0\"/>\n"
                "<thing name=\"\" count=\"18446744073709551614\" "
                "bytes=\"18446744073709551614\" percent=\"100\" hidden=\"7\"/>\n"
                "<thing name=\"unknown\"/>\n");
}

Test(emit, text) {
    expect_text(emit(&list, EMIT_TEXT, 4),
                "\nThings:\n"
                "name           count       bytes    full\n"
                "plain      1,234,567    11.7 MiB    50 %\n"
                "a?b?c?d?e???           0         0 B     0 %\n"
                "        18,446,744,073,709,551,614    15.9 EiB   100 %\n"
                "unknown            -           -       -\n");
    expect_text(emit(&record, EMIT_TEXT, 0),
                "\nThings:\n"
                "name                        plain   \n"
                "count                          1,234,567\n"
                "bytes                           11.7 MiB\n"
                "full                            50 %\n");
}

Test(emit, bytes_are_scaled_at_ten_thousand) {
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {9999, "9999 B"},
                 {10000, "9.7 KiB"},
                 {10240, "10.0 KiB"},
                 {(uint64_t)10000 << 10, "9.7 MiB"},
                 {((uint64_t)10000 << 10) - 1, "9999.9 KiB"},
                 {(uint64_t)3 << 40, "3072.0 GiB"}};
    static const struct column one = {"bytes", "", CELL_BYTES, 0, 0};
    static const struct table table = {"t", NULL, "t", TABLE_RECORD, &one, 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct out out;
        struct emitter emitter;
        clear_page();
        out_to_sink(&out, to_page, NULL);
        emit_begin(&emitter, &out, EMIT_TEXT);
        emit_record(&emitter, &table, &cases[i].bytes);
        out_end(&out);
        char *line = page.bytes + strspn(page.bytes, " ");
        line[strcspn(line, "\n")] = 0;
        expect_text(line, cases[i].text);
    }
}

Test(out, is_whole_and_in_order) {
    struct out out;
    size_t total = 0;
    clear_page();
    out_to_sink(&out, to_page, NULL);
    for (unsigned i = 0; i < 9000; i++)
        out_format(&out, "%u,", i);
    EXPECT_EQ(out_end(&out), 0);
    const char *at = page.bytes;
    for (unsigned i = 0; i < 9000; i++) {
        char *end;
        EXPECT_AT(strtoul(at, &end, 10) == i && *end == ',', i);
        at = end + 1;
    }
    total = (size_t)(at - page.bytes);
    EXPECT_EQ(total, page.used);
    EXPECT(page.writes <= page.used / (OUT_BYTES - OUT_LINE_BYTES) + 1);
    EXPECT_EQ(out_end(&out), 0);
}

Test(out, writes_nothing_after_a_failure) {
    struct out out;
    clear_page();
    page.fail_from = 2;
    out_to_sink(&out, to_page, NULL);
    for (unsigned i = 0; i < 9000; i++)
        out_format(&out, "%u,", i);
    EXPECT_EQ(out.error, ENOSPC);
    EXPECT_EQ(out_end(&out), ENOSPC);
    EXPECT_EQ(page.writes, 3);
}
