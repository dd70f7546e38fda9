/* Purpose: what the heap says about any pointer (field cases A9, D12): white box, so that a wrong
 *          pointer is answered with its fault and does not end the process.
 *
 * The table knows exactly which addresses are live blocks and which lie inside one. Of the others
 * it knows that they are not; why not depends on what the heap keeps of the past, so that several
 * answers may be right, unless the address was chosen so that only one is. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "heap/heap.h"
#include "large/large.h"
#include "os/os.h"
#include "slab/zone.h"

enum { REMEMBERED = 16 };

static struct {
    uintptr_t addresses[REMEMBERED];
    unsigned next;
} freed;

static void fail_at(const char *what, uintptr_t address, const struct block *inside) {
    struct block block = {.memory = (unsigned char *)address};
    if (inside != NULL)
        block.size = inside->size, block.usable = inside->usable;
    fuzz_fail(what, &block);
}

/* The address lies in a live block: the layer below heap_usable knows which. */
static void check_inside(uintptr_t address, const struct block *block, enum fault fault) {
    uintptr_t start = (uintptr_t)block->memory;
    const struct slab *slab = zone_find(address);
    if (fault != (address == start ? FAULT_NONE : FAULT_INTERIOR))
        fail_at("an address in a live block has another verdict than due", address, block);
    if (slab != NULL) {
        size_t slot;
        if (slab_examine(slab, address, &slot) != fault ||
            (uintptr_t)slab_slot_address(slab, slot) != start)
            fail_at("slab_examine sees another slot", address, block);
    } else {
        uintptr_t found = 0;
        size_t bytes = 0;
        if (large_examine(address, &found, &bytes) != fault || found != start ||
            bytes < block->usable)
            fail_at("large_examine sees another block", address, block);
    }
}

static void check_outside(uintptr_t address, enum fault fault) {
    bool in_zone = zone_find(address) != NULL;
    if (fault == FAULT_NONE)
        fail_at("a live block is found where none is", address, NULL);
    if (in_zone ? fault == FAULT_FOREIGN : fault == FAULT_PADDING || fault == FAULT_EMPTY_SLAB)
        fail_at("a verdict that can't be in that place", address, NULL);
    /* What free would be told; and it must leave everything alone. */
    if (address != 0 && heap_free((void *)address) != fault)
        fail_at("free sees another fault than the query", address, NULL);
}

static enum fault query(uintptr_t address) {
    const struct block *block = table_find(address);
    enum fault fault = FAULT_LATE_DOUBLE;
    size_t usable = heap_usable((void *)address, &fault);
    bool is_start = block != NULL && (uintptr_t)block->memory == address;
    if (usable != (is_start ? block->usable : 0))
        fail_at("the query gives another usable size", address, block);
    if (block != NULL)
        check_inside(address, block, fault);
    else
        check_outside(address, fault);
    return fault;
}

void query_address(uintptr_t address) { query(address); }

static void query_for(uintptr_t address, enum fault due) {
    if (table_find(address) == NULL && query(address) != due)
        fail_at("the verdict is not the only right one", address, NULL);
}

void query_freed(const struct block *block) {
    uintptr_t address = (uintptr_t)block->memory;
    enum fault fault = query(address);
    bool unmapped = zone_find(address) == NULL && fault == FAULT_FOREIGN;
    if (fault != FAULT_DOUBLE_FREE && !unmapped)
        fail_at("a block just freed is not known as freed", address, NULL);
    freed.addresses[freed.next++ % REMEMBERED] = address;
}

/* Where a slab of a live block has no slots: before the first of them and behind the last. */
static void query_padding(const struct block *block) {
    const struct slab *slab = zone_find((uintptr_t)block->memory);
    if (slab == NULL)
        return;
    uintptr_t start = zone_slab_memory(slab);
    uintptr_t end = start + ((uintptr_t)1 << slab_shift_of((enum zone_kind)slab->zone));
    uintptr_t behind = slab->base + slab->slots * slab->slot_bytes;
    if (slab->base > start) {
        query_for(start + take_byte() % (slab->base - start), FAULT_PADDING);
        query_for(slab->base - 1, FAULT_PADDING);
    }
    if (behind < end) {
        query_for(behind, FAULT_PADDING);
        query_for(end - 1 - take_byte() % (end - behind), FAULT_PADDING);
    }
}

static void query_ranges(unsigned place) {
    const struct range *range = &zones[place % ZONE_COUNT].ranges[0];
    size_t shift = slab_shift_of((enum zone_kind)(place % ZONE_COUNT));
    uintptr_t unused = range->fresh + take_byte();
    if (range->span == 0)
        return; /* nothing has been allocated yet, ever */
    query_for(range->headers + take_byte() * (uintptr_t)97, FAULT_EMPTY_SLAB);
    if (unused < range->count) {
        query_for(range->base + (unused << shift), FAULT_EMPTY_SLAB);
        query_for(range->base + range->span - 1, FAULT_EMPTY_SLAB);
    }
    query(range->base - 1);
    query((uintptr_t)range->mapping - 1);
    query((uintptr_t)range->mapping + range->mapped_bytes);
}

static void query_foreign(unsigned place) {
    static char data[64];
    static char *others[2]; /* of the C library's heap, of the system */
    if (others[0] == NULL) {
        others[0] = malloc(100000);
        others[1] = mmap(NULL, os_page_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (others[0] == NULL || others[1] == MAP_FAILED)
            fuzz_fail("no foreign memory to ask about", NULL);
    }
    switch (place % 6) {
    case 0:
        query_for((uintptr_t)&place, FAULT_FOREIGN);
        break;
    case 1:
        query_for((uintptr_t)data + take_byte() % sizeof data, FAULT_FOREIGN);
        break;
    case 2:
        query_for((uintptr_t)others[0] + take_byte() * 16, FAULT_FOREIGN);
        break;
    case 3:
        query_for((uintptr_t)others[1] + take_byte(), FAULT_FOREIGN);
        break;
    case 4:
        query_for((uintptr_t)query_foreign, FAULT_FOREIGN);
        break;
    default:
        query_for(take_byte(), FAULT_FOREIGN); /* NULL and what is next to it */
        break;
    }
}

static uintptr_t raw_address(void) {
    uintptr_t address = 0;
    for (unsigned i = 0; i < sizeof address; i++)
        address = address << 8 | take_byte();
    return address;
}

void query_any(unsigned variant, const struct block *block) {
    static const struct block nowhere;
    if (block->memory == NULL)
        block = &nowhere;
    uintptr_t start = (uintptr_t)block->memory;
    size_t distance = take_byte() | (size_t)take_byte() << 8;
    switch (variant % 8) {
    case 0:
        query(start);
        query(start + 1);
        query(start + block->usable / 2);
        query(start + block->usable - 1);
        break;
    case 1:
        query(start + distance);
        query(start - distance);
        break;
    case 2:
        query(start + block->usable);
        query(start - 1);
        query(start - MIN_ALIGNMENT);
        break;
    case 3:
        query(start ^ (uintptr_t)1 << distance % 64);
        break;
    case 4:
        if (block != &nowhere)
            query_padding(block);
        break;
    case 5:
        query_ranges((unsigned)distance);
        query_foreign((unsigned)distance >> 8);
        break;
    case 6:
        query(freed.addresses[distance % REMEMBERED]);
        query(freed.addresses[distance % REMEMBERED] + distance / REMEMBERED);
        break;
    default:
        query(raw_address());
        break;
    }
}
