/* Purpose: unwind_known.h. */
#include "os/unwind_known.h"

#include "base/atomic.h"
#include "base/bits.h"

enum { PLACES_SHIFT = 12, PLACES = 1 << PLACES_SHIFT };
enum { OFFSET_BITS = 24, SAVED_BITS = 14, FLAGS = 3, SUM_SHIFT = FLAGS + OFFSET_BITS + SAVED_BITS };

static struct {
    uint64_t key, value;
} places[PLACES];

/* The upper bits are a sum of the file's place and entry; the lowest is set: 0 is nothing. */
static uint64_t pack(const struct os_object *object, const struct unwind_known *known) {
    uint64_t sum = ((uintptr_t)object->map ^ object->start) * GOLDEN_64 >> SUM_SHIFT << SUM_SHIFT;
    return sum | (uint64_t)known->saved_below << (FLAGS + OFFSET_BITS) |
           (uint64_t)known->offset << FLAGS | (uint64_t)known->by_frame << 2 |
           (uint64_t)known->is_end << 1 | 1;
}

void unwind_remember(uintptr_t code, const struct os_object *object,
                     const struct unwind_known *known) {
    uint64_t value = pack(object, known);
    size_t place = code * GOLDEN_64 >> (64 - PLACES_SHIFT);
    if (known->offset >> OFFSET_BITS != 0 || known->saved_below >> SAVED_BITS != 0)
        return;
    store_relaxed(&places[place].key, code ^ value);
    store_relaxed(&places[place].value, value);
}

bool unwind_recall(uintptr_t code, const struct os_object *object, struct unwind_known *known) {
    size_t place = code * GOLDEN_64 >> (64 - PLACES_SHIFT);
    uint64_t key = load_relaxed(&places[place].key);
    uint64_t value = load_relaxed(&places[place].value);
    static const struct unwind_known nothing;
    if ((key ^ value) != code || value == 0 ||
        (value ^ pack(object, &nothing)) >> SUM_SHIFT != 0)
        return false;
    known->is_end = value >> 1 & 1;
    known->by_frame = value >> 2 & 1;
    known->offset = value >> FLAGS & ((1u << OFFSET_BITS) - 1);
    known->saved_below = value >> (FLAGS + OFFSET_BITS) & ((1u << SAVED_BITS) - 1);
    return true;
}
