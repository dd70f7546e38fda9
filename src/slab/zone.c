/* Purpose: zone.h: lookup, empty slabs, new ranges.
 * Owns, Locking, Invariants: see zone.h. */
#include "slab/zone.h"

#include "core/account.h"
#include "core/options.h"
#include "os/log.h"
#include "os/watch.h"
#include "slab/range.h"

struct zone_map zone_map = {.fine_end = FINE_MAX_BYTES + 1,
                            .tiny_end = TINY_MAX_BYTES + 1,
                            .small_sizes = SMALL_MAX_BYTES - TINY_MAX_BYTES};
struct zone_gate *zone_gate_of_operators;
struct zone zones[ZONE_COUNT];
const struct slab slab_never_used;

static bool is_emulated;
/* Asked for at the start only: a sandbox closed since then may forbid the call (field case A13). */
static uint64_t address_limit = UINT64_MAX;

void zone_close_hot_paths(void) {
    struct zone_gate *gate = load_acquire(&zone_gate_of_operators);
    store_relaxed(&zone_map.small_sizes, 0);
    store_relaxed(&zone_map.tiny_end, 0);
    store_relaxed(&zone_map.fine_end, 0);
    if (gate != NULL) {
        store_relaxed(&gate->tiny_end, 0);
        store_relaxed(&gate->fine_end, 0);
    }
}

void zone_open_hot_paths(void) {
    store_relaxed(&zone_map.small_sizes, SMALL_MAX_BYTES - TINY_MAX_BYTES);
    store_relaxed(&zone_map.tiny_end, TINY_MAX_BYTES + 1);
    store_relaxed(&zone_map.fine_end, FINE_MAX_BYTES + 1);
}

static AT_START size_t most_bytes(unsigned number) {
    size_t bytes = RESERVE_EMULATED_BYTES;
    if (!is_emulated)
        return RESERVE_BYTES;
    for (; number > 0 && bytes < RESERVE_BYTES; number--)
        bytes *= 2;
    return bytes;
}

/* Half of what it may be at most down to the least, within the process's address-space limit. */
static AT_START bool add_range(enum zone_kind kind) {
    struct zone *zone = &zones[kind];
    unsigned number = zone->range_count;
    size_t bytes = most_bytes(number);

    if (number == RANGES_MAX)
        return false;
    while (bytes > RESERVE_MIN_BYTES && bytes > address_limit / RESERVE_LIMIT_PART)
        bytes /= 2;
    for (; bytes >= RESERVE_MIN_BYTES; bytes /= 2) {
        if (range_reserve(&zone->ranges[number], kind, bytes)) {
            store_release(&zone->range_count, number + 1);
            return true;
        }
    }
    return false;
}

/* Lets the hot paths see all slabs of the first range that are writable by now. The bases are there
 * before: other threads may be in free. */
static void publish(enum zone_kind kind) {
    const struct range *range = &zones[kind].ranges[0];
    size_t bytes = (size_t)range->writable << slab_shift_of(kind);
    store_release(kind == ZONE_TINY ? &zone_map.tiny_span : &zone_map.small_span, bytes);
}

AT_START bool zone_init(void) {
    address_limit = os_address_limit();
    is_emulated = os_is_emulated();
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        if (zones[kind].range_count == 0 && !add_range((enum zone_kind)kind))
            return false;
    const struct range *tiny = &zones[ZONE_TINY].ranges[0];
    const struct range *small = &zones[ZONE_SMALL].ranges[0];
    store_relaxed(&zone_map.tiny_base, tiny->base);
    store_relaxed(&zone_map.tiny_headers, tiny->headers);
    store_relaxed(&zone_map.small_base, small->base);
    store_relaxed(&zone_map.small_headers, small->headers);
    publish(ZONE_TINY);
    publish(ZONE_SMALL);
    return true;
}

struct slab *zone_find_slow(uintptr_t address) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        const struct zone *zone = &zones[kind];
        unsigned count = load_acquire(&zone->range_count);
        for (unsigned i = 0; i < count; i++) {
            const struct range *range = &zone->ranges[i];
            if (address - (uintptr_t)range->mapping >= range->mapped_bytes)
                continue;
            size_t number = (address - range->base) >> slab_shift_of((enum zone_kind)kind);
            return number < load_acquire(&range->writable) ? range_slab(range, number)
                                                           : (struct slab *)&slab_never_used;
        }
    }
    return NULL;
}

uintptr_t zone_slab_memory(const struct slab *slab) {
    enum zone_kind kind = (enum zone_kind)load_relaxed(&slab->zone);
    const struct range *range = &zones[kind].ranges[load_relaxed(&slab->range)];
    return range->base + ((uintptr_t)load_relaxed(&slab->number) << slab_shift_of(kind));
}

static bool uses_guards;

void zone_use_guards(void) {
    store_relaxed(&uses_guards, true);
}

static bool is_guard_due(const struct zone *zone, const struct range *range) {
    if (!load_relaxed(&uses_guards) || range->fresh == 0 || zone->guards >= GUARDS_MAX)
        return false;
    return zone->guards < GUARDS_CLOSE ? !slab_is_guard(range_slab(range, range->fresh - 1))
                                       : range->fresh % GUARDS_APART == 0;
}

/* With the lock held: makes number `fresh` usable, or that behind it and leaves this one out. */
static bool extend(struct range *range, unsigned index, enum zone_kind kind) {
    size_t bytes = (size_t)1 << slab_shift_of(kind);
    if (!range_extend(range, kind))
        return false;
    if (LIKELY(!is_guard_due(&zones[kind], range)) ||
        !os_decommit((void *)(range->base + range->fresh * bytes), bytes))
        return true;
    struct slab *left_out = range_name_slab(range, index, kind, range->fresh);
    store_relaxed(&left_out->is_decommitted, SLAB_LEFT_OUT);
    zones[kind].guards++;
    store_release(&range->fresh, range->fresh + 1);
    return range_extend(range, kind);
}

/* With the lock held: a slab that was never used; NULL: no memory, or no more of it allowed. */
static COLD struct slab *pick_fresh(struct range *range, unsigned index, enum zone_kind kind) {
    size_t bytes = (size_t)1 << slab_shift_of(kind);
    if (!account_take(bytes))
        return NULL;
    if (!extend(range, index, kind)) {
        account_give(bytes);
        return NULL;
    }
    if (index == 0)
        publish(kind);
    struct slab *slab = range_name_slab(range, index, kind, range->fresh);
    slab->is_zero = 1;
    store_release(&range->fresh, range->fresh + 1);
    return slab;
}

/* An empty slab that holds no memory is to have some. */
static COLD bool take_memory(struct range *range, enum zone_kind kind, struct slab *slab) {
    size_t bytes = (size_t)1 << slab_shift_of(kind);
    if (!account_take(bytes))
        return false;
    if (!slab->is_decommitted || range_recommit(range, kind, slab))
        return true;
    account_give(bytes);
    return false;
}

/* With the lock held: the header of an empty slab, out of every set, or NULL. */
static struct slab *pick(struct zone *zone, unsigned index, enum zone_kind kind) {
    struct range *range = &zone->ranges[index];
    size_t number = hbitmap_lowest(&range->dirty);
    bool is_zero = number == SIZE_MAX;
    if (is_zero)
        number = hbitmap_lowest(&range->empty);
    if (number == SIZE_MAX)
        return pick_fresh(range, index, kind);
    struct slab *slab = range_name_slab(range, index, kind, number);
    slab->is_zero = is_zero;
    if (is_zero && !take_memory(range, kind, slab))
        return NULL;
    hbitmap_remove(&range->empty, number);
    if (!is_zero) {
        hbitmap_remove(&range->dirty, number);
        store_relaxed(&zone->dirty, zone->dirty - 1);
    }
    return slab;
}

static struct slab *pick_anywhere(enum zone_kind kind) {
    struct zone *zone = &zones[kind];
    for (;;) {
        for (unsigned i = 0; i < zone->range_count; i++) {
            struct slab *slab = pick(zone, i, kind);
            if (slab != NULL)
                return slab;
        }
        /* The last range could only fail to extend for want of memory or of room. */
        const struct range *last = &zone->ranges[zone->range_count - 1];
        if (last->writable < last->count || !add_range(kind))
            return NULL;
    }
}

/* Callers may hold the lock of a class. */
static COLD void log_slab(const struct slab *slab, unsigned how) {
    struct log_block block = {LOG_SLAB, how, slab->cls, zone_slab_memory(slab),
                              (size_t)1 << slab_shift_of((enum zone_kind)slab->zone)};
    log_memory(&block, true);
}

static uint8_t relink_fraction(size_t used_bytes) {
    if (used_bytes < RELINK_LARGE_BYTES)
        return 0;
    return used_bytes < 4 * RELINK_LARGE_BYTES ? RELINK_FRACTION : 4 * RELINK_FRACTION;
}

struct slab *zone_acquire(unsigned cls, uintptr_t owner) {
    enum zone_kind kind = (enum zone_kind)size_classes[cls].zone;
    struct zone *zone = &zones[kind];

    lock_acquire(&zone->lock, RANK_ZONE);
    struct slab *slab = pick_anywhere(kind);
    if (slab != NULL) {
        /* Claimed under the lock: a forked child finds every slab either empty or owned. */
        store_relaxed(&slab->state, SLAB_CLAIMED);
        exchange_seq_cst(&slab->owner, owner);
        store_relaxed(&zone->used, zone->used + 1);
        store_relaxed(&zone->relink_fraction,
                      relink_fraction(zone->used << slab_shift_of(kind)));
        if (zone->used > zone->used_peak)
            store_relaxed(&zone->used_peak, zone->used);
        if (slab->is_zero)
            keep_note_needed(&zone->keep, (size_t)1 << slab_shift_of(kind));
        if (zone->used + zone->dirty + zone->purging > zone->held_peak) {
            store_relaxed(&zone->held_peak, zone->used + zone->dirty + zone->purging);
            fetch_add_relaxed(&zone->growth, 1);
            watch_note_growth();
        }
    }
    lock_release(&zone->lock, RANK_ZONE);
    if (slab != NULL) {
        slab_format(slab, zone_slab_memory(slab), cls, slab->is_zero);
        slab->relink_fraction = load_relaxed(&zone->relink_fraction);
    }
    if (log_is_on() && slab != NULL)
        log_slab(slab, LOG_SLAB_TAKEN);
    return slab;
}

/* With the lock held. The header is still ours until then. */
static void put_back(struct zone *zone, struct slab *slab, uint64_t now) {
    enum zone_kind kind = (enum zone_kind)slab->zone;
    struct range *range = &zone->ranges[slab->range];
    store_relaxed(&slab->state, SLAB_EMPTY);
    exchange_seq_cst(&slab->owner, 0);
    store_relaxed(&slab->freed_ms, now);
    hbitmap_insert(&range->empty, slab->number);
    if (!slab->is_zero) {
        hbitmap_insert(&range->dirty, slab->number);
        store_relaxed(&zone->dirty, zone->dirty + 1);
    } else {
        account_give((size_t)1 << slab_shift_of(kind));
    }
    zone->purges += slab->is_hollow;
    store_relaxed(&zone->used, zone->used - 1);
}

static void prepare_release(struct slab *slab) {
    ASSERT(slab->state == SLAB_CLAIMED);
    if (log_is_on())
        log_slab(slab, LOG_SLAB_RELEASED);
    /* A slab of which no slot was ever freed, and all are free, is as zero as it was. */
    bool is_zero = slab->fresh_from == 0 && slab->zone == ZONE_SMALL;
    /* Of a hollow one little is in memory: without that it serves only where none has any. */
    size_t bytes = (size_t)1 << slab_shift_of((enum zone_kind)slab->zone);
    slab->is_hollow = !is_zero && load_relaxed(&slab->is_hollow) &&
                      os_purge((void *)zone_slab_memory(slab), bytes);
    slab->is_zero = is_zero || slab->is_hollow;
}

static bool is_purge_due(const struct zone *zone, uint64_t now) {
    return load_relaxed(&zone->dirty) > 0 && now >= load_relaxed(&zone->next_purge_ms);
}

/* One thread at a time. */
static bool claim_purge(struct zone *zone, uint64_t now) {
    lock_acquire(&zone->lock, RANK_ZONE);
    bool due = is_purge_due(zone, now);
    if (due)
        store_relaxed(&zone->next_purge_ms, now + option_get(OPTION_purge_delay) / 2);
    lock_release(&zone->lock, RANK_ZONE);
    return due;
}

void zone_purge_due(uint64_t now) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        if (LIKELY(!is_purge_due(&zones[kind], now)) || !claim_purge(&zones[kind], now))
            continue;
        zone_purge_expired((enum zone_kind)kind, option_purge_before(now));
        watch_note_free(); /* the background thread has called zone_look_soon, if it sleeps */
    }
}

/* Those at the list's beginning that are of one zone, by one acquisition of its lock (a thread that
 * ends gives back some two dozen). Returns the others. */
static struct slab *release_some(struct slab *list, uint64_t now) {
    enum zone_kind kind = (enum zone_kind)list->zone;
    struct zone *zone = &zones[kind];
    const struct slab *bare = NULL; /* one that holds no memory */
    lock_acquire(&zone->lock, RANK_ZONE);
    while (list != NULL && list->zone == kind) {
        struct slab *slab = list;
        list = slab->next;
        slab->next = NULL;
        put_back(zone, slab, now);
        bare = slab->is_zero ? slab : bare;
    }
    if (bare != NULL && kind == ZONE_TINY)
        range_give_headers_back(zone, &zone->ranges[bare->range], bare->number, bare->number + 1);
    bool excess = zone_has_excess(kind);
    lock_release(&zone->lock, RANK_ZONE);
    zone_purge_due(now);
    if (UNLIKELY(excess))
        zone_purge_excess(kind);
    return list;
}

void zone_release_all(struct slab *list) {
    for (struct slab *slab = list; slab != NULL; slab = slab->next)
        prepare_release(slab);
    uint64_t now = list != NULL ? os_clock_ms() : 0;
    while (list != NULL)
        list = release_some(list, now);
}

void zone_release(struct slab *slab) {
    slab->next = NULL;
    zone_release_all(slab);
}

void zone_look_soon(void) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        lock_acquire(&zones[kind].lock, RANK_ZONE);
        store_relaxed(&zones[kind].next_purge_ms, 0);
        lock_release(&zones[kind].lock, RANK_ZONE);
    }
}

size_t zone_take_growth(enum zone_kind kind) {
    struct zone *zone = &zones[kind];
    if (load_relaxed(&zone->growth) == 0 ||
        load_relaxed(&zone->held_peak) << slab_shift_of(kind) <= MAKE_UP_FROM_BYTES)
        return 0;
    return exchange_acquire(&zone->growth, 0) << slab_shift_of(kind);
}

size_t zone_decommit(enum zone_kind kind) {
    struct zone *zone = &zones[kind];
    size_t bytes = 0;
    lock_acquire(&zone->lock, RANK_ZONE);
    for (unsigned i = 0; i < zone->range_count; i++)
        bytes += range_decommit_empty(&zone->ranges[i], kind, &zone->dirty);
    lock_release(&zone->lock, RANK_ZONE);
    return bytes;
}

void zone_walk(bool (*visit)(struct slab *slab, void *context), void *context) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        unsigned count = load_acquire(&zones[kind].range_count);
        for (unsigned i = 0; i < count; i++) {
            struct range *range = &zones[kind].ranges[i];
            uint32_t fresh = load_acquire(&range->fresh);
            for (uint32_t number = 0; number < fresh; number++)
                if (range_gone(range, number) == 0 &&
                    !visit(range_slab(range, number), context))
                    return;
        }
    }
}
