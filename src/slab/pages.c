/* Purpose: gives back the pages of a slab in use in which no live slot lies.
 * Owns, Locking: nothing; the slab's owner alone calls it, so no slot is taken meanwhile (or who
 *          else has these slots to himself: cache/lend.c). Others may free: what they free stays
 *          for the next time.
 *
 * The bits say which pages these are: nothing of the allocator's lies in free memory, so it can go
 * while its neighbours live. For slots larger than a page, that is every whole page of a free
 * one. */
#include "os/os.h"
#include "slab/zone.h"

/* The first slot from `from` on whose bit is set, or clear; SLAB_SLOTS_MAX or more: none. */
static size_t next_slot(const uint64_t *slots, unsigned words, size_t from, bool set) {
    uint64_t mask = UINT64_MAX << (from % 64);
    for (size_t word = from / 64; word < words; word++) {
        uint64_t bits = load_relaxed(&slots[word]);
        bits = (set ? bits : ~bits) & mask;
        if (bits != 0)
            return word * 64 + bit_lowest(bits);
        mask = UINT64_MAX;
    }
    return SLAB_SLOTS_MAX;
}

/* Of the free slots `first` up to `end`, and of what no slot uses beside them. */
static size_t purge_run(const struct slab *slab, size_t first, size_t end) {
    uintptr_t memory = zone_slab_memory(slab);
    uintptr_t from = first == 0 ? memory : (uintptr_t)slab_slot_address(slab, first);
    uintptr_t to = (uintptr_t)slab_slot_address(slab, end);
    if (end == slab->slots)
        to = memory + ((uintptr_t)1 << slab_shift_of((enum zone_kind)slab->zone));
    from = round_up(from, os_page_bytes);
    to = round_down(to, os_page_bytes);
    return from < to && os_discard((void *)from, to - from) ? to - from : 0;
}

size_t slab_purge_slots(struct slab *slab, const uint64_t *slots) {
    unsigned words = slab_words(slab);
    size_t bytes = 0;
    size_t end;
    for (size_t first = 0; (first = next_slot(slots, words, first, true)) < slab->slots;
         first = end) {
        end = next_slot(slots, words, first, false);
        if (end > slab->slots)
            end = slab->slots;
        bytes += purge_run(slab, first, end);
    }
    if (bytes > (size_t)3 << slab_shift_of((enum zone_kind)slab->zone) >> 2)
        store_relaxed(&slab->is_hollow, 1);
    return bytes;
}

size_t slab_purge_pages(struct slab *slab) {
    if (slab->purged_at == slab->countdown)
        return 0;
    slab->purged_at = slab->countdown;
    return slab_purge_slots(slab, slab->bits);
}
