/* Purpose: memory held against memory live over a long run whose sizes shift (field case F8): grows
 * to MIB of blocks whose sizes are spread evenly over the powers of two from 16 to 4096 bytes,
 * frees a random 90 % of them, grows again with sizes 1.3 times as large, CYCLES times.
 *
 * Goal: RSS at most 1.3 times what lives at the end of each phase. Today, after malloc_trim: 1.1 in
 * the first growing phase, 1.4 to 1.7 in the others; 11 to 15 after freeing, for a slab goes back
 * only when all of it is free. Blocks can't be moved, so no heap gets below the pages that hold a
 * live byte: they are printed beside, as what could be gained (2 to 3.4).
 * Protects: FIRST_PERCENT, GROWN_PERCENT and FREED_PERCENT; that freeing never takes memory.
 *
 * fragmentation MIB */
#include "held.h"

enum { CYCLES = 5, DOUBLINGS = 8, MEAN_LEAST = 700 };
enum { GOAL_PERCENT = 130, FIRST_PERCENT = 120, GROWN_PERCENT = 190, FREED_PERCENT = 1700 };

struct entry {
    unsigned char *address;
    size_t bytes;
};

static struct entry *entries;
static size_t entry_max, entry_count, live, start;
static uint64_t state;

/* 1.3 to the power of `cycle` times the sizes of the first. */
static size_t shifted_size(size_t cycle) {
    size_t bytes = log_uniform(&state, 16, DOUBLINGS);
    for (size_t i = 0; i < cycle; i++)
        bytes += bytes * 3 / 10;
    return bytes;
}

static void grow(size_t target, size_t cycle) {
    while (live < target) {
        struct entry entry = {NULL, shifted_size(cycle)};
        CHECK(entry_count < entry_max, "the table is full");
        entry.address = malloc(entry.bytes);
        CHECK(entry.address != NULL, "malloc(%zu)", entry.bytes);
        memset(entry.address, (int)(entry.bytes % 251), entry.bytes);
        entries[entry_count++] = entry;
        live += entry.bytes;
    }
}

static void free_most(void) {
    size_t keep = entry_count / 10;
    while (entry_count > keep) {
        struct entry *entry = &entries[random_below(&state, entry_count)];
        CHECK(entry->address[0] == entry->bytes % 251 &&
              entry->address[entry->bytes - 1] == entry->bytes % 251, "a block is damaged");
        free(entry->address);
        live -= entry->bytes;
        *entry = entries[--entry_count];
    }
}

static int by_address(const void *a, const void *b) {
    const struct entry *first = a, *second = b;
    return (first->address > second->address) - (first->address < second->address);
}

/* Heap sort: glibc's qsort allocates. */
static void sift_down(size_t root, size_t count) {
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && by_address(&entries[child], &entries[child + 1]) < 0)
            child++;
        if (by_address(&entries[root], &entries[child]) >= 0)
            return;
        struct entry swapped = entries[root];
        entries[root] = entries[child];
        entries[child] = swapped;
    }
}

/* Bytes of the pages that hold a byte of a live block. */
static size_t live_page_bytes(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 0;
    for (size_t i = entry_count / 2; i-- > 0;)
        sift_down(i, entry_count);
    for (size_t count = entry_count; count-- > 1;) {
        struct entry largest = entries[0];
        entries[0] = entries[count];
        entries[count] = largest;
        sift_down(0, count);
    }
    uintptr_t next = 0; /* page number not counted yet */
    for (size_t i = 0; i < entry_count; i++) {
        uintptr_t first = (uintptr_t)entries[i].address / page;
        uintptr_t end = ((uintptr_t)entries[i].address + entries[i].bytes - 1) / page + 1;
        first = first < next ? next : first;
        pages += end > first ? end - first : 0;
        next = end > next ? end : next;
    }
    return pages * page;
}

/* Returns RSS in percent of live, after malloc_trim. */
static size_t phase_end(const char *phase, size_t cycle) {
    size_t rss = rss_since(start);
    malloc_trim(0);
    size_t trimmed = rss_since(start);
    size_t percent = trimmed * 100 / live;
    printf("cycle %zu %-7s live %7.1f MiB, RSS/live %5.2f, trimmed %5.2f, live pages %5.2f%s\n",
           cycle, phase, (double)live / MIB, (double)rss / (double)live,
           (double)trimmed / (double)live, (double)live_page_bytes() / (double)live,
           percent <= GOAL_PERCENT ? "" : "  above the goal of 1.30");
    fflush(stdout);
    return percent;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: fragmentation MIB");
    size_t target = number_argument(argv[1]) * MIB;
    need_memory(3 * target);
    state = random_seed(8);
    entry_max = target / MEAN_LEAST * 5 / 4;
    entries = map_table(entry_max * sizeof *entries);
    memset(entries, 0, entry_max * sizeof *entries);
    free(malloc(1));
    start = rss_bytes();
    for (size_t cycle = 0; cycle < CYCLES; cycle++) {
        grow(target, cycle);
        size_t grown = phase_end("grown", cycle);
        CHECK(grown >= 100, "the blocks are not resident");
        CHECK(grown <= (cycle == 0 ? FIRST_PERCENT : GROWN_PERCENT),
              "cycle %zu: RSS is %zu %% of live", cycle, grown);
        size_t full = rss_since(start);
        free_most();
        size_t freed = phase_end("freed", cycle);
        CHECK(freed <= FREED_PERCENT, "cycle %zu: RSS is %zu %% of live", cycle, freed);
        CHECK(rss_since(start) <= full + MIB, "freeing made it grow");
    }
    heap_check("at the end");
    return 0;
}
