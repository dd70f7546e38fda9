/* Protects: the tables that unwinding reads: a function's entry is found in all shapes that
 * compilers give it, and others are refused; where tables are damaged or cut off, nothing is read
 * outside of them, nor outside of the stack that they are about. */
#include "../expect.h"

#if defined(__x86_64__)

#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "os/object.h"
#include "os/unwind_table.h"
#include "unwind_look.h"

/* --- tables ----------------------------------------------------------------------------------- */

struct tables {
    uintptr_t start, end; /* from .eh_frame_hdr to the end of .eh_frame */
    unsigned count;       /* of functions */
    uintptr_t functions[64];
};

static int32_t number_at(uintptr_t address) {
    int32_t number;
    memcpy(&number, (const void *)address, sizeof number);
    return number;
}

static struct tables tables_of(const void *inside) {
    struct os_object object;
    struct tables tables = {0};
    EXPECT(os_object_find((uintptr_t)inside, &object));
    tables.start = (uintptr_t)object.unwind_header;
    tables.count = (unsigned)number_at(tables.start + 8);
    EXPECT(tables.count > 4 && tables.count <= 64);
    for (unsigned i = 0; i < tables.count; i++)
        tables.functions[i] = tables.start + (uintptr_t)number_at(tables.start + 12 + i * 8);
    uintptr_t entry = tables.start + 4 + (uintptr_t)number_at(tables.start + 4);
    EXPECT(entry > tables.start);
    while (number_at(entry) != 0)
        entry += 4 + (uintptr_t)number_at(entry);
    tables.end = entry + 4;
    return tables;
}

static bool is_in(const struct bytes *bytes, const struct os_object *object) {
    return (uintptr_t)bytes->at >= object->start && bytes->at <= bytes->end &&
           (uintptr_t)bytes->end <= object->end;
}

/* All functions of the copy, at `shift` from where the original is. */
static unsigned find_all(const struct os_object *object, const struct tables *tables,
                         uintptr_t shift) {
    struct unwind_entry entry;
    unsigned found = 0;
    for (unsigned i = 0; i < tables->count; i++)
        for (unsigned behind = 0; behind < 2; behind++) {
            uintptr_t code = tables->functions[i] + shift + behind * 3;
            if (!unwind_find(object, code, &entry))
                continue;
            found++;
            EXPECT_AT(is_in(&entry.first, object) && is_in(&entry.own, object), i);
            EXPECT_AT(code - entry.start < entry.length, i);
        }
    return found;
}

/* Some bytes of anything, and in each second round a run of one: a number without end, states
 * remembered and recalled without end. */
static void damage(unsigned char *bytes, size_t count, unsigned round, uint64_t *seed) {
    static const unsigned char runs[] = {0xff, 0x80, 0, 0x7f, 0x0a, 0x0b};
    for (size_t i = 0; i <= round % 20; i++)
        bytes[random_below(seed, count)] = (unsigned char)random_next(seed);
    size_t length = random_below(seed, 40), at = random_below(seed, count - length);
    if (round % 2 == 0)
        memset(bytes + at, runs[round / 2 % sizeof runs], length);
}

static void damage_copies(uintptr_t at, const struct tables *tables) {
    size_t bytes = tables->end - tables->start;
    unsigned char *copy = (unsigned char *)at;
    const void *original = (const void *)tables->start;
    struct os_object object = {at, at + bytes, NULL, copy};
    uintptr_t shift = at - tables->start;
    uint64_t seed = 6;
    memcpy(copy, original, bytes);
    EXPECT_EQ(find_all(&object, tables, shift), tables->count * 2);
    for (size_t i = 0; i < bytes; i++) {
        static const unsigned char masks[] = {0xff, 0x80, 0x40, 0x01, 0x10, 0x7f};
        unsigned char kept = copy[i];
        for (unsigned k = 0; k < sizeof masks + 2; k++) {
            copy[i] = k < sizeof masks ? kept ^ masks[k] : k == sizeof masks ? 0 : 0xff;
            find_all(&object, tables, shift);
        }
        copy[i] = kept;
    }
    for (unsigned round = 0; round < 20000; round++) {
        memcpy(copy, original, bytes);
        damage(copy, bytes, round, &seed);
        find_all(&object, tables, shift);
    }
    memcpy(copy, original, bytes);
    for (size_t shorter = 0; shorter < bytes; shorter++) { /* its end is cut off */
        object.end = object.start + shorter;
        find_all(&object, tables, shift);
    }
}

Test(unwind, finds_nothing_outside_of_damaged_tables, .init = set_up, .timeout = 120) {
    struct tables tables = tables_of(load_scenes());
    size_t bytes = tables.end - tables.start;
    size_t room = round_up(bytes, os_page_bytes);
    uintptr_t map = (uintptr_t)guarded(room);
    damage_copies(map, &tables);
    damage_copies(map + room - bytes, &tables);
}

/* The same, cut off by a page that can't be read rather than by a number alone. */
Test(unwind, reads_nothing_behind_tables, .init = set_up) {
    struct tables tables = tables_of(load_scenes());
    size_t bytes = tables.end - tables.start;
    size_t room = round_up(bytes, os_page_bytes);
    uintptr_t end = (uintptr_t)guarded(room) + room;
    for (size_t shorter = 0; shorter <= bytes; shorter++) {
        uintptr_t at = end - shorter;
        struct os_object object = {at, end, NULL, (const uint8_t *)at};
        memcpy((void *)at, (const void *)tables.start, shorter);
        unsigned found = find_all(&object, &tables, at - tables.start);
        EXPECT_AT(shorter < 12 ? found == 0 : found <= tables.count * 2, shorter);
    }
}

/* Registers, and a stack between pages that can't be touched, of anything. */
static void run_damaged(const struct tables *tables, uint64_t *words, size_t count,
                        uint64_t *seed) {
    uintptr_t start = (uintptr_t)words, end = start + count * 8;
    for (unsigned i = 0; i < tables->count; i++) {
        struct os_frame frame = {.known = 0xffff, .is_careful = i % 2 == 0};
        for (unsigned k = 0; k < 16; k++)
            frame.registers[k] = start - 64 + random_below(seed, count * 8 + 128);
        frame.registers[7] =
            start + RED_ZONE_BYTES + random_below(seed, count - RED_ZONE_BYTES / 8) * 8;
        frame.code = tables->functions[i] + random_below(seed, 80);
        frame.is_exact = true;
        words[random_below(seed, count)] = tables->functions[i] + random_below(seed, 80);
        uintptr_t before = os_frame_stack(&frame);
        for (; os_unwind(&frame, end) == UNWOUND; before = os_frame_stack(&frame))
            EXPECT_AT(os_frame_stack(&frame) > before, i);
    }
}

/* In place: the loader's own way leads to them. */
Test(unwind, survives_damaged_instructions, .init = set_up, .timeout = 120) {
    enum { WORDS = 2048 };
    struct tables tables = tables_of(load_scenes());
    size_t bytes = tables.end - tables.start;
    uintptr_t page = round_down(tables.start, os_page_bytes);
    uint64_t *words = (uint64_t *)(void *)guarded(WORDS * 8);
    unsigned char *live = (unsigned char *)tables.start;
    unsigned char kept[64 << 10];
    size_t first = 12 + tables.count * 8; /* behind the sorted table */
    uint64_t seed = 7;
    EXPECT(bytes <= sizeof kept);
    memcpy(kept, live, bytes);
    EXPECT_EQ(mprotect((void *)page, tables.end - page, PROT_READ | PROT_WRITE), 0);
    for (size_t i = first; i < bytes; i++) {
        for (unsigned k = 0; k < 8; k++) {
            live[i] = (unsigned char)random_next(&seed);
            run_damaged(&tables, words, WORDS, &seed);
        }
        live[i] = kept[i];
    }
    for (unsigned round = 0; round < 20000; round++) {
        damage(live + first, bytes - first, round, &seed);
        run_damaged(&tables, words, WORDS, &seed);
        memcpy(live, kept, bytes);
    }
}

/* --- tables made by hand ---------------------------------------------------------------------- */

/* A header of two functions, [0x1000, 0x1010) and [0x2000, 0x2020) from it on, a common entry, and
 * theirs. */
struct made {
    unsigned char bytes[256];
    size_t used;
    size_t common; /* where it is */
};

/* What may be otherwise. */
struct shape {
    unsigned char version, encoding, return_register;
    const char *letters;
    unsigned char data[8], data_bytes;
};

static void put(struct made *made, uint64_t number, size_t bytes) {
    memcpy(made->bytes + made->used, &number, bytes);
    made->used += bytes;
}

static void close_entry(struct made *made, size_t start) {
    uint32_t length = (uint32_t)(made->used - start - 4);
    memcpy(made->bytes + start, &length, sizeof length);
}

static void put_entry(struct made *made, const struct shape *shape, uint64_t start,
                      uint64_t length) {
    size_t entry = made->used, bytes = (shape->encoding & 7) == 3 ? 4 : 8;
    uintptr_t header = (uintptr_t)made->bytes;
    put(made, 0, 4);
    put(made, made->used - made->common, 4);
    uintptr_t place = header + made->used;
    put(made, header + start - ((shape->encoding & 0x70) == 0x10 ? place : 0), bytes);
    put(made, length, bytes);
    if (shape->letters[0] == 'z')
        put(made, 0, 1);
    put(made, 0x0e | 16 << 8, 2); /* DW_CFA_def_cfa_offset 16 */
    close_entry(made, entry);
}

static void make(struct made *made, const struct shape *shape) {
    memset(made, 0, sizeof *made);
    put(made, 0x3b031b01, 4);
    put(made, 24, 4);
    put(made, 2, 4);
    made->used += 16;
    size_t common = made->common = made->used;
    put(made, 0, 8);
    put(made, shape->version, 1);
    memcpy(made->bytes + made->used, shape->letters, strlen(shape->letters) + 1);
    made->used += strlen(shape->letters) + 1;
    put(made, 1 | 0x78 << 8, 2);
    put(made, shape->return_register, 1);
    if (shape->letters[0] == 'z')
        put(made, shape->data_bytes, 1);
    memcpy(made->bytes + made->used, shape->data, shape->data_bytes);
    made->used += shape->data_bytes;
    close_entry(made, common);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t pair[2] = {0x1000 * (i + 1), made->used};
        for (unsigned k = 0; k < 2; k++)
            memcpy(made->bytes + 12 + i * 8 + k * 4, &pair[k], 4);
        put_entry(made, shape, 0x1000 * (i + 1), 0x10 * (i + 1));
    }
}

static bool find(const struct made *made, uintptr_t code, struct unwind_entry *entry) {
    uintptr_t start = (uintptr_t)made->bytes;
    struct os_object object = {start, start + made->used, NULL, made->bytes};
    return unwind_find(&object, start + code, entry);
}

static const struct shape usual = {1, 0x1b, 16, "zR", {0x1b}, 1};

Test(unwind_table, tells_the_function_that_code_lies_in) {
    struct made made;
    struct unwind_entry entry;
    make(&made, &usual);
    static const uintptr_t inside[] = {0x1000, 0x1001, 0x100f, 0x2000, 0x201f};
    static const uintptr_t outside[] = {0, 0xfff, 0x1010, 0x1fff, 0x2020, 0x100000, (uintptr_t)-1};
    for (unsigned i = 0; i < sizeof inside / sizeof *inside; i++) {
        EXPECT_AT(find(&made, inside[i], &entry), i);
        EXPECT_EQ(entry.start - (uintptr_t)made.bytes, inside[i] & 0xf000);
        EXPECT_EQ(entry.length, inside[i] >> 12 << 4);
        EXPECT_EQ(entry.code_factor, 1);
        EXPECT(entry.data_factor == -8);
        EXPECT(!entry.is_signal_frame);
        EXPECT_EQ(entry.first.end - entry.first.at, 0);
        EXPECT_EQ(entry.own.end - entry.own.at, 2);
        EXPECT_EQ(entry.own.at[1], 16);
    }
    for (unsigned i = 0; i < sizeof outside / sizeof *outside; i++)
        EXPECT_AT(!find(&made, outside[i], &entry), i);
    struct os_object none = {(uintptr_t)made.bytes, (uintptr_t)made.bytes + made.used, NULL, NULL};
    EXPECT(!unwind_find(&none, (uintptr_t)made.bytes + 0x1000, &entry));
}

Test(unwind_table, is_understood_in_all_shapes_that_compilers_give_it) {
    static const struct shape shapes[] = {
        {1, 0x00, 16, "", {0}, 0}, /* addresses as they are */
        {1, 0x00, 16, "z", {0}, 0},
        {3, 0x1b, 16, "zR", {0x1b}, 1},
        {1, 0x00, 16, "zR", {0x00}, 1},
        {1, 0x1c, 16, "zR", {0x1c}, 1}, /* 8 bytes, from there on */
        {1, 0x14, 16, "zR", {0x14}, 1},
        {1, 0x1b, 16, "zPLR", {0x9b, 1, 2, 3, 4, 0x1b, 0x1b}, 7}, /* C++ */
        {1, 0x1b, 16, "zLR", {0x1b, 0x1b}, 2},
        {1, 0x1b, 16, "zRS", {0x1b}, 1},
        {1, 0x1b, 16, "zRB", {0x1b}, 1},
    };
    for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct made made;
        struct unwind_entry entry;
        make(&made, &shapes[i]);
        EXPECT_AT(find(&made, 0x2001, &entry), i);
        EXPECT_AT(entry.start == (uintptr_t)made.bytes + 0x2000 && entry.length == 0x20, i);
        EXPECT_AT(entry.is_signal_frame == (strchr(shapes[i].letters, 'S') != NULL), i);
        EXPECT_AT(entry.own.end - entry.own.at == 2, i);
    }
}

Test(unwind_table, of_another_shape_is_refused) {
    static const struct shape shapes[] = {
        {2, 0x1b, 16, "zR", {0x1b}, 1}, {4, 0x1b, 16, "zR", {0x1b}, 1},
        {1, 0x1b, 30, "zR", {0x1b}, 1}, {1, 0x1b, 16, "zX", {0x1b}, 1},
        {1, 0x1b, 16, "eh", {0x1b}, 1}, {1, 0x1b, 16, "zR", {0x1b}, 0},
        {1, 0x1b, 16, "zR", {0xff}, 1}, {1, 0x1b, 16, "zR", {0x3b}, 1},
    };
    struct made made;
    struct unwind_entry entry;
    for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        make(&made, &shapes[i]);
        EXPECT_AT(!find(&made, 0x1001, &entry), i);
    }
    /* The header's version, its encodings, how many functions; lengths of 0 and in 64 bits. */
    static const struct {
        unsigned char at, byte;
    } changes[] = {{0, 2}, {1, 0xff}, {2, 0xff}, {3, 0x1b}, {8, 0}, {11, 0x7f}};
    for (unsigned i = 0; i < sizeof changes / sizeof *changes; i++) {
        make(&made, &usual);
        made.bytes[changes[i].at] = changes[i].byte;
        EXPECT_AT(!find(&made, 0x1001, &entry), i);
    }
    for (unsigned i = 0; i < 2; i++) {
        make(&made, &usual);
        memset(made.bytes + made.common, i == 0 ? 0 : 0xff, 4);
        EXPECT_AT(!find(&made, 0x1001, &entry), i);
    }
}

Test(unwind_table, numbers_are_read_as_they_are_written) {
    static const uint8_t written[] = {0xe5, 0x8e, 0x26, 0x7f, 0x80, 0x7f, 0x02, 7, 8, 0x83};
    struct bytes bytes = {written, written + sizeof written, false};
    EXPECT_EQ(bytes_take_unsigned(&bytes), 624485);
    EXPECT(bytes_take_signed(&bytes) == -1);
    EXPECT(bytes_take_signed(&bytes) == -128);
    struct bytes block = bytes_take_block(&bytes);
    EXPECT_EQ(bytes_take(&block, 2), 0x0807);
    EXPECT(!block.failed && bytes_take(&block, 1) == 0 && block.failed);
    EXPECT(!bytes.failed && bytes_take_unsigned(&bytes) == 3 && bytes.failed);
    EXPECT(bytes_take(&bytes, 1) == 0 && bytes_take_unsigned(&bytes) == 0);
    EXPECT(bytes_take_block(&bytes).at == bytes.at);
    static const uint8_t long_ones[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 0xff, 0x7f, 9,    1};
    bytes = (struct bytes){long_ones, long_ones + sizeof long_ones, false};
    EXPECT_EQ(bytes_take_unsigned(&bytes), UINT64_MAX);
    EXPECT(bytes_take_block(&bytes).at != NULL && bytes.failed); /* longer than what is left */
}

#endif
