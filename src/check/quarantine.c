/* Purpose: quarantine.h.
 *
 *   put -> pool (a random one of MIXED is pushed out) -> ring, oldest first -> take
 *
 * So nobody who sees in which order blocks are freed knows when one of them is used again; and each
 * stays for as long as it takes to free about quarantine_bytes more. */
#include "check/quarantine.h"

#include <string.h>

#include "check/check.h"
#include "check/locks.h"
#include "os/metadata.h"

enum { MIXED = 64, RING_FIRST = 1024, RING_MAX = 1 << 22 };

/* The block that has to leave so much later, and so many lines of it, are brought in already: when
 * it is looked at, it was last used a quarantine ago. */
enum { SOON = 8, LINES_SOON = 4 };

/* What a row has freed last: so threads that run at once do not wait for each other. */
struct part {
    struct kept pool[MIXED];
    struct kept *ring;
    size_t size, first, count; /* of the ring: a power of two; the oldest (counted on); how many */
    size_t bytes;              /* of all; others look */
} CACHE_ALIGNED;

/* With more than one thread, a part counts when it is off by more than this part of the limit: or
 * all would wait for the one word. So that is how much, for each processor, may be too many. */
enum { UNCOUNTED_PART = 64 };

static struct part parts[ROWS_MAX];
static uint64_t parts_used; /* a bit for each that has ever had a block */
static size_t half_share;   /* of the limit, of each of these */

size_t kept_bytes;
struct kept_off kept_off[ROWS_MAX];

HOT_INLINE void enter(unsigned row) {
    lock_acquire_often(&check_kept_locks[row].lock, RANK_KEPT);
}
HOT_INLINE void leave(unsigned row) { lock_release_often(&check_kept_locks[row].lock, RANK_KEPT); }

/* With the row's lock held: so many more, or fewer. */
HOT_INLINE void count(unsigned row, size_t bytes) {
    size_t most = check_policy.quarantine_bytes / UNCOUNTED_PART;
    size_t off = kept_off[row].bytes + bytes;
    store_relaxed(&parts[row].bytes, parts[row].bytes + bytes);
    if (lock_is_alone()) {
        store_relaxed(&kept_bytes, kept_bytes + off);
        off = 0;
    } else if (UNLIKELY(off + most > 2 * most)) {
        fetch_add_relaxed(&kept_bytes, off);
        off = 0;
    }
    store_relaxed(&kept_off[row].bytes, off);
}

/* The oldest but `age`. */
static struct kept *entry(const struct part *part, size_t age) {
    return &part->ring[(part->first + age) & (part->size - 1)];
}

static void bring_in(const struct kept *block) {
    cpu_prefetch_to_write(block->record);
    for (size_t line = 0; line < LINES_SOON && line * CACHE_LINE < block->room; line++)
        cpu_prefetch_to_write((const void *)(block->start + line * CACHE_LINE));
}

/* What the old ring was, is lost: as much as the new one at most. */
static bool grow(struct part *part) {
    size_t size = part->size != 0 ? 2 * part->size : RING_FIRST;
    if (size > RING_MAX)
        return false;
    struct kept *ring = metadata_alloc(size * sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < part->count; i++)
        ring[i] = *entry(part, i);
    part->ring = ring;
    part->size = size;
    part->first = 0;
    return true;
}

static bool put(unsigned row, const struct kept *block) {
    struct part *part = &parts[row];
    if (part->count == part->size && !grow(part))
        return false;
    struct kept *mixed = &part->pool[check_random() % MIXED];
    if (mixed->start != 0)
        *entry(part, part->count++) = *mixed;
    *mixed = *block;
    count(row, block->room);
    return true;
}

/* Two rows at once may find the share that was before the other's; the next one mends it. */
static COLD void note_used(uint64_t bit) {
    uint64_t used = __atomic_or_fetch(&parts_used, bit, __ATOMIC_RELAXED);
    store_relaxed(&half_share, check_policy.quarantine_bytes / bit_count(used) / 2);
}

bool quarantine_put(struct kept block) {
    unsigned row = check_row();
    if (block.room > check_policy.quarantine_bytes)
        return false;
    if (UNLIKELY((load_relaxed(&parts_used) >> row & 1) == 0))
        note_used((uint64_t)1 << row);
    enter(row);
    bool done = put(row, &block);
    leave(row);
    return done;
}

static struct kept from_pool(struct part *part) {
    for (unsigned i = 0; i < MIXED; i++) {
        struct kept block = part->pool[i];
        if (block.start != 0) {
            part->pool[i].start = 0;
            return block;
        }
    }
    return (struct kept){0};
}

static struct kept take(unsigned row) {
    struct part *part = &parts[row];
    struct kept block;
    if (LIKELY(part->count > 0)) {
        block = *entry(part, 0);
        part->first++;
        part->count--;
        if (LIKELY(part->count > SOON))
            bring_in(entry(part, SOON));
    } else {
        block = from_pool(part); /* with few, large blocks */
    }
    count(row, -(size_t)block.room);
    return block;
}

/* Where this row has less than half of its share: one that has all of its own. There is one, if all
 * together are over the limit, but for what is not counted yet: then any will do. */
static COLD unsigned find_row(unsigned row) {
    size_t share = 2 * load_relaxed(&half_share);
    for (uint64_t used = load_relaxed(&parts_used); used != 0; used &= used - 1) {
        unsigned other = (unsigned)bit_lowest(used);
        size_t has = load_relaxed(&parts[other].bytes);
        if (has > 0)
            row = other;
        if (has >= share)
            break;
    }
    return row;
}

struct kept quarantine_take_one(bool any) {
    unsigned row = check_row();
    struct kept block = {0};
    if (UNLIKELY(load_relaxed(&parts[row].bytes) <= (any ? 0 : load_relaxed(&half_share))))
        row = find_row(row);
    enter(row);
    if (LIKELY(parts[row].bytes > 0))
        block = take(row);
    leave(row);
    return block;
}

void quarantine_walk(bool (*visit)(uintptr_t start, void *context), void *context) {
    for (uint64_t used = parts_used; used != 0; used &= used - 1) {
        const struct part *part = &parts[bit_lowest(used)];
        for (unsigned i = 0; i < MIXED; i++)
            if (part->pool[i].start != 0 && !visit(part->pool[i].start, context))
                return;
        for (size_t i = 0; i < part->count; i++)
            if (!visit(entry(part, i)->start, context))
                return;
    }
}
