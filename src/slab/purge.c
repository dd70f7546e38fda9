/* Purpose: zone.h: the memory of empty slabs goes back to the system.
 * Owns:    nothing; what a purge has in hand is in no set, and counted as `purging`.
 * Locking: the zone's, but not while memory is given back. */
#include "core/account.h"
#include "core/options.h"
#include "slab/range.h"

/* Excess goes when it is more than this part of what may be kept, and a few times in turn, as long
 * as other threads make more of it; but not more than so many bytes in one call of free. */
enum { EXCESS_PART = 4, EXCESS_ROUNDS = 8, EXCESS_BYTES_MAX = 32 << 20 };

/* What one trial whether purges are honest is enough for (os_purge_runs). */
enum { RUNS_AT_ONCE = 16 };

static bool is_old_dirty(const struct range *range, size_t number, uint64_t before_ms) {
    return number < range->fresh && hbitmap_has(&range->dirty, number) &&
           range_slab(range, number)->freed_ms < before_ms;
}

/* A part of a huge page goes back only when all that is free is to: the system has to split it, and
 * keeps the part until it is short of memory. Sets where the run that `number` is in may begin, and
 * its most slabs; or, if none of it may go, returns false and where to look on. */
static bool is_run(const struct range *range, size_t shift, uint64_t before_ms, size_t *number,
                   size_t *most) {
    size_t count = HUGE_PAGE_BYTES >> shift;
    if (*number < range->huge_from || before_ms == PURGE_EVERYTHING) {
        bool old = is_old_dirty(range, *number, before_ms);
        *number += !old;
        return old;
    }
    *most = count;
    *number = round_down(*number, count);
    for (size_t n = *number; n < *number + count; n++)
        if (!is_old_dirty(range, n, before_ms)) {
            *number += count;
            return false;
        }
    return true;
}

/* With the lock held: takes a run of at most `most` neighbouring dirty slabs, or one huge page of
 * them, out of the sets. Its length, or 0. */
static size_t take_dirty_run(struct zone *zone, struct range *range, size_t shift,
                             uint64_t before_ms, size_t most, size_t from, size_t *start) {
    size_t number = hbitmap_next(&range->dirty, from);
    while (number != SIZE_MAX && !is_run(range, shift, before_ms, &number, &most))
        number = hbitmap_next(&range->dirty, number);
    if (number == SIZE_MAX)
        return 0;
    *start = number;
    while (number - *start < most && is_old_dirty(range, number, before_ms)) {
        hbitmap_remove(&range->dirty, number);
        hbitmap_remove(&range->empty, number);
        number++;
    }
    store_relaxed(&zone->dirty, zone->dirty - (number - *start));
    zone->purging += number - *start;
    return number - *start;
}

/* Which slabs are to go: so many at most, but for the lowest `kept`, which are used again first. */
struct wanted {
    uint64_t before_ms;
    size_t most, kept;
};

/* With the lock held: where to begin. */
static size_t skip_kept(const struct range *range, struct wanted *wanted) {
    size_t skipped;
    size_t start = hbitmap_skip(&range->dirty, wanted->kept, &skipped);
    wanted->kept -= skipped;
    return start;
}

/* With the lock held: takes runs out of the sets, from `*start` on. How many. */
static unsigned take_runs(struct zone *zone, struct range *range, size_t shift,
                          struct wanted *wanted, size_t *start, struct os_run *runs) {
    unsigned count = 0;
    while (count < RUNS_AT_ONCE && wanted->most > 0) {
        size_t length = take_dirty_run(zone, range, shift, wanted->before_ms, wanted->most, *start,
                                       start);
        if (length == 0)
            break;
        runs[count++] = (struct os_run){range->base + (*start << shift), length << shift, false};
        *start += length;
        wanted->most -= length < wanted->most ? length : wanted->most; /* a huge page is whole */
    }
    return count;
}

/* With the lock held: puts a run back, purged or not. Returns how many slabs were. */
static size_t put_run(struct zone *zone, struct range *range, size_t shift,
                      const struct os_run *run) {
    size_t start = (run->address - range->base) >> shift;
    size_t length = run->bytes >> shift;
    zone->purges++;
    zone->purging -= length;
    for (size_t number = start; number < start + length; number++) {
        range_slab(range, number)->is_zero = run->is_zero;
        hbitmap_insert(&range->empty, number);
        if (!run->is_zero)
            hbitmap_insert(&range->dirty, number);
    }
    if (run->is_zero)
        return length;
    store_relaxed(&zone->dirty, zone->dirty + length);
    return 0;
}

static void give_headers_back(struct zone *zone, struct range *range, const struct os_run *run) {
    size_t first = (run->address - range->base) >> TINY_SLAB_SHIFT;
    if (run->is_zero)
        range_give_headers_back(zone, range, first, first + (run->bytes >> TINY_SLAB_SHIFT));
}

/* Returns how many slabs. */
static size_t purge_range(struct zone *zone, struct range *range, size_t shift,
                          struct wanted *wanted) {
    struct os_run runs[RUNS_AT_ONCE];
    size_t purged = 0;
    unsigned count;
    lock_acquire(&zone->lock, RANK_ZONE);
    size_t start = skip_kept(range, wanted);
    while ((count = take_runs(zone, range, shift, wanted, &start, runs)) > 0) {
        lock_release(&zone->lock, RANK_ZONE);
        os_purge_runs(runs, count);
        lock_acquire(&zone->lock, RANK_ZONE);
        for (unsigned i = 0; i < count; i++)
            purged += put_run(zone, range, shift, &runs[i]);
        for (unsigned i = 0; shift == TINY_SLAB_SHIFT && i < count; i++)
            give_headers_back(zone, range, &runs[i]);
    }
    lock_release(&zone->lock, RANK_ZONE);
    account_give(purged << shift);
    return purged;
}

/* Returns the bytes. */
static size_t purge_zone(enum zone_kind kind, struct wanted wanted) {
    struct zone *zone = &zones[kind];
    size_t shift = slab_shift_of(kind);
    size_t purged = 0;
    unsigned count = load_acquire(&zone->range_count);
    for (unsigned i = 0; i < count && wanted.most > 0; i++)
        purged += purge_range(zone, &zone->ranges[i], shift, &wanted);
    return purged << shift;
}

size_t zone_purge(enum zone_kind kind, uint64_t before_ms) {
    return purge_zone(kind, (struct wanted){before_ms, SIZE_MAX, 0});
}

size_t zone_purge_expired(enum zone_kind kind, uint64_t before_ms) {
    struct zone *zone = &zones[kind];
    size_t bytes = zone_purge(kind, before_ms);
    if (bytes > 0) {
        lock_acquire(&zone->lock, RANK_ZONE);
        keep_note_expired(&zone->keep, bytes);
        lock_release(&zone->lock, RANK_ZONE);
    }
    return bytes;
}

static size_t kept_slabs(const struct zone *zone, size_t shift) {
    return keep_most(&zone->keep, zone->used / KEEP_FREE_LIVE_PART << shift) >> shift;
}

bool zone_has_excess(enum zone_kind kind) {
    const struct zone *zone = &zones[kind];
    size_t kept = kept_slabs(zone, slab_shift_of(kind));
    return zone->dirty > kept && zone->dirty - kept > kept / EXCESS_PART;
}

/* With the lock held: what is more than may be kept, `most` slabs of it. */
static struct wanted note_excess(struct zone *zone, size_t shift, size_t most) {
    size_t kept = kept_slabs(zone, shift);
    struct wanted wanted = {PURGE_ANY_AGE, zone->dirty > kept ? zone->dirty - kept : 0, kept};
    if (wanted.most > most)
        wanted.most = most;
    if (wanted.most > 0)
        keep_note_gone(&zone->keep, wanted.most << shift);
    return wanted;
}

/* One thread at a time: two would both give back the same excess. */
void zone_purge_excess(enum zone_kind kind) {
    struct zone *zone = &zones[kind];
    size_t shift = slab_shift_of(kind);
    size_t most = EXCESS_BYTES_MAX >> shift;
    keep_note_excess();
    if (exchange_acquire(&zone->has_purger, 1) != 0)
        return;
    for (unsigned round = 0; round < EXCESS_ROUNDS && most > 0; round++) {
        lock_acquire(&zone->lock, RANK_ZONE);
        struct wanted wanted = note_excess(zone, shift, most);
        lock_release(&zone->lock, RANK_ZONE);
        size_t purged = purge_zone(kind, wanted) >> shift;
        if (purged == 0)
            break;
        most -= purged < most ? purged : most;
    }
    store_release(&zone->has_purger, 0);
}

size_t zone_purge_some(enum zone_kind kind, size_t bytes) {
    struct zone *zone = &zones[kind];
    size_t shift = slab_shift_of(kind);
    size_t keep = (KEEP_DIRTY_BYTES >> shift) + load_relaxed(&zone->used) / KEEP_DIRTY_PART;
    size_t may = keep_may_make_up(&zone->keep, load_relaxed(&zone->dirty) << shift) >> shift;
    size_t most = (bytes + ((size_t)1 << shift) - 1) >> shift;
    if (may <= keep)
        return 0;
    if (most > may - keep)
        most = may - keep;
    size_t purged = purge_zone(kind, (struct wanted){PURGE_ANY_AGE, most, 0});
    if (purged > 0) {
        lock_acquire(&zone->lock, RANK_ZONE);
        keep_note_made_up(&zone->keep, purged);
        lock_release(&zone->lock, RANK_ZONE);
    }
    return purged;
}

static void recover_range(struct zone *zone, struct range *range) {
    for (uint32_t number = 0; number < range->fresh; number++) {
        struct slab *slab = range_slab(range, number);
        if (slab->state != SLAB_EMPTY || hbitmap_has(&range->empty, number) ||
            slab_is_guard(slab))
            continue;
        hbitmap_insert(&range->empty, number);
        if (range_gone(range, number) != 0) {
            zone->bare--;
            continue;
        }
        zone->purging--;
        slab->is_zero = 0;
        hbitmap_insert(&range->dirty, number);
        store_relaxed(&zone->dirty, zone->dirty + 1);
    }
}

void zone_recover_purged(void) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        store_relaxed(&zones[kind].has_purger, 0);
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        for (unsigned i = 0; zones[kind].purging + zones[kind].bare > 0 &&
                             i < zones[kind].range_count;
             i++)
            recover_range(&zones[kind], &zones[kind].ranges[i]);
}
