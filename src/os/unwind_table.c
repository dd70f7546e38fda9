/* Purpose: unwind_table.h.
 * Source:  Linux Standard Base, "Exception Frames" (.eh_frame, .eh_frame_hdr); DWARF 5, 7.6. */
#include "os/unwind_table.h"

#include <string.h>

#if defined(__x86_64__)

/* --- bytes ------------------------------------------------------------------------------------ */

uint64_t bytes_take(struct bytes *bytes, size_t count) {
    uint64_t value = 0;
    if (bytes->failed || (size_t)(bytes->end - bytes->at) < count) {
        bytes->failed = true;
        return 0;
    }
    memcpy(&value, bytes->at, count);
    bytes->at += count;
    return value;
}

/* 7 bits a byte, the lowest first (LEB128); how many bits that were, and the last byte. */
static uint64_t take_groups(struct bytes *bytes, unsigned *bits, uint64_t *last) {
    uint64_t value = 0;
    *bits = 0;
    do {
        *last = bytes_take(bytes, 1);
        if (*bits < 64)
            value |= (*last & 0x7f) << *bits;
        *bits += 7;
    } while ((*last & 0x80) != 0);
    return value;
}

uint64_t bytes_take_unsigned(struct bytes *bytes) {
    unsigned bits;
    uint64_t last;
    return take_groups(bytes, &bits, &last);
}

int64_t bytes_take_signed(struct bytes *bytes) {
    unsigned bits;
    uint64_t last;
    uint64_t value = take_groups(bytes, &bits, &last);
    if (bits < 64 && (last & 0x40) != 0)
        value |= ~(uint64_t)0 << bits;
    return (int64_t)value;
}

struct bytes bytes_take_block(struct bytes *bytes) {
    uint64_t length = bytes_take_unsigned(bytes);
    struct bytes block = {bytes->at, bytes->at, bytes->failed};
    if (bytes->failed || length > (uint64_t)(bytes->end - bytes->at)) {
        bytes->failed = true;
        return block;
    }
    bytes->at += length;
    block.end = bytes->at;
    return block;
}

/* Encodings of addresses: a format, and what it is relative to. */
enum { AS_ADDRESS = 0, AS_UDATA4 = 3, AS_UDATA8 = 4, AS_SDATA4 = 0xb, AS_SDATA8 = 0xc };
enum { FORMAT = 0x0f, RELATIVE = 0x70, TO_ITSELF = 0x10, TABLE = 0x3b };

static uint64_t take_encoded(struct bytes *bytes, uint8_t encoding) {
    uintptr_t place = (uintptr_t)bytes->at;
    uint64_t value = 0;
    switch (encoding & FORMAT) {
    case AS_ADDRESS:
    case AS_UDATA8:
    case AS_SDATA8:
        value = bytes_take(bytes, 8);
        break;
    case AS_UDATA4:
        value = bytes_take(bytes, 4);
        break;
    case AS_SDATA4:
        value = (uint64_t)(int64_t)(int32_t)bytes_take(bytes, 4);
        break;
    default:
        bytes->failed = true;
    }
    if ((encoding & RELATIVE) == TO_ITSELF)
        value += place;
    else if ((encoding & RELATIVE) != 0)
        bytes->failed = true;
    return value;
}

/* --- which entry ------------------------------------------------------------------------------ */

/* From its length on; what is behind its end fails. */
static struct bytes open_entry(const uint8_t *at, const uint8_t *end) {
    struct bytes bytes = {at, end, false};
    uint64_t length = bytes_take(&bytes, 4);
    if (length == 0 || length > (uint64_t)(bytes.end - bytes.at)) /* 64-bit ones too */
        bytes.failed = true;
    else
        bytes.end = bytes.at + length;
    return bytes;
}

/* "zPLRSB" in any order: what the data of the entries have. False: something else. */
static bool read_augmentation(const char *letters, struct bytes *bytes, struct unwind_entry *entry,
                              uint8_t *encoding) {
    if (*letters == 0)
        return true;
    if (*letters++ != 'z')
        return false;
    struct bytes data = bytes_take_block(bytes);
    for (; *letters != 0; letters++) {
        if (*letters == 'R')
            *encoding = (uint8_t)bytes_take(&data, 1);
        else if (*letters == 'L')
            bytes_take(&data, 1);
        else if (*letters == 'P')
            take_encoded(&data, (uint8_t)(bytes_take(&data, 1) & FORMAT));
        else if (*letters == 'S')
            entry->is_signal_frame = true;
        else if (*letters != 'B')
            return false;
    }
    return !data.failed;
}

static bool read_common(const uint8_t *at, const uint8_t *end, struct unwind_entry *entry,
                        uint8_t *encoding, bool *has_data) {
    struct bytes bytes = open_entry(at, end);
    uint64_t is_own = bytes_take(&bytes, 4);
    uint64_t version = bytes_take(&bytes, 1);
    const char *letters = (const char *)bytes.at;
    while (bytes_take(&bytes, 1) != 0)
        ;
    entry->code_factor = bytes_take_unsigned(&bytes);
    entry->data_factor = bytes_take_signed(&bytes);
    uint64_t return_register = version == 1 ? bytes_take(&bytes, 1) : bytes_take_unsigned(&bytes);
    if (bytes.failed || is_own != 0 || (version != 1 && version != 3) ||
        return_register != UNWIND_RETURN_REGISTER ||
        !read_augmentation(letters, &bytes, entry, encoding))
        return false;
    *has_data = letters[0] == 'z';
    entry->first = bytes;
    return !bytes.failed;
}

static bool read_entry(const uint8_t *at, const struct os_object *object,
                       struct unwind_entry *entry) {
    const uint8_t *end = (const uint8_t *)object->end;
    struct bytes bytes = open_entry(at, end);
    uint8_t encoding = AS_ADDRESS;
    bool has_data = false;
    const uint8_t *place = bytes.at;
    uint64_t back = bytes_take(&bytes, 4);
    if (bytes.failed || back == 0 || back > (uintptr_t)place - object->start ||
        !read_common(place - back, end, entry, &encoding, &has_data))
        return false;
    entry->start = take_encoded(&bytes, encoding);
    entry->length = take_encoded(&bytes, encoding & FORMAT);
    if (has_data)
        bytes_take_block(&bytes);
    entry->own = bytes;
    return !bytes.failed;
}

/* The table is sorted by where functions start: pairs of that and of the entry, each from the
 * table's header on. */
static const uint8_t *find_entry(const struct os_object *object, uintptr_t code) {
    const uint8_t *header = object->unwind_header;
    struct bytes bytes = {header, (const uint8_t *)object->end, header == NULL};
    uint64_t version = bytes_take(&bytes, 1);
    uint8_t start_encoding = (uint8_t)bytes_take(&bytes, 1);
    uint8_t count_encoding = (uint8_t)bytes_take(&bytes, 1);
    uint64_t table_encoding = bytes_take(&bytes, 1);
    take_encoded(&bytes, start_encoding);
    uint64_t count = take_encoded(&bytes, count_encoding);
    if (bytes.failed || version != 1 || table_encoding != TABLE || count == 0 ||
        count > (uint64_t)(bytes.end - bytes.at) / 8)
        return NULL;
    int64_t wanted = (int64_t)(code - (uintptr_t)header);
    int32_t pair[2];
    size_t low = 0;
    for (size_t high = count; high - low > 1;) {
        size_t middle = low + (high - low) / 2;
        memcpy(pair, bytes.at + middle * 8, sizeof pair);
        if (pair[0] <= wanted)
            low = middle;
        else
            high = middle;
    }
    memcpy(pair, bytes.at + low * 8, sizeof pair);
    const uint8_t *entry = header + pair[1];
    bool is_inside = (uintptr_t)entry - object->start < object->end - object->start;
    return pair[0] <= wanted && is_inside ? entry : NULL;
}

bool unwind_find(const struct os_object *object, uintptr_t code, struct unwind_entry *entry) {
    const uint8_t *at = find_entry(object, code);
    *entry = (struct unwind_entry){0};
    return at != NULL && read_entry(at, object, entry) && code - entry->start < entry->length;
}

#endif
