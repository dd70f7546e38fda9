/* Purpose: the fuzz targets' table of live blocks: contents by test/model's shadow, here what needs
 *          to know of all blocks at once: that none overlap, and that the heap counts the same. */
#include <string.h>

#include "cache/cache.h"
#include "fuzz.h"
#include "large/large.h"
#include "os/os.h"
#include "slab/zone.h"
#include "slabmalloc/slabmalloc.h"

enum { KIND_LARGE = CLASS_COUNT, KINDS };

static struct {
    struct block blocks[TABLE_SLOTS];
    const struct block *by_address[TABLE_SLOTS]; /* ascending */
    size_t count;
    size_t bytes;
    size_t live[KINDS]; /* by class, and LARGE */
    uint64_t last_id;
} table;

const struct block *table_get(unsigned slot) { return &table.blocks[slot]; }
size_t table_bytes(void) { return table.bytes; }

/* How many blocks start at or below `address`. */
static size_t rank_of(uintptr_t address) {
    size_t low = 0, high = table.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((uintptr_t)table.by_address[middle]->memory <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct block *table_find(uintptr_t address) {
    size_t rank = rank_of(address);
    if (rank == 0)
        return NULL;
    const struct block *block = table.by_address[rank - 1];
    return address - (uintptr_t)block->memory < block->usable ? block : NULL;
}

static void enter_by_address(const struct block *block) {
    uintptr_t address = (uintptr_t)block->memory;
    size_t rank = rank_of(address);
    if (table_find(address) != NULL)
        fuzz_fail("the block starts inside another", block);
    if (rank < table.count && (uintptr_t)table.by_address[rank]->memory - address < block->usable)
        fuzz_fail("the block reaches into another", block);
    memmove(&table.by_address[rank + 1], &table.by_address[rank],
            (table.count - rank) * sizeof *table.by_address);
    table.by_address[rank] = block;
    table.count++;
}

static void leave_by_address(const struct block *block) {
    size_t rank = rank_of((uintptr_t)block->memory) - 1;
    table.count--;
    memmove(&table.by_address[rank], &table.by_address[rank + 1],
            (table.count - rank) * sizeof *table.by_address);
}

static unsigned kind_of(const struct block *block) {
    const struct slab *slab = zone_find((uintptr_t)block->memory);
    return slab != NULL ? slab->cls : KIND_LARGE;
}

void table_enter(unsigned slot, struct block block) {
    block.usable = slm_malloc_usable_size(block.memory);
    block.id = ++table.last_id;
    if ((uintptr_t)block.memory % block.alignment != 0 ||
        (uintptr_t)block.memory % MIN_ALIGNMENT != 0)
        fuzz_fail("not aligned", &block);
    if (block.usable < block.size)
        fuzz_fail("less usable than asked for", &block);
    table.blocks[slot] = block;
    enter_by_address(&table.blocks[slot]);
    shadow_fill(&block);
    table.bytes += block.usable;
    table.live[kind_of(&block)]++;
}

struct block table_remove(unsigned slot) {
    struct block block = table.blocks[slot];
    if (slm_malloc_usable_size(block.memory) != block.usable)
        fuzz_fail("the usable size has changed", &block);
    if (!shadow_holds(&block, block.usable))
        fuzz_fail("the contents have changed", &block);
    leave_by_address(&table.blocks[slot]);
    table.blocks[slot].memory = NULL;
    table.bytes -= block.usable;
    table.live[kind_of(&block)]--;
    return block;
}

/* Not by the tables of core/classes.c, which the fuzzer is to find wrong if they are. */
/* The least class, or CLASS_COUNT. */
static unsigned class_expected(size_t size, size_t alignment) {
    size_t least = size > alignment ? size : alignment;
    unsigned cls = 0;
    while (cls < CLASS_COUNT && (size_classes[cls].slot_bytes < least ||
                                 size_classes[cls].slot_bytes % alignment != 0))
        cls++;
    return cls;
}

bool usable_is_expected(size_t usable, size_t size, size_t alignment) {
    unsigned cls = class_expected(size, alignment);
    if (cls == CLASS_COUNT)
        return usable == (size == 0 ? os_page_bytes : round_up(size, os_page_bytes));
    if (cls < TINY_CLASSES || alignment > MIN_ALIGNMENT)
        return usable == size_classes[cls].slot_bytes;
    unsigned last = cls - (cls - TINY_CLASSES) % COARSE_CLASSES + COARSE_CLASSES - 1;
    return usable >= size_classes[cls].slot_bytes && usable <= size_classes[last].slot_bytes;
}

void table_check_heap(void) {
    static struct slm_stats stats;
    slm_stats_get(&stats);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        if (stats.classes[cls].live != table.live[cls])
            fuzz_fail("a class has another number of live slots", NULL);
    if (stats.large.live != table.live[KIND_LARGE])
        fuzz_fail("another number of LARGE blocks", NULL);
#ifdef SLM_HAVE_CHECK_HEAP
    if (!slm_check_heap(2))
        fuzz_fail("slm_check_heap has found something", NULL);
#endif
}

/* What threads borrow outlives them, and so keeps slabs that it once allocated from. */
static bool is_accounted_for(struct slab *slab, void *context) {
    const struct cache *owner = owner_cache(slab->owner);
    if (slab->state != SLAB_EMPTY && (owner == NULL || !cache_is_borrowed(owner)))
        *(bool *)context = false;
    return true;
}

void table_check_nothing_left(void) {
    bool all_given_back = true;
    zone_walk(is_accounted_for, &all_given_back);
    if (!all_given_back)
        fuzz_fail("everything is free and every thread has ended, and a slab is still in use",
                  NULL);
}
