/* Purpose: the roots of reach.h: where a program keeps pointers, but for its blocks.
 * Owns:    nothing.
 *
 * All private memory of the process that is not ours is a root, as far as it was written to: data
 * of the program and its libraries, stacks, thread-local variables, the break, and what the program
 * has mapped itself, such as the arenas of an interpreter. Of a stack it is what lies above the
 * stack pointer. Memory that is shared with other processes is none. Blocks from before checks,
 * whose size and use nobody knows, are roots too. */
#include <string.h>

#include "base/bits.h"
#include "check/reach.h"
#include "check/trace.h"
#include "large/view.h"
#include "os/maps.h"
#include "os/metadata.h"
#include "slab/zone.h"

enum { PAGES_AT_ONCE = 1024, CONTROL_BLOCK_BYTES = 4096 };

struct roots {
    struct reach *reach;
    const struct check_caller *caller;
    const struct os_tasks *tasks;
    struct os_page_view pages;
    struct span *ours; /* lowest first */
    size_t ours_count, ours_room, ours_bytes;
    uintptr_t closed_end; /* where the last mapping that can't be read ended */
    unsigned char own[PAGES_AT_ONCE];
};

/* --- memory of ours --------------------------------------------------------------------------- */

static void add_ours(struct roots *roots, uintptr_t start, size_t bytes) {
    size_t at = roots->ours_count;
    if (at == roots->ours_room)
        return;
    for (; at > 0 && roots->ours[at - 1].start > start; at--)
        roots->ours[at] = roots->ours[at - 1];
    roots->ours[at] = (struct span){start, start + bytes};
    roots->ours_count++;
}

static void add_large(const struct large_view *view, void *context) {
    add_ours(context, view->address, view->bytes);
}

static void add_chunk(uintptr_t address, size_t bytes, void *context) {
    add_ours(context, address, bytes);
}

static void count_large(const struct large_view *view, void *context) {
    (void)view;
    ++*(size_t *)context;
}

static void count_chunk(uintptr_t address, size_t bytes, void *context) {
    (void)address;
    (void)bytes;
    ++*(size_t *)context;
}

/* Large ones come in their order, so the insertion above is cheap. */
static bool list_ours(struct roots *roots) {
    enum { OTHERS = 5 };
    size_t count = OTHERS;
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        count += zones[kind].range_count;
    large_walk(count_large, &count);
    metadata_walk(count_chunk, &count);
    roots->ours_room = count;
    roots->ours_bytes = round_up(count * sizeof *roots->ours, os_page_bytes);
    roots->ours = os_map(roots->ours_bytes);
    if (roots->ours == NULL)
        return false;
    large_walk(add_large, roots);
    metadata_walk(add_chunk, roots);
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        for (unsigned i = 0; i < zones[kind].range_count; i++)
            add_ours(roots, (uintptr_t)zones[kind].ranges[i].mapping,
                     zones[kind].ranges[i].mapped_bytes);
    add_ours(roots, (uintptr_t)zones, sizeof zones); /* a slab may begin with a block */
    add_ours(roots, (uintptr_t)&zone_map, sizeof zone_map);
    add_ours(roots, (uintptr_t)roots->reach->memory, roots->reach->memory_bytes);
    add_ours(roots, (uintptr_t)roots->ours, roots->ours_bytes);
    if (roots->tasks->list != NULL)
        add_ours(roots, (uintptr_t)roots->tasks->list, roots->tasks->bytes);
    return true;
}

/* --- mappings --------------------------------------------------------------------------------- */

/* Page by page, neighbours at once. */
static void look_at_written(struct roots *roots, uintptr_t start, uintptr_t end) {
    uintptr_t from = round_down(start, os_page_bytes);
    for (; from < end; from += PAGES_AT_ONCE * os_page_bytes) {
        size_t pages = (round_up(end, os_page_bytes) - from) / os_page_bytes;
        pages = pages < PAGES_AT_ONCE ? pages : PAGES_AT_ONCE;
        os_page_look(&roots->pages, from, pages, roots->own);
        for (size_t i = 0; i < pages; i++) {
            uintptr_t page = from + i * os_page_bytes;
            uintptr_t page_end = page + os_page_bytes;
            if (roots->own[i])
                reach_memory(roots->reach, page > start ? page : start,
                             page_end < end ? page_end : end);
        }
    }
}

/* But for what is ours. */
static void look_at(struct roots *roots, uintptr_t start, uintptr_t end) {
    size_t low = 0;
    size_t high = roots->ours_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (roots->ours[middle].end <= start)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < roots->ours_count && roots->ours[low].start < end; low++) {
        if (roots->ours[low].start > start)
            look_at_written(roots, start, roots->ours[low].start);
        if (roots->ours[low].end > start)
            start = roots->ours[low].end;
    }
    if (start < end)
        look_at_written(roots, start, end);
}

static void lower(uintptr_t stack, const struct os_mapping *mapping, uintptr_t *lowest) {
    if (stack >= mapping->start && stack < mapping->end && stack < *lowest)
        *lowest = stack;
}

/* Where the lowest stack that lies in the mapping is in use from. The mapping must be a stack from
 * its beginning: a guard page lies before it. */
static uintptr_t first_in_use(const struct roots *roots, const struct os_mapping *mapping) {
    uintptr_t lowest = UINTPTR_MAX;
    if (roots->closed_end != mapping->start && strcmp(mapping->name, "[stack]") != 0)
        return mapping->start;
    lower(roots->caller->stack, mapping, &lowest);
    for (size_t i = 0; i < roots->tasks->count; i++)
        if (load_acquire(&roots->tasks->list[i].answers) != 0)
            lower(roots->tasks->list[i].stack, mapping, &lowest);
    return lowest != UINTPTR_MAX ? lowest : mapping->start;
}

static bool visit_mapping(const struct os_mapping *mapping, void *context) {
    struct roots *roots = context;
    if (!mapping->reads)
        roots->closed_end = mapping->end;
    bool is_kernels = mapping->name[0] == '[' && mapping->name[1] == 'v'; /* [vvar], [vdso] */
    if (mapping->reads && !mapping->is_shared && !is_kernels)
        look_at(roots, first_in_use(roots, mapping), mapping->end);
    return true;
}

/* --- without a list of mappings --------------------------------------------------------------- */

/* The control block has the thread's keys; it lies at the end of a thread's stack. */
static void look_at_known(struct roots *roots) {
    const struct check_caller *caller = roots->caller;
    for (unsigned i = 0; i < caller->data_count; i++)
        look_at(roots, caller->data[i].start, caller->data[i].end);
    reach_memory(roots->reach, caller->stack, trace_stack_end(caller->stack));
    reach_memory(roots->reach, thread_id(), thread_id() + CONTROL_BLOCK_BYTES);
}

/* --- all -------------------------------------------------------------------------------------- */

static void visit_unknown(uintptr_t start, size_t bytes, void *context) {
    reach_memory(context, start, start + bytes);
}

bool roots_look(struct reach *reach, const struct check_caller *caller,
                const struct os_tasks *tasks) {
    struct roots roots;
    roots.reach = reach;
    roots.caller = caller;
    roots.tasks = tasks;
    roots.ours_count = roots.closed_end = 0;
    os_page_view_begin(&roots.pages);
    bool listed = list_ours(&roots);
    listed = listed && os_maps_walk(visit_mapping, &roots);
    if (!listed)
        look_at_known(&roots);
    os_page_view_end(&roots.pages);
    reach_words(reach, caller->registers, OS_REGISTERS);
    for (size_t i = 0; i < tasks->count; i++)
        if (load_acquire(&tasks->list[i].answers) != 0)
            reach_words(reach, tasks->list[i].registers, OS_REGISTERS);
    record_walk_unknown(visit_unknown, reach);
    if (roots.ours != NULL)
        os_unmap(roots.ours, roots.ours_bytes);
    return listed;
}
