/* Protects: slm_memory_breakdown against what the kernel says: from phase to phase (grow, free half
 * at random, trim, free all, trim) the heap's resident bytes change by what /proc/self/smaps
 * counts, within 1 %; in each phase the parts add up to the total, within 1 % too, and the live
 * part to what lives. */
#include "smaps.h"

enum { BLOCKS = 60000 / (SLOWNESS > 4 ? 4 : 1), LARGES = 40, PER_CENT = 1 };

static void *blocks[BLOCKS + LARGES];
static size_t sizes[BLOCKS + LARGES];

static size_t sum_of_parts(const struct slm_breakdown *b) {
    const struct slm_part *parts[] = {&b->live_slots, &b->large_live,  &b->free_slots,
                                      &b->rests,      &b->empty_slabs, &b->large_spare,
                                      &b->large_free, &b->metadata};
    size_t sum = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sum += parts[i]->resident_bytes;
    return sum;
}

static void expect_near(const char *phase, const char *what, size_t is, size_t should) {
    size_t slack = should / 100 * PER_CENT + 64 * 1024;
    CHECK(is + slack >= should && is <= should + slack, "%s: %s: %zu KiB, not %zu KiB", phase,
          what, is >> 10, should >> 10);
}

static size_t usable_bytes(void) {
    size_t bytes = 0;
    for (size_t i = 0; i < BLOCKS + LARGES; i++)
        bytes += blocks[i] != NULL ? malloc_usable_size(blocks[i]) : 0;
    return bytes;
}

static size_t heap_at_start, system_at_start;

static void measure(const char *phase) {
    static struct slm_breakdown b;
    if (!slm_memory_breakdown(&b))
        SKIP("mincore: %s", strerror(errno));
    size_t system = smaps_total("Anonymous:");
    size_t live = b.live_slots.resident_bytes + b.large_live.resident_bytes;
    if (system_at_start == 0) {
        system_at_start = system;
        heap_at_start = b.total.resident_bytes;
    }
    dprintf(1, "%-16s heap %7zu KiB: live %7zu, free slots %6zu, empty %6zu; kernel %7zu\n",
            phase, b.total.resident_bytes >> 10, live >> 10, b.free_slots.resident_bytes >> 10,
            b.empty_slabs.resident_bytes >> 10, system >> 10);
    expect_near(phase, "the parts", sum_of_parts(&b), b.total.resident_bytes);
    expect_near(phase, "the heap's growth", b.total.resident_bytes + system_at_start,
                system + heap_at_start);
    expect_near(phase, "what lives", live, usable_bytes());
}

static void grow(uint64_t *state) {
    for (size_t i = 0; i < BLOCKS + LARGES; i++) {
        sizes[i] = i < BLOCKS ? random_size(state) % 20000 + 1
                              : 150000 + random_below(state, 1500000);
        blocks[i] = malloc(sizes[i]);
        CHECK(blocks[i] != NULL, "malloc(%zu)", sizes[i]);
        memset(blocks[i], 1, malloc_usable_size(blocks[i]));
    }
}

static void release(size_t i) {
    free(blocks[i]);
    blocks[i] = NULL;
}

int main(void) {
    uint64_t state = random_seed(3);
    memset(blocks, 1, sizeof blocks); /* the tables' pages are there before the first measurement */
    memset(sizes, 1, sizeof sizes);
    memset(blocks, 0, sizeof blocks);
    free(malloc(1));
    measure("at the start");
    measure("once more");
    grow(&state);
    measure("grown");
    for (size_t i = 0; i < BLOCKS + LARGES; i++)
        if (random_below(&state, 2) == 0)
            release(i);
    measure("half is freed");
    malloc_trim(0);
    measure("trimmed");
    for (size_t i = 0; i < BLOCKS + LARGES; i++)
        release(i);
    measure("all is freed");
    malloc_trim(0);
    measure("trimmed again");
    return 0;
}
