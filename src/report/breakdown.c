/* Purpose: breakdown.h. */
#include "report/breakdown.h"

#include "large/large.h"
#include "large/view.h"
#include "os/look.h"
#include "os/maps.h"
#include "os/metadata.h"
#include "os/os.h"
#include "report/kept.h"
#include "slab/range.h"
#include "slab/view.h"
#include "slab/zone.h"

_Static_assert(SLM_CLASS_COUNT == CLASS_COUNT, "the public header counts the classes");

/* --- pages in memory, asked for a window at a time -------------------------------------------- */

enum { WINDOW_PAGES = 1024 };

struct window {
    uintptr_t from; /* pages [from, from + pages * page size) are known */
    size_t pages;
    int error;
    size_t present_pages; /* in all windows so far */
    unsigned char present[WINDOW_PAGES];
};

/* Moves the window to start at `from`, not beyond `end`. */
static void look(struct window *window, uintptr_t from, uintptr_t end) {
    size_t pages = (end - from) / os_page_bytes;
    window->from = from;
    window->pages = pages < WINDOW_PAGES ? pages : WINDOW_PAGES;
    int error = os_look_resident(from, window->pages, window->present);
    if (error != 0)
        window->error = error;
    for (size_t i = 0; i < window->pages; i++)
        window->present_pages += window->present[i];
}

/* Whether the page at `address` is in memory. Addresses are asked for in ascending order, none of a
 * region (which ends at `end`) left out: so each page counts once. */
static bool is_present(struct window *window, uintptr_t address, uintptr_t end) {
    size_t index = (address - window->from) / os_page_bytes;
    if (address < window->from || index >= window->pages) {
        look(window, address, end);
        index = 0;
    }
    return window->present[index] != 0;
}

static size_t present_bytes(struct window *window, uintptr_t from, uintptr_t to, uintptr_t end) {
    size_t bytes = 0;
    for (uintptr_t at = from; at < to; at += os_page_bytes)
        if (is_present(window, at, end))
            bytes += os_page_bytes;
    return bytes;
}

size_t breakdown_resident_bytes(uintptr_t from, uintptr_t to) {
    struct window window;
    window.from = window.pages = window.present_pages = 0;
    window.error = 0;
    size_t bytes = present_bytes(&window, from, to, to);
    return window.error == 0 ? bytes : SIZE_MAX;
}

/* --- parts ------------------------------------------------------------------------------------ */

struct walk {
    struct slm_breakdown *sums;
    struct window window;
};

static void add(struct slm_part *part, size_t bytes, size_t resident_bytes) {
    part->bytes += bytes;
    part->resident_bytes += resident_bytes;
}

enum { PAGE_WORDS = (1 << SMALL_SLAB_SHIFT) / 4096 / 64 };

/* The pages of one slab: bit = 1 <=> in memory. */
struct pages {
    uint64_t bits[PAGE_WORDS];
    size_t present, count;
};

static void see_pages(struct walk *walk, const struct slab_view *view, uintptr_t end,
                      struct pages *pages) {
    *pages = (struct pages){.count = view->slab_bytes / os_page_bytes};
    for (size_t i = 0; i < pages->count; i++) {
        if (!is_present(&walk->window, view->memory + i * os_page_bytes, end))
            continue;
        pages->bits[i / 64] |= (uint64_t)1 << (i % 64);
        pages->present++;
    }
}

/* How many of the bytes [from, to) of the slab lie in pages that are in memory. */
static size_t overlap(const struct pages *pages, size_t from, size_t to) {
    size_t bytes = 0;
    for (size_t i = from / os_page_bytes; from < to; i++) {
        size_t border = (i + 1) * os_page_bytes < to ? (i + 1) * os_page_bytes : to;
        if (pages->bits[i / 64] >> (i % 64) & 1)
            bytes += border - from;
        from = border;
    }
    return bytes;
}

static void divide(const struct slab_view *view, const struct pages *pages, size_t *live,
                   size_t *free_slots) {
    size_t start = view->base - view->memory;
    *live = *free_slots = 0;
    if (pages->present == 0)
        return;
    if (pages->present == pages->count) {
        *live = view->live * view->slot_bytes;
        *free_slots = (view->slots - view->live) * view->slot_bytes;
        return;
    }
    for (size_t slot = 0; slot < view->slots; slot++) {
        size_t from = start + slot * view->slot_bytes;
        size_t bytes = overlap(pages, from, from + view->slot_bytes);
        *(slab_view_lives(view, slot) ? live : free_slots) += bytes;
    }
}

static void add_slab(struct walk *walk, struct slab_view *view, uintptr_t end) {
    struct slm_class_breakdown *c = &walk->sums->classes[view->cls];
    struct pages pages;
    struct slab_view kept_view;
    size_t live, others, rest, kept = 0;
    size_t kept_bytes = kept_take(view, &kept_view) * view->slot_bytes;
    see_pages(walk, view, end, &pages);
    divide(view, &pages, &live, &others);
    if (kept_bytes > 0)
        divide(&kept_view, &pages, &kept, &rest);
    size_t live_bytes = view->live * view->slot_bytes;
    size_t slots_bytes = view->slots * view->slot_bytes;
    add(&c->live, live_bytes, live);
    add(&c->quarantine, kept_bytes, kept);
    add(&c->free_slots, slots_bytes - live_bytes - kept_bytes, others - kept);
    add(&c->rests, view->slab_bytes - slots_bytes, pages.present * os_page_bytes - live - others);
}

/* From `start` on: what `slabs` slabs have in the table, as far as it may be writable. */
static void add_table(struct walk *walk, uintptr_t start, uintptr_t table_bytes, uintptr_t limit) {
    uintptr_t end = round_up(start + table_bytes, COMMIT_METADATA_BYTES);
    end = end < limit ? end : limit;
    add(&walk->sums->metadata, end - start, present_bytes(&walk->window, start, end, end));
}

/* Headers and bitmaps; slabs in use; what lies empty between them; what is writable behind them. */
static void add_range(struct walk *walk, const struct range *range, size_t shift) {
    size_t fresh = load_acquire(&range->fresh);
    size_t writable = load_acquire(&range->writable);
    uintptr_t tables = range->bitmaps - load_relaxed(&range->gone_writable);
    uintptr_t headers_end = range->headers + writable * sizeof(struct slab);
    uintptr_t used_end = range->base + (fresh << shift);
    uintptr_t end = range->base + (writable << shift);
    add_table(walk, tables, headers_end - tables, range->remote);
    add_table(walk, range->remote, writable * SLAB_REMOTE_BYTES, range_tables_end(range));
    for (size_t number = 0; number < fresh; number++) {
        struct slab_view view;
        uintptr_t memory = range->base + (number << shift);
        uintptr_t next = memory + ((uintptr_t)1 << shift);
        const struct slab *slab = range_slab_seen(range, number);
        if (slab_look(slab, &view))
            add_slab(walk, &view, end);
        else if (!slab_is_guard(slab))
            add(&walk->sums->empty_slabs, next - memory,
                present_bytes(&walk->window, memory, next, end));
    }
    /* Never used, and yet in memory where a huge page reaches beyond the last slab. */
    add(&walk->sums->empty_slabs, 0, present_bytes(&walk->window, used_end, end, end));
}

static void add_large(const struct large_view *view, void *context) {
    struct walk *walk = context;
    uintptr_t used_end = view->block + view->used_bytes;
    uintptr_t end = view->address + view->bytes;
    if (!view->is_live) {
        add(&walk->sums->large_free, view->bytes,
            present_bytes(&walk->window, view->address, end, end));
        return;
    }
    if (kept_has(view->block)) {
        add(&walk->sums->quarantine, view->bytes,
            present_bytes(&walk->window, view->address, end, end));
        return;
    }
    add(&walk->sums->large_spare, view->block - view->address,
        present_bytes(&walk->window, view->address, view->block, end));
    add(&walk->sums->large_live, view->used_bytes,
        present_bytes(&walk->window, view->block, used_end, end));
    add(&walk->sums->large_spare, end - used_end, present_bytes(&walk->window, used_end, end, end));
}

static void add_chunk(uintptr_t address, size_t bytes, void *context) {
    struct walk *walk = context;
    uintptr_t end = address + bytes;
    add(&walk->sums->metadata, bytes, present_bytes(&walk->window, address, end, end));
}

static void sum_classes(struct slm_breakdown *sums) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slm_class_breakdown *c = &sums->classes[cls];
        c->slot_bytes = size_classes[cls].slot_bytes;
        add(&sums->live_slots, c->live.bytes, c->live.resident_bytes);
        add(&sums->free_slots, c->free_slots.bytes, c->free_slots.resident_bytes);
        add(&sums->quarantine, c->quarantine.bytes, c->quarantine.resident_bytes);
        add(&sums->rests, c->rests.bytes, c->rests.resident_bytes);
    }
    const struct slm_part *parts[] = {&sums->live_slots, &sums->large_live,  &sums->free_slots,
                                      &sums->rests,      &sums->empty_slabs, &sums->large_spare,
                                      &sums->large_free, &sums->metadata,    &sums->quarantine};
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        sums->total.bytes += parts[i]->bytes;
}

/* Mappings of zones are nobody else's; one of LARGE may have been joined to a neighbour's. */
static void add_huge(const struct os_mapping *mapping, size_t huge_bytes, void *context) {
    struct slm_breakdown *sums = context;
    uintptr_t start;
    size_t bytes;
    if (zone_find(mapping->start) != NULL ||
        large_examine(mapping->start, &start, &bytes) != FAULT_FOREIGN)
        add(&sums->huge_pages, huge_bytes, huge_bytes);
}

int breakdown_collect(struct slm_breakdown *breakdown) {
    struct walk walk;
    walk.sums = breakdown;
    walk.window.from = walk.window.pages = walk.window.present_pages = 0;
    walk.window.error = 0;
    *breakdown = (struct slm_breakdown){0};
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        unsigned count = load_acquire(&zones[kind].range_count);
        for (unsigned i = 0; i < count; i++)
            add_range(&walk, &zones[kind].ranges[i], slab_shift_of((enum zone_kind)kind));
    }
    large_walk(add_large, &walk);
    metadata_walk(add_chunk, &walk);
    sum_classes(breakdown);
    breakdown->total.resident_bytes = walk.window.present_pages * os_page_bytes;
    os_huge_pages_walk(add_huge, breakdown);
    return walk.window.error;
}
