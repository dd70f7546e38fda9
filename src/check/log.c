/* Purpose: log.h. */
#include "check/log.h"

#include <errno.h>
#include <string.h>

#include "base/fatal.h"
#include "check/check.h"
#include "core/options.h"
#include "slab/zone.h"

_Static_assert((int)CLASS_COUNT <= (int)LOG_CLASSES_MAX, "a header has room for them");
_Static_assert((int)CALL_COUNT <= (int)LOG_CALLS_MAX, "and for these");

static bool tells; /* lines on standard error, rather than a file */

/* --- the start -------------------------------------------------------------------------------- */

void check_log_apply_options(void) {
    /* Places in the option's list of words, but that a realloc has two records. */
    enum { UP_TO_REALLOC = 7, REALLOC = 4 };
    uint64_t set = option_get(OPTION_log_kinds);
    uint32_t kinds = (uint32_t)((set & UP_TO_REALLOC) << LOG_ALLOCATE |
                                (set & ~(uint64_t)(UP_TO_REALLOC - REALLOC)) << LOG_FREE);
    store_relaxed(&log_filter.kinds, kinds);
    store_relaxed(&log_filter.thread, (uint32_t)option_get(OPTION_log_thread));
    store_relaxed(&log_filter.least_bytes, option_get(OPTION_log_min));
    store_relaxed(&log_filter.most_bytes, option_get(OPTION_log_max));
}

static void describe_numbers(struct log_header *about) {
    about->tiny_classes = TINY_CLASSES;
    about->classes = CLASS_COUNT;
    about->calls = CALL_COUNT;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        about->slot_bytes[cls] = size_classes[cls].slot_bytes;
    for (unsigned call = 0; call < CALL_COUNT; call++) {
        size_t length = strlen(call_facts[call].name);
        memcpy(about->call_names[call], call_facts[call].name,
               length < LOG_NAME_BYTES ? length : LOG_NAME_BYTES - 1);
    }
}

static void put_reason(struct text *line, int reason) {
    const char *words = reason == LOG_IS_NO_FILE ? "that is no plain file"
                        : reason == LOG_IS_OTHERS ? "there is another file, which is no log"
                        : reason == ENOENT        ? "there is no such folder"
                        : reason == ENOSPC        ? "the disk is full"
                        : reason == EFBIG         ? "files may not be so large"
                        : reason == ENOMEM        ? "there is no memory"
                        : reason == EACCES || reason == EPERM || reason == EROFS
                            ? "that is not allowed"
                            : NULL;
    if (words != NULL)
        text_format(line, "%s", words);
    else
        text_format(line, "error %d", reason);
}

static COLD void complain(const char *what, int reason) {
    TEXT(line, OPTION_PATH_BYTES + 128);
    text_format(&line, "slabmalloc: %s %s: ", what, tells ? "stderr" : option_log_path);
    put_reason(&line, reason);
    text_format(&line, "\n");
    report_line(&line);
}

AT_START bool check_log_start(void) {
    static struct log_header about;
    if (option_get(OPTION_log) == 0)
        return false;
    tells = strcmp(option_log_path, "stderr") == 0;
    describe_numbers(&about);
    check_log_apply_options();
    int error = log_start(tells ? NULL : option_log_path, option_get(OPTION_log_size), &about);
    if (error != 0)
        complain("there is no log in", error);
    return error == 0;
}

/* --- blocks ----------------------------------------------------------------------------------- */

static unsigned class_of_block(uintptr_t start) {
    enum call call;
    enum fault fault;
    if (start == 0)
        return LOG_CLASS_NONE;
    const struct slab *slab = zone_find(start);
    if (slab != NULL)
        return load_relaxed(&slab->cls);
    return check_is_empty(start, &call, &fault) ? LOG_CLASS_EMPTY : LOG_CLASS_LARGE;
}

static struct log_block describe(enum log_kind kind, uintptr_t start, size_t bytes,
                                 enum call call) {
    return (struct log_block){kind, call, class_of_block(start), start, bytes};
}

static void record(const struct log_block *from, const struct log_block *block) {
    log_call(from, block);
    uint32_t error = log_take_complaint();
    if (UNLIKELY(error != 0))
        complain("the log stops in", (int)error);
    if (tells)
        check_log_tell();
}

void check_log_made(const void *pointer, size_t bytes, enum call call) {
    struct log_block block = describe(LOG_ALLOCATE, (uintptr_t)pointer, bytes, call);
    record(NULL, &block);
}

void check_log_freed(uintptr_t start, size_t bytes, enum call call) {
    struct log_block block = describe(LOG_FREE, start, bytes, call);
    if (call != CALL_REALLOC)
        record(NULL, &block);
}

struct log_block check_log_before_realloc(const void *pointer, size_t bytes) {
    return log_is_on() ? describe(LOG_REALLOC_FROM, (uintptr_t)pointer, bytes, CALL_REALLOC)
                       : (struct log_block){.kind = LOG_NONE};
}

void check_log_realloc(const struct log_block *from, const void *pointer, size_t bytes) {
    struct log_block block = describe(LOG_REALLOC, (uintptr_t)pointer, bytes, CALL_REALLOC);
    if (from->kind != LOG_NONE)
        record(from, &block);
}

void check_log_finish(void) {
    if (log_is_on() && tells)
        check_log_tell();
}
