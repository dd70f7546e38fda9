/* Purpose: quarantine.h.
 *
 *   put -> pool (a random one of MIXED is pushed out) -> ring, oldest first -> take
 *
 * So nobody who sees in which order blocks are freed knows when one of them is used again; and each
 * stays for as long as it takes to free about quarantine_bytes more. */
#include "check/quarantine.h"

#include <string.h>

#include "check/check.h"
#include "os/metadata.h"

enum { MIXED = 64, RING_FIRST = 1024, RING_MAX = 1 << 22 };

/* The block that has to leave so much later, and so many lines of it, are brought in already: when
 * it is looked at, it was last used a quarantine ago. */
enum { SOON = 8, LINES_SOON = 4 };

static struct {
    struct kept pool[MIXED];
    struct kept *ring;
    size_t size, first, count; /* of the ring: a power of two; the oldest (counted on); how many */
    size_t bytes;              /* of all */
} kept;

/* The oldest but `age`. */
static struct kept *entry(size_t age) { return &kept.ring[(kept.first + age) & (kept.size - 1)]; }

static void bring_in(const struct kept *block) {
    cpu_prefetch_to_write(block->record);
    for (size_t line = 0; line < LINES_SOON && line * CACHE_LINE < block->room; line++)
        cpu_prefetch_to_write((const void *)(block->start + line * CACHE_LINE));
}

/* What the old ring was, is lost: as much as the new one at most. */
static bool grow(void) {
    size_t size = kept.size != 0 ? 2 * kept.size : RING_FIRST;
    if (size > RING_MAX)
        return false;
    struct kept *ring = metadata_alloc(size * sizeof *ring);
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < kept.count; i++)
        ring[i] = *entry(i);
    kept.ring = ring;
    kept.size = size;
    kept.first = 0;
    return true;
}

bool quarantine_put(struct kept block) {
    if (block.room > check_policy.quarantine_bytes)
        return false;
    if (kept.count == kept.size && !grow())
        return false;
    struct kept *mixed = &kept.pool[check_random() % MIXED];
    if (mixed->start != 0)
        *entry(kept.count++) = *mixed;
    *mixed = block;
    store_relaxed(&kept.bytes, kept.bytes + block.room);
    return true;
}

static struct kept from_pool(void) {
    for (unsigned i = 0; i < MIXED; i++) {
        struct kept block = kept.pool[i];
        if (block.start != 0) {
            kept.pool[i].start = 0;
            return block;
        }
    }
    return (struct kept){0};
}

bool quarantine_is_over(void) {
    return load_relaxed(&kept.bytes) > check_policy.quarantine_bytes;
}

struct kept quarantine_take(bool all) {
    struct kept block;
    if (!all && kept.bytes <= check_policy.quarantine_bytes)
        return (struct kept){0};
    if (kept.count > 0) {
        block = *entry(0);
        kept.first++;
        kept.count--;
        if (LIKELY(kept.count > SOON))
            bring_in(entry(SOON));
    } else {
        block = from_pool(); /* with few, large blocks */
    }
    store_relaxed(&kept.bytes, kept.bytes - block.room);
    return block;
}

void quarantine_walk(bool (*visit)(uintptr_t start, void *context), void *context) {
    for (unsigned i = 0; i < MIXED; i++)
        if (kept.pool[i].start != 0 && !visit(kept.pool[i].start, context))
            return;
    for (size_t i = 0; i < kept.count; i++)
        if (!visit(entry(i)->start, context))
            return;
}
