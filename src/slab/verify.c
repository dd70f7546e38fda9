/* Purpose: verify.h. */
#include "slab/verify.h"

#include "slab/depot.h"
#include "slab/range.h"
#include "slab/zone.h"

bool slab_verify_shape(const struct slab *slab, struct violation *violation) {
    unsigned cls = load_relaxed(&slab->cls);
    MUST_HOLD(cls < CLASS_COUNT, "a slab has no size class", slab);
    const struct size_class *c = &size_classes[cls];
    uintptr_t memory = zone_slab_memory(slab);
    uintptr_t start = load_relaxed(&slab->base) - memory;
    MUST_EQUAL(slab->zone, c->zone, "a slab has a class of another zone", memory);
    MUST_EQUAL(load_relaxed(&slab->slot_bytes), c->slot_bytes, "a slab's slots have another size",
               memory);
    MUST_EQUAL(load_relaxed(&slab->magic), c->magic, "a slab has another class's magic number",
               memory);
    MUST_EQUAL(start, slab_start_bytes(c, slab->number),
               "a slab's first slot lies elsewhere", memory);
    size_t slots = load_relaxed(&slab->slots);
    MUST_EQUAL(slots, class_slots(cls, start), "a slab has another number of slots", memory);
    MUST_EQUAL(load_relaxed(&slab->limit), magic_limit(c->magic, c->slot_bytes, (uint32_t)slots),
               "a slab takes other addresses for slots", memory);
    MUST_HOLD(load_relaxed(&slab->hint_slot) < SLAB_WORDS * 64 + 128,
              "a slab's hint is beyond its bits", memory);
    MUST_EQUAL(slab->never[0] | slab->never[1], 0, "words behind a slab's bits are set", memory);
    MUST_HOLD(slab_words(slab) == SLAB_WORDS || load_relaxed(&slab->bits[slab_words(slab)]) == 0,
              "words behind a slab's bits are set", memory);
    if (slots % 64 == 0)
        return true;
    uint64_t beyond = UINT64_MAX << (slots % 64);
    MUST_EQUAL(load_relaxed(&slab->bits[slots / 64]) & beyond, 0, "a slot beyond the last is free",
               memory);
    MUST_EQUAL(load_relaxed(&slab_remote_bits(slab)[slots / 64]) & beyond, 0,
               "a slot beyond the last was freed remotely", memory);
    return true;
}

unsigned slab_count_disagreeing(const struct slab *slab) {
    unsigned count = 0;
    for (unsigned w = 0; w < slab_words(slab); w++)
        count += load_relaxed(&slab->summary) >> w & (load_relaxed(&slab->bits[w]) == 0);
    return count;
}

bool slab_verify_bits(const struct slab *slab, struct violation *violation) {
    unsigned words = slab_words(slab);
    uint64_t summary = 0;
    for (unsigned w = 0; w < words; w++) {
        uint64_t bits = load_relaxed(&slab->bits[w]);
        summary |= (uint64_t)(bits != 0) << w;
        MUST_EQUAL(load_relaxed(&slab_remote_bits(slab)[w]) & bits, 0,
                   "a slot is free twice, by its owner and remotely", zone_slab_memory(slab));
    }
    bool may_miss = slab->zone == ZONE_TINY && load_relaxed(&slab->owner) != 0;
    MUST_EQUAL(load_relaxed(&slab->summary) | (may_miss ? summary : 0), summary,
               "a slab's summary denies its bits", zone_slab_memory(slab));
    return true;
}

/* A used slab without owner: shelved or orphaned. Its lists are the depots' to verify. */
static bool verify_unowned(const struct slab *slab, struct violation *violation) {
    uint8_t state = load_relaxed(&slab->state);
    bool has_free = load_relaxed(&slab->summary) != 0;
    MUST_HOLD(state == SLAB_SHELVED || state == SLAB_ORPHANED,
              "a slab without owner is in no depot", zone_slab_memory(slab));
    MUST_EQUAL(state == SLAB_SHELVED, has_free, "an unowned slab is shelved, or not, wrongly",
               zone_slab_memory(slab));
    return slab_verify_shape(slab, violation) && slab_verify_bits(slab, violation);
}

/* An empty slab, which may be in the hands of a purge. */
static bool verify_empty(const struct range *range, size_t number, size_t *in_set,
                         struct violation *violation) {
    const struct slab *slab = range_slab(range, number);
    uintptr_t memory = (uintptr_t)slab;
    bool listed = hbitmap_has(&range->empty, number);
    bool dirty = hbitmap_has(&range->dirty, number);
    MUST_EQUAL(load_relaxed(&slab->owner), 0, "an empty slab has an owner", memory);
    *in_set += listed;
    if (!listed) {
        MUST_HOLD(!dirty, "a slab that is not among the empty is among the dirty", memory);
        return true;
    }
    if (range_gone(range, number) != 0)
        return true;
    MUST_EQUAL(dirty, !slab->is_zero, "an empty slab is dirty, or not, wrongly", memory);
    MUST_HOLD(!slab->is_decommitted || slab->is_zero, "a decommitted slab is not zero", memory);
    return true;
}

static bool verify_used(const struct range *range, const struct slab *slab,
                        struct violation *violation) {
    uintptr_t memory = zone_slab_memory(slab);
    MUST_HOLD(!hbitmap_has(&range->empty, slab->number), "a used slab is among the empty", memory);
    MUST_HOLD(!hbitmap_has(&range->dirty, slab->number), "a used slab is among the dirty", memory);
    MUST_HOLD(load_relaxed(&slab->state) <= SLAB_ORPHANED, "a slab has no state", memory);
    return load_relaxed(&slab->owner) != 0 || verify_unowned(slab, violation);
}

static bool verify_guard(const struct range *range, const struct slab *slab,
                         struct violation *violation) {
    uintptr_t memory = zone_slab_memory(slab);
    MUST_EQUAL(load_relaxed(&slab->owner), 0, "a guard has an owner", memory);
    MUST_EQUAL(load_relaxed(&slab->slots), 0, "a guard has slots", memory);
    MUST_HOLD(!hbitmap_has(&range->empty, slab->number), "a guard is among the empty slabs",
              memory);
    return true;
}

struct tally {
    size_t used, empty, in_set, dirty, shelved, guards;
};

/* A header that was given back has no name, or still its own: the system may have refused. */
static bool verify_name(const struct range *range, unsigned index, size_t number,
                        enum zone_kind kind, struct violation *violation) {
    const struct slab *slab = range_slab(range, number);
    bool is_gone = range_gone(range, number) != 0;
    MUST_HOLD(!is_gone || load_relaxed(&slab->state) == SLAB_EMPTY,
              "the header of a used slab was given back", slab);
    MUST_HOLD(load_relaxed(&slab->remote_bits) == range_remote_bits(range, number) ||
                  load_relaxed(&slab->remote_bits) == NULL,
              "a slab has another's remote bits", slab);
    if (is_gone && load_relaxed(&slab->slot_bytes) == 0)
        return true;
    MUST_EQUAL(slab->number, number, "a slab has another's number", slab);
    MUST_EQUAL(slab->range, index, "a slab names another range", slab);
    MUST_EQUAL(slab->zone, kind, "a slab names another zone", slab);
    return true;
}

static bool verify_range(enum zone_kind kind, unsigned index, struct tally *tally,
                         struct violation *violation) {
    const struct range *range = &zones[kind].ranges[index];
    MUST_HOLD(range->fresh <= range->writable && range->writable <= range->count,
              "a range's parts are out of order", range->base);
    MUST_HOLD(hbitmap_verify(&range->empty, range->fresh), "the set of empty slabs is broken",
              range->base);
    MUST_HOLD(hbitmap_verify(&range->dirty, range->fresh), "the set of dirty slabs is broken",
              range->base);
    for (uint32_t number = 0; number < range->fresh; number++) {
        const struct slab *slab = range_slab(range, number);
        if (!verify_name(range, index, number, kind, violation))
            return false;
        bool is_empty = load_relaxed(&slab->state) == SLAB_EMPTY;
        if (is_empty && slab_is_guard(slab)) {
            tally->guards++;
            if (!verify_guard(range, slab, violation))
                return false;
            continue;
        }
        tally->empty += is_empty;
        tally->used += !is_empty;
        tally->dirty += hbitmap_has(&range->dirty, number);
        tally->shelved += load_relaxed(&slab->state) == SLAB_SHELVED;
        if (is_empty ? !verify_empty(range, number, &tally->in_set, violation)
                     : !verify_used(range, slab, violation))
            return false;
    }
    return true;
}

static bool verify_map(enum zone_kind kind, struct violation *violation) {
    const struct range *range = &zones[kind].ranges[0];
    bool tiny = kind == ZONE_TINY;
    MUST_EQUAL(tiny ? zone_map.tiny_base : zone_map.small_base, range->base,
               "the map for the hot paths names another base", range->base);
    MUST_EQUAL(tiny ? zone_map.tiny_headers : zone_map.small_headers, range->headers,
               "the map for the hot paths names other headers", range->base);
    MUST_EQUAL(tiny ? zone_map.tiny_span : zone_map.small_span,
               (size_t)range->writable << slab_shift_of(kind),
               "the map for the hot paths names another span", range->base);
    return true;
}

bool zone_verify(enum zone_kind kind, size_t *shelved, struct violation *violation) {
    const struct zone *zone = &zones[kind];
    struct tally tally = {0};
    if (!verify_map(kind, violation))
        return false;
    for (unsigned index = 0; index < zone->range_count; index++)
        if (!verify_range(kind, index, &tally, violation))
            return false;
    *shelved += tally.shelved;
    MUST_EQUAL(zone->used, tally.used, "a zone counts its used slabs wrongly", zone);
    MUST_EQUAL(zone->dirty, tally.dirty, "a zone counts its dirty slabs wrongly", zone);
    MUST_EQUAL(zone->guards, tally.guards, "a zone counts its guards wrongly", zone);
    MUST_EQUAL(zone->purging + zone->bare, tally.empty - tally.in_set, "an empty slab is lost",
               zone);
    return true;
}

bool depot_verify(unsigned cls, struct violation *violation) {
    const struct depot *depot = &depots[cls];
    const struct slab *before = NULL;
    size_t count = 0;
    for (const struct slab *slab = depot->shelf; slab != NULL; slab = slab->next) {
        MUST_HOLD(count++ < depot->count, "a depot's shelf is longer than its count", depot);
        MUST_HOLD(slab->prev == before, "a depot's shelf is linked wrongly", slab);
        MUST_EQUAL(slab->cls, cls, "a slab is in another class's depot", slab);
        MUST_EQUAL(slab->state, SLAB_SHELVED, "a slab on the shelf has another state", slab);
        MUST_EQUAL(load_relaxed(&slab->owner), 0, "a slab on the shelf has an owner", slab);
        before = slab;
    }
    MUST_EQUAL(depot->count, count, "a depot counts its slabs wrongly", depot);
    return true;
}
