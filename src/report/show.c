/* Purpose: show.h.
 *
 *   TINY : 0x7a8c10000000
 *   slab 0 : 0x7a8c10000000, class 48, current, owner thread 0x7a8c0ff01740 (this one)
 *     [##########:...............................................] 231 of 1365 slots live
 *   0x7a8c10000000 - 0x7a8c10000030 : 48 bytes
 *     0x7a8c10000000  68 65 6c 6c 6f 00 00 00  00 00 00 00 00 00 00 00  |hello...........|
 */
#include "report/show.h"

#include "cache/cache.h"
#include "large/view.h"
#include "os/look.h"
#include "report/breakdown.h"
#include "report/kept.h"
#include "report/modules.h"
#include "report/paragraph.h"
#include "slab/view.h"
#include "slab/zone.h"

enum { BAR_CELLS = 64, DUMP_LINE_BYTES = 16, DUMP_COPY_BYTES = 256 };

struct show {
    struct out *out;
    const struct slm_show_options *options;
    unsigned zones, parts;
    uintptr_t from, to;
    struct os_peek peek;
    size_t total_bytes;
    const char *zone_name; /* of the zone whose line is still to come, or NULL */
    uintptr_t zone_address;
    size_t empty_slabs, empty_resident;
    bool empty_unknown;
};

static bool is_wanted_range(const struct show *show, uintptr_t from, uintptr_t to) {
    return to > show->from && from < show->to;
}

static bool is_wanted_size(const struct show *show, size_t bytes) {
    size_t most = show->options->max_bytes;
    return bytes >= show->options->min_bytes && (most == 0 || bytes <= most);
}

/* A zone's line stands before the first line about it. */
static void put_zone(struct show *show) {
    if (show->zone_name == NULL)
        return;
    out_format(show->out, "%s : %p\n", show->zone_name, (void *)show->zone_address);
    show->zone_name = NULL;
}

/* --- contents --------------------------------------------------------------------------------- */

static void dump_line(struct show *show, uintptr_t address, const unsigned char *bytes,
                      size_t count) {
    TEXT(line, 128);
    text_format(&line, "  %p  ", (void *)address);
    for (size_t i = 0; i < DUMP_LINE_BYTES; i++) {
        if (i < count)
            text_format(&line, "%x%x ", bytes[i] >> 4, bytes[i] & 15);
        else
            text_format(&line, "   ");
        if (i % 8 == 7)
            text_format(&line, " ");
    }
    text_format(&line, "|");
    for (size_t i = 0; i < count; i++)
        text_format(&line, "%c", bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '.');
    text_format(&line, "|\n");
    out_text(show->out, &line);
}

static void dump(struct show *show, uintptr_t address, size_t bytes) {
    unsigned char copy[DUMP_COPY_BYTES];
    if (bytes > show->options->dump_bytes)
        bytes = show->options->dump_bytes;
    for (size_t done = 0; done < bytes && show->out->error == 0;) {
        size_t part = bytes - done < sizeof copy ? bytes - done : sizeof copy;
        size_t count = os_peek(&show->peek, copy, address + done, part);
        for (size_t at = 0; at < count; at += DUMP_LINE_BYTES)
            dump_line(show, address + done + at, copy + at,
                      count - at < DUMP_LINE_BYTES ? count - at : DUMP_LINE_BYTES);
        if (count < part) {
            out_format(show->out, "  %p  can't be read\n", (void *)(address + done + count));
            return;
        }
        done += part;
    }
}

/* --- who allocated it ------------------------------------------------------------------------- */

static void put_event(struct show *show, const struct check_event *event) {
    out_format(show->out, "  %s by thread %zu with %s, %zu bytes, called from\n",
               paragraph_event_word(event), (size_t)event->thread, call_facts[event->call].name,
               event->bytes);
    for (unsigned i = 0; i < event->depth && show->out->error == 0; i++) {
        TEXT(line, 256);
        text_format(&line, "    ");
        modules_put(&line, event->frames[i]);
        text_format(&line, "\n");
        out_text(show->out, &line);
    }
}

static void put_history(struct show *show, uintptr_t address) {
    struct check_event events[CHECK_EVENTS_MAX];
    size_t count = check_history(address, events, CHECK_EVENTS_MAX);
    for (size_t i = 0; i < count; i++)
        put_event(show, &events[i]);
}

static void put_block(struct show *show, uintptr_t address, size_t bytes) {
    if (!is_wanted_range(show, address, address + bytes))
        return;
    put_zone(show);
    out_format(show->out, "%p - %p : %zu bytes\n", (void *)address, (void *)(address + bytes),
               bytes);
    show->total_bytes += bytes;
    if (show->options->dump_bytes > 0)
        dump(show, address, bytes);
    if (show->options->parts & SLM_SHOW_HISTORY)
        put_history(show, address);
}

/* --- slabs ------------------------------------------------------------------------------------ */

/* A cell for an equal part of the slots: none of them lives, fewer than half, half or more, all. */
static void put_bar(struct show *show, const struct slab_view *view, size_t kept) {
    size_t cells = view->slots < BAR_CELLS ? view->slots : BAR_CELLS;
    TEXT(bar, BAR_CELLS + 1);
    for (size_t cell = 0; cell < cells; cell++) {
        size_t first = cell * view->slots / cells;
        size_t end = (cell + 1) * view->slots / cells;
        size_t live = 0;
        for (size_t slot = first; slot < end; slot++)
            live += slab_view_lives(view, slot);
        text_format(&bar, "%c",
                    live == 0                ? '.'
                    : live == end - first    ? '#'
                    : live * 2 < end - first ? ':'
                                             : '+');
    }
    out_format(show->out, "  [");
    out_text(show->out, &bar);
    out_format(show->out, "] %zu of %zu slots live", view->live, view->slots);
    if (view->remote > 0)
        out_format(show->out, ", %zu remote frees pending", view->remote);
    if (kept > 0)
        out_format(show->out, ", %zu in quarantine", kept);
    out_format(show->out, "\n");
}

static void put_owner(struct show *show, const struct slab_view *view) {
    const struct cache *cache = owner_cache(view->owner);
    if (cache == NULL) {
        out_format(show->out, "no owner\n");
        return;
    }
    if (cache == &cache_shared) {
        out_format(show->out, "owner: threads without a cache\n");
        return;
    }
    if (cache_is_common(cache)) {
        out_format(show->out, "owner: all threads\n");
        return;
    }
    uintptr_t thread = load_relaxed(&cache->thread);
    out_format(show->out, "owner thread %p%s\n", (void *)thread,
               load_relaxed(&cache->state) == CACHE_VANISHED ? " (left behind by a fork)"
               : thread == thread_id()                       ? " (this one)"
                                                             : "");
}

/* Without a default, so that the compiler misses a new state. */
static const char *state_name(enum slab_state state) {
    switch (state) {
    case SLAB_CURRENT:
        return "current";
    case SLAB_PARTIAL:
        return "partial";
    case SLAB_SPARSE:
        return "sparse";
    case SLAB_PURGED:
        return "purged";
    case SLAB_FULL:
        return "full";
    case SLAB_AWAY:
        return "being purged";
    case SLAB_SHELVED:
        return "in the depot";
    case SLAB_ORPHANED:
        return "orphaned";
    case SLAB_EMPTY:
    case SLAB_CLAIMED:
        break;
    }
    return "empty"; /* which are not looked at */
}

static void put_slab(struct show *show, const struct slab *slab, const struct slab_view *view,
                     size_t kept) {
    put_zone(show);
    out_format(show->out, "slab %zu : %p, class %zu, %s, ", (size_t)slab->number,
               (void *)view->memory, view->slot_bytes, state_name((enum slab_state)view->state));
    put_owner(show, view);
    put_bar(show, view, kept);
}

static void count_empty(struct show *show, uintptr_t memory, size_t bytes) {
    size_t resident = breakdown_resident_bytes(memory, memory + bytes);
    show->empty_slabs++;
    if (resident == SIZE_MAX)
        show->empty_unknown = true;
    else
        show->empty_resident += resident;
}

static void show_slab(struct show *show, const struct range *range, size_t number,
                      size_t slab_bytes) {
    const struct slab *slab = range_slab_seen(range, number);
    uintptr_t memory = range->base + number * slab_bytes;
    struct slab_view view, kept;
    if (!is_wanted_range(show, memory, memory + slab_bytes))
        return;
    if (!slab_look(slab, &view)) {
        if ((show->parts & SLM_SHOW_FREE) && !slab_is_guard(slab))
            count_empty(show, memory, slab_bytes);
        return;
    }
    if (!is_wanted_size(show, view.slot_bytes))
        return;
    kept_take(&view, &kept);
    if (show->parts & SLM_SHOW_SLABS)
        put_slab(show, slab, &view, kept.live);
    if ((show->parts & SLM_SHOW_BLOCKS) == 0)
        return;
    for (size_t slot = 0; slot < view.slots; slot++)
        if (slab_view_lives(&view, slot))
            put_block(show, view.base + slot * view.slot_bytes, view.slot_bytes);
}

/* Empty slabs of a zone have no class: they are counted where sizes are not limited. */
static void put_empty(struct show *show) {
    if (show->empty_slabs == 0 || show->options->min_bytes > 0 || show->options->max_bytes > 0)
        return;
    put_zone(show);
    out_format(show->out, "empty : %zu slabs, ", show->empty_slabs);
    if (show->empty_unknown)
        out_format(show->out, "an unknown part in memory\n");
    else
        out_format(show->out, "%zu bytes in memory\n", show->empty_resident);
}

static void show_zone(struct show *show, enum zone_kind kind) {
    const struct zone *zone = &zones[kind];
    size_t slab_bytes = (size_t)1 << slab_shift_of(kind);
    unsigned count = load_acquire(&zone->range_count);
    for (unsigned i = 0; i < count && show->out->error == 0; i++) {
        const struct range *range = &zone->ranges[i];
        uint32_t fresh = load_acquire(&range->fresh);
        show->zone_name = kind == ZONE_TINY ? "TINY" : "SMALL";
        show->zone_address = range->base;
        show->empty_slabs = show->empty_resident = 0;
        show->empty_unknown = false;
        for (uint32_t number = 0; number < fresh && show->out->error == 0; number++)
            show_slab(show, range, number, slab_bytes);
        put_empty(show);
    }
}

/* --- LARGE ------------------------------------------------------------------------------------ */

static void show_large(const struct large_view *view, void *context) {
    struct show *show = context;
    uintptr_t end = view->address + view->bytes;
    if (show->out->error != 0 || !is_wanted_range(show, view->address, end))
        return;
    show->zone_address = view->block; /* the zone's is that of the first one printed */
    if (view->is_live && kept_has(view->block))
        return;
    if (view->is_live) {
        if ((show->parts & SLM_SHOW_BLOCKS) && is_wanted_size(show, view->used_bytes))
            put_block(show, view->block, view->used_bytes);
    } else if ((show->parts & SLM_SHOW_FREE) && is_wanted_size(show, view->bytes)) {
        put_zone(show);
        out_format(show->out, "%p - %p : free, %zu bytes\n", (void *)view->address, (void *)end,
                   view->bytes);
    }
}

void show_heap(struct out *out, const struct slm_show_options *options) {
    struct show show = {
        .out = out,
        .options = options,
        .zones = options->zones != 0 ? options->zones : ~0u,
        .parts = options->parts != 0 ? options->parts : ~0u,
        .from = (uintptr_t)options->from,
        .to = options->to != NULL ? (uintptr_t)options->to : UINTPTR_MAX,
    };
    os_peek_begin(&show.peek);
    if (show.zones & SLM_SHOW_TINY)
        show_zone(&show, ZONE_TINY);
    if (show.zones & SLM_SHOW_SMALL)
        show_zone(&show, ZONE_SMALL);
    if (show.zones & SLM_SHOW_LARGE) {
        show.zone_name = "LARGE";
        show.zone_address = 0;
        large_walk(show_large, &show);
    }
    os_peek_end(&show.peek);
    out_format(out, "Total : %zu bytes\n", show.total_bytes);
}
