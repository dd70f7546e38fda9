/* Purpose: stats.h: how the figures are shown. Each table is described once, for text, JSON and
 * XML; docs/statistics.md says what the fields mean. */
#include <errno.h>

#include "os/os.h"
#include "report/stats.h"

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "a column reads any figure as 64 bits");

#define COLUMN(row, field, heading, kind, width)                                                   \
    { #field, heading, kind, offsetof(struct row, field), width }
#define TABLE(name, title, element, shape, columns)                                                \
    { name, title, element, shape, columns, sizeof columns / sizeof *columns }

/* --- the process, totals ---------------------------------------------------------------------- */

struct process_row {
    const char *name;
    uint64_t id;
};
static const struct column process_columns[] = {
    COLUMN(process_row, name, NULL, CELL_STRING, 0),
    COLUMN(process_row, id, NULL, CELL_COUNT, 0),
};
static const struct table process_table =
    TABLE("process", NULL, "process", TABLE_RECORD, process_columns);

struct totals_row {
    uint64_t allocations, frees, live, live_bytes, quarantine, quarantine_bytes, thread_caches;
    uint64_t faults, mappings, unmappings;
};
static const struct column totals_columns[] = {
    COLUMN(totals_row, allocations, "allocations", CELL_COUNT, 16),
    COLUMN(totals_row, frees, "frees", CELL_COUNT, 16),
    COLUMN(totals_row, live, "live blocks", CELL_COUNT, 16),
    COLUMN(totals_row, live_bytes, "bytes in live blocks", CELL_COUNT, 16),
    COLUMN(totals_row, quarantine, "freed, in quarantine", CELL_COUNT, 16),
    COLUMN(totals_row, quarantine_bytes, "bytes in quarantine", CELL_COUNT, 16),
    COLUMN(totals_row, thread_caches, "thread caches", CELL_COUNT, 16),
    COLUMN(totals_row, mappings, "mmap calls for LARGE", CELL_COUNT, 16),
    COLUMN(totals_row, unmappings, "munmap calls for LARGE", CELL_COUNT, 16),
    COLUMN(totals_row, faults, "bad pointers given back", CELL_COUNT, 16),
};
static const struct table totals_table =
    TABLE("totals", NULL, "totals", TABLE_RECORD, totals_columns);

static void emit_totals(struct emitter *emitter, const struct slm_stats *stats) {
    struct totals_row row = {
        .allocations =
            stats->tiny.allocations + stats->small.allocations + stats->large.allocations,
        .frees = stats->tiny.frees + stats->small.frees + stats->large.frees,
        .live = stats->large.live,
        .live_bytes = stats->tiny.live_bytes + stats->small.live_bytes + stats->large.live_bytes,
        .quarantine = stats->quarantine.blocks,
        .quarantine_bytes = stats->quarantine.bytes,
        .thread_caches = stats->caches,
        .faults = stats->faults,
        .mappings = stats->large.mappings,
        .unmappings = stats->large.unmappings,
    };
    for (unsigned cls = 0; cls < SLM_CLASS_COUNT; cls++)
        row.live += stats->classes[cls].live;
    emit_record(emitter, &totals_table, &row);
}

static void emit_process(struct emitter *emitter) {
    struct process_row row = {program_invocation_short_name, os_process_id()};
    if (emitter->format == EMIT_TEXT)
        out_format(emitter->out, "slabmalloc: the heap of %s (process %zu)\n\n", row.name,
                   (size_t)row.id);
    else
        emit_record(emitter, &process_table, &row);
}

/* --- memory ----------------------------------------------------------------------------------- */

struct memory_row {
    const char *part;    /* JSON, XML */
    const char *heading; /* text */
    uint64_t bytes, resident_bytes;
};
/* The first column names the row: in text, by its heading. */
static const struct column memory_columns[] = {
    COLUMN(memory_row, part, NULL, CELL_STRING, 0),
    COLUMN(memory_row, bytes, NULL, CELL_COUNT, 0),
    COLUMN(memory_row, resident_bytes, NULL, CELL_COUNT, 0),
};
static const struct column memory_text_columns[] = {
    COLUMN(memory_row, heading, "memory, bytes", CELL_STRING, 26),
    COLUMN(memory_row, bytes, "addresses", CELL_COUNT, 18),
    COLUMN(memory_row, resident_bytes, "in memory", CELL_COUNT, 18),
};
static const struct table memory_table =
    TABLE("memory", NULL, "memory", TABLE_KEYED, memory_columns);
static const struct table memory_text_table =
    TABLE("memory", "", "memory", TABLE_KEYED, memory_text_columns);

static void emit_memory(struct emitter *emitter, const struct slm_breakdown *b, bool known) {
    const struct {
        const char *part, *heading;
        const struct slm_part *figures;
    } parts[] = {
        {"live_slots", "live blocks in slabs", &b->live_slots},
        {"large_live", "live LARGE blocks", &b->large_live},
        {"quarantine", "freed, in quarantine", &b->quarantine},
        {"free_slots", "free slots", &b->free_slots},
        {"rests", "slabs' edges", &b->rests},
        {"empty_slabs", "empty slabs", &b->empty_slabs},
        {"large_spare", "LARGE blocks' room to grow", &b->large_spare},
        {"large_free", "freed LARGE, kept", &b->large_free},
        {"metadata", "metadata", &b->metadata},
        {"total", "total, held by the kernel", &b->total},
        {"huge_pages", "of that, in huge pages", &b->huge_pages},
    };
    emit_table(emitter, emitter->format == EMIT_TEXT ? &memory_text_table : &memory_table);
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct memory_row row = {parts[i].part, parts[i].heading, parts[i].figures->bytes,
                                 known ? parts[i].figures->resident_bytes : EMIT_UNKNOWN};
        emit_row(emitter, &row);
    }
    emit_table_end(emitter);
}

/* --- zones and their slabs -------------------------------------------------------------------- */

struct zone_row {
    const char *zone;
    uint64_t allocations, frees, live, live_bytes, held_bytes, peak_bytes, free_bytes;
};
static const struct column zone_columns[] = {
    COLUMN(zone_row, zone, "zone", CELL_STRING, 6),
    COLUMN(zone_row, allocations, "allocated", CELL_COUNT, 14),
    COLUMN(zone_row, frees, "freed", CELL_COUNT, 14),
    COLUMN(zone_row, live, "live", CELL_COUNT, 12),
    COLUMN(zone_row, live_bytes, "live bytes", CELL_BYTES, 12),
    COLUMN(zone_row, held_bytes, "held", CELL_BYTES, 12),
    COLUMN(zone_row, peak_bytes, "peak", CELL_BYTES, 12),
    COLUMN(zone_row, free_bytes, "reusable", CELL_BYTES, 12),
};
static const struct table zone_table = TABLE("zones", "", "zone", TABLE_KEYED, zone_columns);

static struct zone_row zone_row(const char *name, const struct slm_zone_stats *zone) {
    return (struct zone_row){
        .zone = name,
        .allocations = zone->allocations,
        .frees = zone->frees,
        .live = zone->allocations - zone->frees,
        .live_bytes = zone->live_bytes,
        .held_bytes = zone->slabs * zone->slab_bytes,
        .peak_bytes = zone->slabs_peak * zone->slab_bytes,
        .free_bytes = zone->slabs_dirty * zone->slab_bytes,
    };
}

struct slabs_row {
    const char *zone;
    uint64_t slab_bytes, in_use, peak, empty, dirty;
};
static const struct column slabs_columns[] = {
    COLUMN(slabs_row, zone, "slabs", CELL_STRING, 6),
    COLUMN(slabs_row, slab_bytes, "size", CELL_BYTES, 14),
    COLUMN(slabs_row, in_use, "in use", CELL_COUNT, 14),
    COLUMN(slabs_row, peak, "peak", CELL_COUNT, 12),
    COLUMN(slabs_row, empty, "empty", CELL_COUNT, 12),
    COLUMN(slabs_row, dirty, "of these dirty", CELL_COUNT, 16),
};
static const struct table slabs_table = TABLE("slabs", "", "slabs", TABLE_KEYED, slabs_columns);

static struct slabs_row slabs_row(const char *name, const struct slm_zone_stats *zone) {
    return (struct slabs_row){name,
                              zone->slab_bytes,
                              zone->slabs,
                              zone->slabs_peak,
                              zone->slabs_empty,
                              zone->slabs_dirty};
}

static void emit_zones(struct emitter *emitter, const struct slm_stats *stats) {
    const struct slm_large_stats *large = &stats->large;
    const struct zone_row zones[] = {
        zone_row("TINY", &stats->tiny),
        zone_row("SMALL", &stats->small),
        {"LARGE", large->allocations, large->frees, large->live, large->live_bytes,
         large->live_bytes + large->cached_bytes, large->peak_bytes, large->cached_bytes},
    };
    const struct slabs_row slabs[] = {slabs_row("TINY", &stats->tiny),
                                      slabs_row("SMALL", &stats->small)};
    emit_table(emitter, &zone_table);
    for (unsigned i = 0; i < 3; i++)
        emit_row(emitter, &zones[i]);
    emit_table_end(emitter);
    emit_table(emitter, &slabs_table);
    for (unsigned i = 0; i < 2; i++)
        emit_row(emitter, &slabs[i]);
    emit_table_end(emitter);
}

/* --- locks ------------------------------------------------------------------------------------ */

struct lock_row {
    const char *guards; /* JSON, XML */
    const char *heading; /* text */
    uint64_t acquired, contended;
};
static const struct column lock_columns[] = {
    COLUMN(lock_row, guards, NULL, CELL_STRING, 0),
    COLUMN(lock_row, acquired, NULL, CELL_COUNT, 0),
    COLUMN(lock_row, contended, NULL, CELL_COUNT, 0),
};
static const struct column lock_text_columns[] = {
    COLUMN(lock_row, heading, "locks of", CELL_STRING, 26),
    COLUMN(lock_row, acquired, "acquired", CELL_COUNT, 18),
    COLUMN(lock_row, contended, "found held", CELL_COUNT, 18),
};
static const struct table lock_table =
    TABLE("locks", NULL, "lock", TABLE_KEYED, lock_columns);
static const struct table lock_text_table =
    TABLE("locks", "", "lock", TABLE_KEYED, lock_text_columns);

static void emit_locks(struct emitter *emitter, const struct slm_stats *stats) {
    static const struct {
        const char *guards, *heading;
    } names[SLM_LOCK_KINDS] = {
        [SLM_LOCK_QUEUE] = {"queues", "threads' remote frees"},
        [SLM_LOCK_CLASS] = {"classes", "size classes"},
        [SLM_LOCK_ZONE] = {"zones", "zones"},
        [SLM_LOCK_LARGE] = {"large", "LARGE"},
        [SLM_LOCK_THREADS] = {"threads", "the list of threads"},
        [SLM_LOCK_SHARED] = {"shared", "what threads share"},
        [SLM_LOCK_METADATA] = {"metadata", "metadata"},
    };
    emit_table(emitter, emitter->format == EMIT_TEXT ? &lock_text_table : &lock_table);
    for (unsigned kind = 0; kind < SLM_LOCK_KINDS; kind++) {
        struct lock_row row = {names[kind].guards, names[kind].heading,
                               stats->locks[kind].acquired, stats->locks[kind].contended};
        emit_row(emitter, &row);
    }
    emit_table_end(emitter);
}

/* --- classes ---------------------------------------------------------------------------------- */

struct class_row {
    uint64_t slot_bytes, allocations, frees, live, slabs, slots, full_percent;
    uint64_t resident_bytes, wasted_bytes;
};
static const struct column class_columns[] = {
    COLUMN(class_row, slot_bytes, "class", CELL_COUNT, 8),
    COLUMN(class_row, allocations, "allocated", CELL_COUNT, 16),
    COLUMN(class_row, frees, "freed", CELL_COUNT, 16),
    COLUMN(class_row, live, "live", CELL_COUNT, 13),
    COLUMN(class_row, slabs, "slabs", CELL_COUNT, 9),
    COLUMN(class_row, slots, NULL, CELL_COUNT, 0),
    COLUMN(class_row, full_percent, "full", CELL_PERCENT, 7),
    COLUMN(class_row, resident_bytes, "in memory", CELL_BYTES, 13),
    COLUMN(class_row, wasted_bytes, "not live", CELL_BYTES, 13),
};
static const struct table class_table = TABLE("classes", "", "class", TABLE_LIST, class_columns);

static size_t waste_of(const struct slm_class_breakdown *c) {
    return c->free_slots.resident_bytes + c->quarantine.resident_bytes +
           c->rests.resident_bytes;
}

static struct class_row class_row(const struct slm_class_stats *c,
                                  const struct slm_class_breakdown *b, bool known) {
    uint64_t wasted = waste_of(b);
    return (struct class_row){
        .slot_bytes = c->slot_bytes,
        .allocations = c->allocations,
        .frees = c->frees,
        .live = c->live,
        .slabs = c->slabs,
        .slots = c->slots,
        .full_percent = c->slots > 0 ? c->live * 100 / c->slots : EMIT_UNKNOWN,
        .resident_bytes = known ? b->live.resident_bytes + wasted : EMIT_UNKNOWN,
        .wasted_bytes = known ? wasted : EMIT_UNKNOWN,
    };
}

void stats_emit_classes(struct emitter *emitter, const struct slm_stats *stats,
                        const struct slm_breakdown *breakdown, bool knows_resident) {
    emit_table(emitter, &class_table);
    for (unsigned cls = 0; cls < SLM_CLASS_COUNT; cls++) {
        if (stats->classes[cls].allocations == 0)
            continue;
        struct class_row row =
            class_row(&stats->classes[cls], &breakdown->classes[cls], knows_resident);
        emit_row(emitter, &row);
    }
    emit_table_end(emitter);
}

/* --- the classes that waste most -------------------------------------------------------------- */

enum { MOST_WASTE = 3 };

struct waste_row {
    uint64_t slot_bytes, wasted_bytes, percent;
};
static const struct column waste_columns[] = {
    COLUMN(waste_row, slot_bytes, "class", CELL_COUNT, 8),
    COLUMN(waste_row, wasted_bytes, "not live", CELL_BYTES, 16),
    COLUMN(waste_row, percent, "of its memory", CELL_PERCENT, 16),
};
static const struct table waste_table =
    TABLE("most_waste", "most memory in free slots and slabs' edges:", "waste", TABLE_LIST,
          waste_columns);

/* The class with the most waste less than `limit` or, at the same waste, behind `after`; or
 * SLM_CLASS_COUNT. */
static unsigned next_waste(const struct slm_breakdown *b, size_t limit, unsigned after) {
    unsigned found = SLM_CLASS_COUNT;
    size_t most = 0;
    for (unsigned cls = 0; cls < SLM_CLASS_COUNT; cls++) {
        size_t waste = waste_of(&b->classes[cls]);
        bool is_next = waste < limit || (waste == limit && cls > after);
        if (is_next && waste > most) {
            most = waste;
            found = cls;
        }
    }
    return found;
}

static void emit_waste(struct emitter *emitter, const struct slm_breakdown *b) {
    size_t limit = SIZE_MAX;
    unsigned cls = 0;
    if (emitter->format == EMIT_TEXT && next_waste(b, limit, cls) == SLM_CLASS_COUNT)
        return;
    emit_table(emitter, &waste_table);
    for (unsigned i = 0; i < MOST_WASTE; i++) {
        cls = next_waste(b, limit, cls);
        if (cls == SLM_CLASS_COUNT)
            break;
        const struct slm_class_breakdown *c = &b->classes[cls];
        limit = waste_of(c);
        struct waste_row row = {c->slot_bytes, limit,
                                limit * 100 / (limit + c->live.resident_bytes)};
        emit_row(emitter, &row);
    }
    emit_table_end(emitter);
}

void stats_emit(struct emitter *emitter, const struct slm_stats *stats,
                const struct slm_breakdown *breakdown, bool knows_resident) {
    emit_process(emitter);
    emit_totals(emitter, stats);
    emit_memory(emitter, breakdown, knows_resident);
    emit_zones(emitter, stats);
    emit_locks(emitter, stats);
    emit_waste(emitter, breakdown);
    stats_emit_classes(emitter, stats, breakdown, knows_resident);
}
