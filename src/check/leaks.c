/* Purpose: leaks.h.
 *
 * libc's own blocks (stdio's buffers, the table of atexit, the loader's lists) are never freed, and
 * nobody's leaks. A block is libc's own if it was the loader that asked for it, or if libc did and
 * its data, or another such block, points to it: what strdup or getline allocated for the program
 * is not in there. Static programs have no libc of their own: there, it is the streams and their
 * buffers. */
#include "check/leaks.h"

#include <link.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "check/reach.h"
#include "check/stacks.h"

/* --- libc's own ------------------------------------------------------------------------------- */

static bool is_named(const char *path, const char *prefix) {
    const char *slash = strrchr(path, '/');
    return strncmp(slash != NULL ? slash + 1 : path, prefix, strlen(prefix)) == 0;
}

static void note(struct span *spans, unsigned *count, unsigned most, uintptr_t start,
                 uintptr_t end) {
    if (*count < most)
        spans[(*count)++] = (struct span){start, end};
}

static int visit_module(struct dl_phdr_info *info, size_t size, void *context) {
    struct check_caller *caller = context;
    bool is_libc = is_named(info->dlpi_name, "libc.so") || is_named(info->dlpi_name, "libc-");
    bool is_loader = is_named(info->dlpi_name, "ld-");
    struct span whole = {UINTPTR_MAX, 0};
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        uintptr_t end = start + header->p_memsz;
        uintptr_t variables = (uintptr_t)info->dlpi_tls_data;
        if (header->p_type == PT_TLS && variables != 0)
            note(caller->data, &caller->data_count, DATA_MAX, variables,
                 variables + header->p_memsz);
        if (header->p_type != PT_LOAD)
            continue;
        whole.start = start < whole.start ? start : whole.start;
        whole.end = end > whole.end ? end : whole.end;
        if ((header->p_flags & PF_W) == 0)
            continue;
        note(caller->data, &caller->data_count, DATA_MAX, start, end);
        if (is_libc || is_loader)
            note(caller->libc_data, &caller->libc_data_count, LIBC_DATA_MAX, start, end);
    }
    if (is_libc || is_loader)
        *(is_libc ? &caller->libc : &caller->loader) = whole;
    return 0;
}

void check_find_modules(struct check_caller *caller) {
    caller->libc = caller->loader = (struct span){0, 0};
    caller->libc_data_count = caller->data_count = 0;
    dl_iterate_phdr(visit_module, caller);
}

static bool holds(const struct span *span, uintptr_t address) {
    return address - span->start < span->end - span->start;
}

static bool is_called_from(const struct place *place, const struct span *span) {
    unsigned depth;
    const uintptr_t *frames = place->events != NULL ? stacks_get(place->events[0].stack, &depth)
                                                    : NULL;
    return frames != NULL && holds(span, frames[0]);
}

static void excuse(struct record *record, bool *more) {
    record->flags |= RECORD_LIBC;
    *more = true;
}

struct search {
    const struct check_caller *caller;
    bool more;
};

/* Excuses what libc asked for and these words point to. */
static void follow(struct search *search, uintptr_t start, uintptr_t end) {
    for (uintptr_t at = round_up(start, sizeof(uintptr_t)); at + sizeof(uintptr_t) <= end;
         at += sizeof(uintptr_t)) {
        struct place place;
        if (record_block_of(*(const uintptr_t *)at, &place) != 0 &&
            (place.record->flags & RECORD_LIBC) == 0 &&
            is_called_from(&place, &search->caller->libc))
            excuse(place.record, &search->more);
    }
}

static void visit_loaders(uintptr_t start, const struct place *place, void *context) {
    struct search *search = context;
    (void)start;
    if (is_called_from(place, &search->caller->loader))
        excuse(place->record, &search->more);
}

static void visit_excused(uintptr_t start, const struct place *place, void *context) {
    if ((place->record->flags & (RECORD_LIBC | RECORD_SEEN)) != RECORD_LIBC)
        return;
    place->record->flags |= RECORD_SEEN;
    follow(context, start, start + place->record->bytes);
}

/* glibc's list of open streams: what fopen made is a block, and so is its buffer. */
extern struct _IO_FILE *_IO_list_all __attribute__((weak));

static void excuse_block(uintptr_t address) {
    struct place place;
    if (record_block_of(address, &place) != 0)
        place.record->flags |= RECORD_LIBC;
}

static void excuse_streams(void) {
    if (&_IO_list_all == NULL)
        return;
    for (const struct _IO_FILE *stream = _IO_list_all; stream != NULL;
         stream = stream->_chain) {
        excuse_block((uintptr_t)stream);
        excuse_block((uintptr_t)stream->_IO_buf_base);
    }
}

static void excuse_libc(struct search *search) {
    const struct check_caller *caller = search->caller;
    record_walk(visit_loaders, search);
    for (unsigned i = 0; i < caller->libc_data_count; i++)
        follow(search, caller->libc_data[i].start, caller->libc_data[i].end);
    if (caller->libc.start == caller->libc.end)
        excuse_streams();
    while (search->more) {
        search->more = false;
        record_walk(visit_excused, search);
    }
}

/* --- groups ----------------------------------------------------------------------------------- */

struct grouping {
    struct check_leaks *leaks;
    size_t size; /* of the hash table that `groups` is meanwhile: a power of two; 0: only count */
};

static struct check_leak *group_of(const struct grouping *grouping, const struct check_leak *leak) {
    uint64_t hash = (leak->stack * GOLDEN_64) ^ (leak->bytes * 0xff51afd7ed558ccdu);
    for (size_t at = hash >> 20 & (grouping->size - 1);; at = (at + 1) & (grouping->size - 1)) {
        struct check_leak *group = &grouping->leaks->groups[at];
        if (group->count == 0 || (group->stack == leak->stack && group->bytes == leak->bytes &&
                                  group->call == leak->call))
            return group;
    }
}

static void visit_live(uintptr_t start, const struct place *place, void *context) {
    struct grouping *grouping = context;
    struct check_leaks *leaks = grouping->leaks;
    (void)start;
    if (place->record->flags & RECORD_LIBC) {
        leaks->own_blocks++;
        leaks->own_bytes += place->record->bytes;
        return;
    }
    if (place->record->flags & RECORD_HELD) {
        leaks->held_blocks++;
        leaks->held_bytes += place->record->bytes;
    }
    if (place->record->flags & (RECORD_HELD | RECORD_REACHED))
        return;
    leaks->blocks++;
    leaks->bytes += place->record->bytes;
    if (grouping->size == 0)
        return;
    struct check_leak leak = {1, place->record->bytes, (enum call)place->record->call,
                              place->events != NULL ? place->events[0].stack : 0, NULL, 0};
    struct check_leak *group = group_of(grouping, &leak);
    size_t count = group->count;
    leaks->group_count += count == 0;
    *group = leak;
    group->count = count + 1;
}

static bool is_more(const struct check_leak *a, const struct check_leak *b) {
    size_t a_bytes = a->count * a->bytes;
    size_t b_bytes = b->count * b->bytes;
    return a_bytes > b_bytes || (a_bytes == b_bytes && a->count > b->count);
}

/* Heap sort, most first: qsort may allocate. */
static void sift(struct check_leak *groups, size_t at, size_t count) {
    for (;;) {
        size_t least = 2 * at + 1;
        if (least >= count)
            return;
        if (least + 1 < count && is_more(&groups[least], &groups[least + 1]))
            least++;
        if (!is_more(&groups[at], &groups[least]))
            return;
        struct check_leak other = groups[at];
        groups[at] = groups[least];
        groups[least] = other;
        at = least;
    }
}

static void sort(struct check_leak *groups, size_t count) {
    for (size_t i = count / 2; i-- > 0;)
        sift(groups, i, count);
    for (size_t i = count; i-- > 1;) {
        struct check_leak other = groups[0];
        groups[0] = groups[i];
        groups[i] = other;
        sift(groups, 0, i);
    }
}

static void finish(struct check_leaks *leaks, size_t size) {
    size_t used = 0;
    for (size_t at = 0; at < size; at++)
        if (leaks->groups[at].count > 0)
            leaks->groups[used++] = leaks->groups[at];
    for (size_t i = 0; i < used; i++)
        leaks->groups[i].frames = stacks_get(leaks->groups[i].stack, &leaks->groups[i].depth);
    sort(leaks->groups, used);
}

static bool group(struct check_leaks *leaks) {
    struct grouping grouping = {leaks, 0};
    record_walk(visit_live, &grouping);
    if (leaks->blocks == 0)
        return true;
    size_t size = (size_t)2 << bit_highest(2 * leaks->blocks);
    leaks->memory_bytes = round_up(size * sizeof *leaks->groups, os_page_bytes);
    leaks->groups = os_map(leaks->memory_bytes);
    if (leaks->groups == NULL)
        return false;
    leaks->blocks = leaks->bytes = leaks->own_blocks = leaks->own_bytes = 0;
    leaks->held_blocks = leaks->held_bytes = 0;
    grouping.size = size;
    record_walk(visit_live, &grouping);
    finish(leaks, size);
    return true;
}

void check_drop_leaks(struct check_leaks *leaks) {
    if (leaks->groups != NULL)
        os_unmap(leaks->groups, leaks->memory_bytes);
    leaks->groups = NULL;
}

/* --- all -------------------------------------------------------------------------------------- */

static void unmark(uintptr_t start, const struct place *place, void *context) {
    (void)start;
    (void)context;
    place->record->flags &= (uint8_t) ~(RECORD_LIBC | RECORD_SEEN | RECORD_REACHED | RECORD_HELD);
}

bool check_collect_leaks(enum check_leaks_kind kind, const struct check_caller *caller,
                         const struct os_tasks *tasks, struct check_leaks *leaks) {
    struct search search = {caller, false};
    struct reach reach;
    *leaks = (struct check_leaks){.kind = kind, .unstopped = tasks->unstopped};
    if (kind == CHECK_LEAKS_LOST) {
        if (!reach_begin(&reach))
            return false;
        leaks->saw_mappings = roots_look(&reach, caller, tasks);
        reach_follow(&reach);
    }
    excuse_libc(&search);
    if (kind == CHECK_LEAKS_LOST) {
        reach_sort_out(&reach);
        reach_end(&reach);
    }
    bool done = group(leaks);
    record_walk(unmark, NULL);
    return done;
}
