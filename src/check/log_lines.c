/* Purpose: lines of text for the log's records; docs/log.md has their format.
 * Owns:    nothing. */
#include "base/fatal.h"
#include "base/word.h"
#include "check/check.h"
#include "check/log.h"

/* A writer that was not run for so long may never be: it may be what a handler interrupts. */
enum { WAIT_MS = 1, WAITS_MAX = 1000, LINE_BYTES = 256 };

static const char *const kind_names[LOG_KINDS] = {
    [LOG_ALLOCATE] = "allocate", [LOG_FREE] = "free",   [LOG_REALLOC] = "realloc",
    [LOG_MAP] = "map",           [LOG_UNMAP] = "unmap", [LOG_PURGE] = "purge",
    [LOG_SLAB] = "slab",
};

/* By the part of a record that says how. */
static const char *const how_words[LOG_KINDS] = {
    [LOG_MAP] = "memory|reserve|commit|remap",
    [LOG_UNMAP] = "memory||decommit|remap",
    [LOG_PURGE] = "pages|discard",
    [LOG_SLAB] = "taken|released",
};

static void put_time(struct text *line, uint64_t ns) {
    enum { DIGITS = 9 };
    char digits[DIGITS + 1] = "";
    uint64_t rest = ns % 1000000000;
    for (unsigned i = DIGITS; i > 0; i--) {
        digits[i - 1] = (char)('0' + rest % 10);
        rest /= 10;
    }
    text_format(line, "%zu.%s", (size_t)(ns / 1000000000), digits);
}

static void put_block(struct text *line, const struct log_record *record) {
    text_format(line, " %p %zu", (void *)(uintptr_t)record->address, (size_t)record->bytes);
}

static void put_where(struct text *line, unsigned cls) {
    if (cls < CLASS_COUNT)
        text_format(line, " %s/%u", cls < TINY_CLASSES ? "TINY" : "SMALL",
                    (unsigned)size_classes[cls].slot_bytes);
    else
        text_format(line, " %s", cls == LOG_CLASS_LARGE   ? "LARGE"
                                 : cls == LOG_CLASS_EMPTY ? "EMPTY"
                                                          : "-");
}

/* One word, so that each line has as many fields as others of its kind. */
static void put_call(struct text *line, unsigned call) {
    const char *name = call < CALL_COUNT ? call_facts[call].name : "-";
    text_format(line, " ");
    for (; *name != 0; name++)
        text_format(line, "%c", *name == ' ' ? '_' : *name);
}

static void put_line(struct text *line, uint64_t start_ns, const struct log_record *from,
                     const struct log_record *record) {
    unsigned kind = log_kind_of(record);
    put_time(line, record->time_ns > start_ns ? record->time_ns - start_ns : 0);
    text_format(line, " %u %s", record->thread, kind_names[kind]);
    if (kind == LOG_REALLOC) {
        if (from != NULL)
            put_block(line, from);
        else
            text_format(line, " ? ?");
        text_format(line, " ->");
    }
    put_block(line, record);
    put_where(line, log_class_of(record));
    if (how_words[kind] == NULL) {
        put_call(line, log_how_of(record));
    } else {
        text_format(line, " ");
        word_put(line, word_at(how_words[kind], log_how_of(record)));
    }
    text_format(line, "\n");
}

static void tell(uint64_t start_ns, const struct log_record *from,
                 const struct log_record *record) {
    TEXT(line, LINE_BYTES);
    put_line(&line, start_ns, from, record);
    report_line(&line);
}

static void tell_lost(uint64_t count) {
    TEXT(line, LINE_BYTES);
    text_format(&line, "slabmalloc: log: %zu event%s lost\n", (size_t)count,
                plural((size_t)count));
    report_line(&line);
}

static bool has_room(const struct log_ring *ring, uint64_t told) {
    return load_relaxed(&ring->header->next) - told <= ring->capacity / 2;
}

/* A record is not written yet. */
static uint64_t leave_or_skip(const struct log_ring *ring, uint64_t told, bool skips) {
    if (log_is_passed(ring, told))
        return told + 1;
    if (!skips)
        return told;
    tell_lost(1);
    return told + 1;
}

/* The position behind what was told: the same where a record is being written, unless it skips. */
static uint64_t tell_next(const struct log_ring *ring, uint64_t told, bool skips) {
    struct log_record record, from;
    uint64_t start_ns = ring->header->start_monotonic_ns;
    uint64_t next = load_acquire(&ring->header->next);
    if (next - told > ring->capacity) {
        tell_lost(next - ring->capacity - told);
        return next - ring->capacity;
    }
    if (!log_read(ring, told, &record))
        return leave_or_skip(ring, told, skips);
    if (log_kind_of(&record) != LOG_REALLOC_FROM) {
        tell(start_ns, NULL, &record);
        return told + 1;
    }
    from = record;
    if (!log_read(ring, told + 1, &record))
        return leave_or_skip(ring, told, skips);
    tell(start_ns, &from, &record);
    return told + 2;
}

static void wait_a_little(void) {
    static uint32_t never;
    os_wait_for(&never, 0, WAIT_MS);
}

/* A record that is not written yet is left to its writer, who finds no teller. Once others have
 * filled half of the ring meanwhile, they wait for it. */
void check_log_tell(void) {
    struct log_ring *ring = log_ring;
    uintptr_t self = thread_id();
    uint64_t awaited = UINT64_MAX;
    unsigned waits = 0;
    while (load_acquire(&ring->header) != NULL &&
           load_relaxed(&ring->told) != load_acquire(&ring->header->next)) {
        uintptr_t teller = 0;
        uint64_t before = load_relaxed(&ring->told);
        if (cas_acquire(&ring->teller, &teller, self)) {
            before = load_relaxed(&ring->told);
            waits = before == awaited ? waits : 0;
            awaited = before;
            uint64_t told = tell_next(ring, before, waits >= WAITS_MAX);
            struct log_record record;
            store_relaxed(&ring->told, told);
            exchange_seq_cst(&ring->teller, 0);
            if (told != before)
                continue;
            if (!has_room(ring, told)) {
                wait_a_little();
                waits++;
            } else if (!log_read(ring, told, &record)) {
                return;
            }
        } else if (teller == self || has_room(ring, before)) {
            return; /* in a signal handler, or the other will see it */
        } else {
            wait_a_little();
        }
    }
}
