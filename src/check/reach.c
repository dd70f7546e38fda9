/* Purpose: reach.h. */
#include "check/reach.h"

#include "base/bits.h"
#include "large/view.h"
#include "slab/zone.h"

/* --- what there is ---------------------------------------------------------------------------- */

static void measure(uintptr_t start, const struct place *place, void *context) {
    struct reach *reach = context;
    reach->room++;
    reach->large_count += place->is_large;
    if (start < reach->blocks.start)
        reach->blocks.start = start;
    if (start + place->room > reach->blocks.end)
        reach->blocks.end = start + place->room;
}

/* A LARGE block's room may be less than its pages; a pointer behind it counts as one to it. */
static void enter_large(const struct large_view *view, void *context) {
    struct reach *reach = context;
    struct place place = record_find(view->block, false);
    if (view->is_live && place.record != NULL && (place.record->flags & RECORD_LIVE) &&
        reach->depth < reach->large_count)
        reach->large[reach->depth++] =
            (struct span){view->block, view->block + view->used_bytes};
}

bool reach_begin(struct reach *reach) {
    *reach = (struct reach){.mode = REACH_ROOTS, .blocks = {UINTPTR_MAX, 0}};
    record_walk(measure, reach);
    reach->memory_bytes = round_up(reach->room * sizeof *reach->pending +
                                       reach->large_count * sizeof *reach->large + 1,
                                   os_page_bytes);
    reach->memory = os_map(reach->memory_bytes);
    if (reach->memory == NULL)
        return false;
    reach->large = reach->memory;
    reach->pending = (uintptr_t *)(reach->large + reach->large_count);
    large_walk(enter_large, reach);
    reach->large_count = reach->depth;
    reach->depth = 0;
    os_peek_begin(&reach->peek);
    return true;
}

void reach_end(struct reach *reach) {
    os_peek_end(&reach->peek);
    os_unmap(reach->memory, reach->memory_bytes);
}

/* --- from a word to a block ------------------------------------------------------------------- */

static uintptr_t large_block_of(const struct reach *reach, uintptr_t address) {
    size_t low = 0;
    size_t high = reach->large_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (reach->large[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < reach->large_count && reach->large[low].start <= address
               ? reach->large[low].start
               : 0;
}

static uintptr_t block_of(const struct reach *reach, uintptr_t address, struct place *place) {
    if (zone_find(address) != NULL)
        return record_block_of(address, place);
    uintptr_t start = large_block_of(reach, address);
    if (start != 0)
        *place = record_find(start, false);
    return start;
}

/* Each block is put there once in each mode. */
static void put(struct reach *reach, uintptr_t start) {
    if (reach->depth < reach->room)
        reach->pending[reach->depth++] = start;
}

static void find(struct reach *reach, uintptr_t address) {
    struct place place;
    uintptr_t start = block_of(reach, address, &place);
    if (start == 0)
        return;
    struct record *record = place.record;
    if (reach->mode == REACH_ROOTS) {
        if ((record->flags & RECORD_REACHED) == 0) {
            record->flags |= RECORD_REACHED;
            put(reach, start);
        }
        return;
    }
    if (!record_is_lost(record))
        return;
    if (start != reach->origin)
        record->flags |= RECORD_HELD;
    if (reach->mode == REACH_LOST && (record->flags & RECORD_SEEN) == 0) {
        record->flags |= RECORD_SEEN;
        put(reach, start);
    }
}

void reach_words(struct reach *reach, const uintptr_t *words, size_t count) {
    uintptr_t lowest = reach->blocks.start;
    uintptr_t span = reach->blocks.end - lowest;
    for (size_t i = 0; i < count; i++)
        if (UNLIKELY(words[i] - lowest < span))
            find(reach, words[i]);
}

void reach_memory(struct reach *reach, uintptr_t start, uintptr_t end) {
    enum { PIECE_BYTES = 4096 };
    uintptr_t words[PIECE_BYTES / sizeof(uintptr_t)];
    for (uintptr_t at = round_up(start, sizeof *words); at < end;) {
        uintptr_t border = round_down(at, PIECE_BYTES) + PIECE_BYTES;
        size_t bytes = (border < end ? border : end) - at;
        size_t copied = os_peek(&reach->peek, words, at, bytes);
        reach_words(reach, words, copied / sizeof *words);
        at = border;
    }
}

/* A program may have made whole pages of its blocks inaccessible. */
static void look_through(struct reach *reach, uintptr_t start, const struct place *place) {
    size_t bytes = place->record->bytes;
    if (bytes >= os_page_bytes)
        reach_memory(reach, start, start + bytes);
    else
        reach_words(reach, (const uintptr_t *)start, bytes / sizeof(uintptr_t));
}

void reach_follow(struct reach *reach) {
    while (reach->depth > 0) {
        uintptr_t start = reach->pending[--reach->depth];
        struct place place = record_find(start, false);
        if (place.record != NULL)
            look_through(reach, start, &place);
    }
}

/* --- who holds whom among the lost ------------------------------------------------------------ */

static void touch(uintptr_t start, const struct place *place, void *context) {
    struct reach *reach = context;
    reach->origin = start;
    if (record_is_lost(place->record))
        look_through(reach, start, place);
}

static void follow_from(struct reach *reach, uintptr_t start, const struct place *place) {
    place->record->flags |= RECORD_SEEN;
    reach->origin = start;
    look_through(reach, start, place);
    reach_follow(reach);
}

static void follow_unheld(uintptr_t start, const struct place *place, void *context) {
    if (record_is_lost(place->record) && (place->record->flags & RECORD_HELD) == 0)
        follow_from(context, start, place);
}

/* What is left is in rings, or hangs from one: then a ring that comes later takes it back. */
static void follow_ring(uintptr_t start, const struct place *place, void *context) {
    if (!record_is_lost(place->record) || (place->record->flags & RECORD_SEEN) != 0)
        return;
    place->record->flags &= (uint8_t)~RECORD_HELD;
    follow_from(context, start, place);
}

void reach_sort_out(struct reach *reach) {
    reach->mode = REACH_TOUCH;
    record_walk(touch, reach);
    reach->mode = REACH_LOST;
    record_walk(follow_unheld, reach);
    record_walk(follow_ring, reach);
}
