/* Purpose: record.h. */
#include "check/record.h"

#include <string.h>

#include "check/locks.h"
#include "large/large.h"
#include "large/view.h"
#include "os/metadata.h"
#include "slab/zone.h"

struct table {
    struct table *next; /* free ones of the class */
    struct event *events;
    uint64_t cls;
    struct record records[];
};

/* The tables by slab, for a header has no room: leaves of LEAF_SLABS each. */
enum { LEAF_SLABS = 512 };

static struct table ***leaves[ZONE_COUNT][RANGES_MAX];

struct note {
    struct note *next; /* free ones */
    struct note *all_next;
    uintptr_t start;
    struct record record;
    struct event events[EVENTS];
};

enum { NOTES_BATCH = 16 };

static struct table *free_tables[CLASS_COUNT];
static struct note *free_notes;
static struct note *all_notes;

/* As many as a slab of the class can have, whatever its colour. */
static size_t records_of(unsigned cls) { return class_slots(cls, 0); }

static struct table *table_make(unsigned cls) {
    struct table *table = free_tables[cls];
    if (table != NULL) {
        free_tables[cls] = table->next;
        return table;
    }
    size_t count = records_of(cls);
    table = metadata_alloc(sizeof *table + count * sizeof *table->records);
    if (table == NULL)
        return NULL;
    table->cls = cls;
    if (check_policy.history)
        table->events = metadata_alloc(count * EVENTS * sizeof *table->events);
    return table;
}

/* Where the slab's table is to be kept; NULL: no memory. */
static struct table **holder_of(const struct slab *slab) {
    const struct range *range = &zones[slab->zone].ranges[slab->range];
    struct table ****root = &leaves[slab->zone][slab->range];
    if (*root == NULL) {
        size_t count = range->count / LEAF_SLABS + 1;
        store_release(root, metadata_alloc(count * sizeof **root));
        if (*root == NULL)
            return NULL;
    }
    struct table ***leaf = &(*root)[slab->number / LEAF_SLABS];
    if (*leaf == NULL) {
        store_release(leaf, metadata_alloc(LEAF_SLABS * sizeof **leaf));
        if (*leaf == NULL)
            return NULL;
    }
    return &(*leaf)[slab->number % LEAF_SLABS];
}

/* For readers without the lock too; NULL: none that fits the slab's present life. */
HOT_INLINE struct table *table_peek(const struct slab *slab) {
    struct table ***root = load_acquire(&leaves[slab->zone][slab->range]);
    struct table **leaf = NULL;
    if (LIKELY(root != NULL && slab->slot_bytes != 0))
        leaf = load_acquire(&root[slab->number / LEAF_SLABS]);
    struct table *table = LIKELY(leaf != NULL) ? load_acquire(&leaf[slab->number % LEAF_SLABS])
                                               : NULL;
    return LIKELY(table != NULL) && table->cls == load_relaxed(&slab->cls) &&
                   !load_relaxed(&slab->is_new_life)
               ? table
               : NULL;
}

/* With RANK_CHECK held, too: the slab's table, or another if that is of another class. Its records
 * may be of another life. */
static struct table *table_for(const struct slab *slab) {
    struct table **holder = holder_of(slab);
    struct table *table = holder != NULL ? *holder : NULL;
    if (holder == NULL || (table != NULL && table->cls == slab->cls))
        return table;
    if (table != NULL) {
        table->next = free_tables[table->cls];
        free_tables[table->cls] = table;
    }
    table = table_make(slab->cls);
    if (table != NULL && table->events != NULL)
        memset(table->events, 0, records_of(table->cls) * EVENTS * sizeof *table->events);
    store_release(holder, table);
    return table;
}

/* The slab's table, made fit for its present life. */
static COLD struct table *table_renew(struct slab *slab) {
    lock_acquire_often(check_lock(), RANK_CHECK);
    struct table *table = table_for(slab);
    lock_release_often(check_lock(), RANK_CHECK);
    if (table == NULL)
        return NULL;
    memset(table->records, 0, records_of(table->cls) * sizeof *table->records);
    store_relaxed(&slab->is_new_life, 0);
    return table;
}

HOT_INLINE struct place in_table(struct table *table, size_t slot, size_t room) {
    return (struct place){&table->records[slot],
                          table->events != NULL ? &table->events[slot * EVENTS] : NULL, room,
                          false};
}

HOT_INLINE struct place in_slab(struct slab *slab, size_t slot, bool make) {
    struct table *table = table_peek(slab);
    if (UNLIKELY(table == NULL) && make)
        table = table_renew(slab);
    return table != NULL ? in_table(table, slot, slab->slot_bytes)
                         : (struct place){.room = slab->slot_bytes};
}

/* With RANK_CHECK held, too. */
static struct note *take_note(uintptr_t start) {
    if (free_notes == NULL) {
        struct note *batch = metadata_alloc(NOTES_BATCH * sizeof *batch);
        for (unsigned i = 0; batch != NULL && i < NOTES_BATCH; i++) {
            batch[i].next = free_notes;
            batch[i].all_next = all_notes;
            free_notes = all_notes = &batch[i];
        }
    }
    struct note *note = free_notes;
    if (note != NULL) {
        free_notes = note->next;
        *note = (struct note){.all_next = note->all_next, .start = start};
    }
    return note;
}

static struct note *note_make(uintptr_t start) {
    lock_acquire_often(check_lock(), RANK_CHECK);
    struct note *note = take_note(start);
    lock_release_often(check_lock(), RANK_CHECK);
    return note;
}

static struct place in_large(uintptr_t start, bool make) {
    void **holder = large_note((void *)start);
    struct place place = {.room = large_usable((void *)start), .is_large = true};
    struct note *note = holder != NULL ? load_acquire(holder) : NULL;
    if (note == NULL && make && holder != NULL) {
        note = note_make(start);
        store_release(holder, (void *)note);
    }
    if (note != NULL) {
        if (make)
            note->start = start; /* realloc may have moved it */
        place.record = &note->record;
        place.events = check_policy.history ? note->events : NULL;
    }
    return place;
}

struct place record_find(uintptr_t start, bool make) {
    struct slab *slab = zone_find(start);
    size_t slot;
    if (UNLIKELY(slab == NULL))
        return in_large(start, make);
    return LIKELY(slab_slot_at(slab, start, &slot)) ? in_slab(slab, slot, make)
                                                    : (struct place){.room = slab->slot_bytes};
}

struct place record_peek(uintptr_t start) {
    struct slab *slab = zone_find(start);
    size_t slot;
    if (slab == NULL)
        return in_large(start, false);
    /* Also of a slab that is empty by now, for it keeps its last shape. */
    struct table *table = slab_slot_at(slab, start, &slot) ? table_peek(slab) : NULL;
    return table != NULL ? in_table(table, slot, slab->slot_bytes)
                         : (struct place){.room = slab->slot_bytes};
}

void record_drop_large(uintptr_t start) {
    void **holder = large_note((void *)start);
    struct note *note = holder != NULL ? *holder : NULL;
    if (note == NULL)
        return;
    store_release(holder, NULL);
    note->record.flags = 0;
    lock_acquire_often(check_lock(), RANK_CHECK);
    note->next = free_notes;
    free_notes = note;
    lock_release_often(check_lock(), RANK_CHECK);
}

enum fault record_examine(uintptr_t start, struct place *place) {
    struct slab *slab = zone_find(start);
    size_t slot;
    uintptr_t block;
    size_t bytes;
    *place = (struct place){0};
    enum fault fault = slab != NULL ? slab_examine(slab, start, &slot)
                                    : large_examine(start, &block, &bytes);
    if (fault != FAULT_NONE)
        return fault;
    *place = slab != NULL ? in_slab(slab, slot, false) : in_large(start, false);
    return place->record != NULL && (place->record->flags & RECORD_DEAD) ? FAULT_DOUBLE_FREE
                                                                         : FAULT_NONE;
}

struct check_facts check_facts_of(uintptr_t start) {
    struct check_facts facts = {CHECK_UNKNOWN, CALL_NONE, 0};
    struct place place = record_peek(start);
    if (place.record == NULL)
        return facts;
    struct record record = *place.record;
    if (record.flags & (RECORD_LIVE | RECORD_DEAD)) {
        facts.state = record.flags & RECORD_LIVE ? CHECK_LIVE : CHECK_FREED;
        facts.call = (enum call)record.call;
        facts.bytes = record.bytes;
    }
    return facts;
}

/* --- all of them ------------------------------------------------------------------------------ */

struct walk {
    void (*visit)(uintptr_t start, const struct place *place, void *context);
    void *context;
};

static bool is_live(const struct record *record) { return (record->flags & RECORD_LIVE) != 0; }

static bool visit_slab(struct slab *slab, void *context) {
    struct walk *walk = context;
    struct table *table = table_peek(slab);
    for (size_t slot = 0; table != NULL && slot < slab->slots; slot++) {
        if (!is_live(&table->records[slot]) || slab_is_free(slab, slot))
            continue;
        struct place place = in_table(table, slot, slab->slot_bytes);
        walk->visit((uintptr_t)slab_slot_address(slab, slot), &place, walk->context);
    }
    return true;
}

void record_walk(void (*visit)(uintptr_t start, const struct place *place, void *context),
                 void *context) {
    struct walk walk = {visit, context};
    zone_walk(visit_slab, &walk);
    for (struct note *note = all_notes; note != NULL; note = note->all_next) {
        if (!is_live(&note->record))
            continue;
        struct place place = in_large(note->start, false);
        if (place.record == &note->record)
            visit(note->start, &place, context);
    }
}

struct unknown_walk {
    void (*visit)(uintptr_t start, size_t bytes, void *context);
    void *context;
};

static bool visit_unknown(struct slab *slab, void *context) {
    struct unknown_walk *walk = context;
    const struct table *table = table_peek(slab);
    for (size_t slot = 0; slab->slot_bytes != 0 && slot < slab->slots; slot++)
        if (!slab_is_free(slab, slot) && (table == NULL || table->records[slot].flags == 0))
            walk->visit((uintptr_t)slab_slot_address(slab, slot), slab->slot_bytes, walk->context);
    return true;
}

static void visit_unknown_large(const struct large_view *view, void *context) {
    struct unknown_walk *walk = context;
    struct place place = in_large(view->block, false);
    if (view->is_live && (place.record == NULL || place.record->flags == 0))
        walk->visit(view->block, view->used_bytes, walk->context);
}

void record_walk_unknown(void (*visit)(uintptr_t start, size_t bytes, void *context),
                         void *context) {
    struct unknown_walk walk = {visit, context};
    zone_walk(visit_unknown, &walk);
    large_walk(visit_unknown_large, &walk);
}

uintptr_t check_block_start(uintptr_t address) {
    struct slab *slab = zone_find(address);
    uintptr_t start = 0;
    size_t bytes;
    if (slab != NULL) {
        size_t offset = address - slab->base;
        size_t slot_bytes = load_relaxed(&slab->slot_bytes);
        return slot_bytes != 0 && offset < slab->slots * slot_bytes ? address - offset % slot_bytes
                                                                    : 0;
    }
    return large_examine(address, &start, &bytes) != FAULT_FOREIGN ? start : 0;
}

uintptr_t record_block_of(uintptr_t address, struct place *place) {
    uintptr_t start = check_block_start(address);
    if (start == 0)
        return 0;
    *place = record_find(start, false);
    return place->record != NULL && is_live(place->record) ? start : 0;
}
