/* Purpose: range.h: the headers of empty slabs go back to the system as well.
 * Owns:    a range's `gone`, which lies in front of its bitmaps, backwards.
 * Locking: the zone's, but not while memory is given back. zone_shape takes none.
 *
 * Headers and remote bits are 2 % of TINY slabs, for as many as were ever needed at once. Where all
 * slabs that have part of a page of headers are empty and hold no memory, the page goes. What reads
 * such a header finds zeros: a slab that is empty, nobody's, and in which no slot starts. Its last
 * class is in `gone`: so what was a block there can still be told, as of other empty slabs. */
#include "slab/range.h"

/* Fewer pages are not worth a system call. */
enum { HEADER_PAGES_MIN = SLM_TORTURE ? 1 : 4 };

static bool keeps_headers;

void zone_keep_headers(void) { store_relaxed(&keeps_headers, true); }

bool range_header_is_gone(const struct range *range, size_t number) {
    return range_gone(range, number) != 0;
}

struct place {
    enum zone_kind kind;
    unsigned index; /* of the range */
    size_t number;
};

/* Which slab a header is of: false if it is in no table. */
static bool find_place(const struct slab *slab, struct place *place) {
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        unsigned count = load_acquire(&zones[kind].range_count);
        for (unsigned i = 0; i < count; i++) {
            const struct range *range = &zones[kind].ranges[i];
            uintptr_t offset = (uintptr_t)slab - range->headers;
            if (offset >= range->count * sizeof *slab)
                continue;
            *place = (struct place){(enum zone_kind)kind, i, offset / sizeof *slab};
            return true;
        }
    }
    return false;
}

static void name(struct slab *slab, const struct place *place) {
    store_relaxed(&slab->zone, (uint8_t)place->kind);
    store_relaxed(&slab->range, (uint16_t)place->index);
    store_relaxed(&slab->number, (uint32_t)place->number);
}

/* By the header's address: a thread that frees what is free already may find the header empty. */
uint64_t *zone_give_remote_bits(struct slab *slab) {
    struct place place = {ZONE_TINY, 0, 0};
    find_place(slab, &place);
    struct range *range = &zones[place.kind].ranges[place.index];
    uint64_t *bits = range_remote_bits(range, place.number);
    store_relaxed(&range->has_remote, true);
    store_relaxed(&slab->remote_bits, bits); /* whoever else does it just now stores the same */
    return bits;
}

/* What a thread that freed a free block left behind; zero is not written to, to take no memory. */
static void clear_remote(const struct range *range, size_t number) {
    uint64_t *bits = range_remote_bits(range, number);
    for (unsigned w = 0; load_relaxed(&range->has_remote) && w < SLAB_WORDS; w++)
        if (load_relaxed(&bits[w]) != 0)
            store_relaxed(&bits[w], 0);
}

/* An empty slab with a name gets the shape that it had in its last life. */
static void put_shape(struct slab *slab, unsigned cls) {
    store_relaxed(&slab->state, SLAB_CLAIMED);
    slab_format(slab, zone_slab_memory(slab), cls, false);
    store_relaxed(&slab->state, SLAB_EMPTY);
}

struct slab *range_name_slab(struct range *range, unsigned index, enum zone_kind kind,
                             size_t number) {
    struct slab *slab = range_slab(range, number);
    unsigned gone = range_gone(range, number);
    if (gone != 0 || number == range->fresh)
        name(slab, &(struct place){kind, index, number});
    if (gone != 0) {
        clear_remote(range, number);
        put_shape(slab, gone % GONE_DECOMMITTED - 1);
        slab->is_decommitted = gone >= GONE_DECOMMITTED;
        range_set_gone(range, number, 0);
    }
    return slab;
}

const struct slab *zone_shape(const struct slab *slab, struct slab *copy) {
    struct place place;
    *copy = *slab;
    if (LIKELY(copy->slot_bytes != 0) || !find_place(slab, &place))
        return copy;
    unsigned gone = range_gone(&zones[place.kind].ranges[place.index], place.number);
    if (gone == 0)
        return copy;
    *copy = (struct slab){0};
    name(copy, &place);
    put_shape(copy, gone % GONE_DECOMMITTED - 1);
    return copy;
}

/* --- giving back ------------------------------------------------------------------------------ */

/* Empty, without memory, and its header is still there. */
static bool is_bare(const struct range *range, size_t number) {
    if (number >= range->fresh || range_gone(range, number) != 0 ||
        !hbitmap_has(&range->empty, number) || hbitmap_has(&range->dirty, number))
        return false;
    const struct slab *slab = range_slab(range, number);
    return !slab->is_decommitted && slab->slot_bytes != 0;
}

/* Whole pages of a table of which slabs `first` to `end` have entries. */
static struct os_run pages_of(uintptr_t table, size_t entry_bytes, size_t first, size_t end) {
    uintptr_t from = round_up(table + first * entry_bytes, os_page_bytes);
    uintptr_t to = round_down(table + end * entry_bytes, os_page_bytes);
    return (struct os_run){from, to > from ? to - from : 0, false};
}

/* With the lock held: what has a header in these pages is in nobody's reach. */
static void take_out(struct zone *zone, struct range *range, size_t first, size_t end) {
    for (size_t number = first; number < end; number++) {
        range_set_gone(range, number, range_slab(range, number)->cls + 1u);
        hbitmap_remove(&range->empty, number);
    }
    zone->bare += end - first;
}

static void put_in(struct zone *zone, struct range *range, size_t first, size_t end, bool stay) {
    for (size_t number = first; number < end; number++) {
        if (stay)
            range_set_gone(range, number, 0);
        hbitmap_insert(&range->empty, number);
    }
    zone->bare -= end - first;
}

void range_give_headers_back(struct zone *zone, struct range *range, size_t first, size_t end) {
    if (load_relaxed(&keeps_headers))
        return;
    while (first < end && !is_bare(range, first)) /* another thread's by now */
        first++;
    if (first == end)
        return;
    end = first + 1;
    while (is_bare(range, end))
        end++;
    while (first > 0 && is_bare(range, first - 1))
        first--;
    struct os_run headers = pages_of(range->headers, sizeof(struct slab), first, end);
    if (headers.bytes < HEADER_PAGES_MIN * os_page_bytes)
        return;
    first = (headers.address - range->headers) / sizeof(struct slab);
    end = (headers.address + headers.bytes - 1 - range->headers) / sizeof(struct slab) + 1;
    take_out(zone, range, first, end);
    lock_release(&zone->lock, RANK_ZONE);
    bool is_done = os_discard((void *)headers.address, headers.bytes);
    struct os_run remote = pages_of(range->remote, SLAB_REMOTE_BYTES, first, end);
    if (is_done && load_relaxed(&range->has_remote) && remote.bytes > 0)
        os_discard((void *)remote.address, remote.bytes);
    lock_acquire(&zone->lock, RANK_ZONE);
    put_in(zone, range, first, end, !is_done);
}
