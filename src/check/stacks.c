/* Purpose: stacks.h: an open hash table of pointers that doubles, and a two-level directory by
 *          number. */
#include "check/stacks.h"

#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "check/origins.h"
#include "os/metadata.h"

enum { PAGE_STACKS = 1024, PAGES = 1024, TABLE_FIRST = 1024 };

struct stack {
    uint64_t hash;
    uint32_t number;
    uint32_t depth;
    uintptr_t frames[];
};

static struct {
    const struct stack **pages[PAGES];
    uint32_t count; /* numbers 1 .. count are in use; written with release */
    const struct stack **table;
    size_t size; /* a power of two, at least twice the count */
} stacks;

static uint64_t hash_of(const struct trace *trace) {
    uint64_t hash = trace->depth;
    for (unsigned i = 0; i < trace->depth; i++) {
        hash = (hash ^ trace->frames[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static const struct stack **slot_of(const struct stack **table, size_t size, uint64_t hash,
                                    const struct trace *trace) {
    for (size_t at = hash & (size - 1);; at = (at + 1) & (size - 1)) {
        const struct stack *stack = table[at];
        if (stack == NULL ||
            (trace != NULL && stack->hash == hash && stack->depth == trace->depth &&
             memcmp(stack->frames, trace->frames, trace->depth * sizeof *trace->frames) == 0))
            return &table[at];
    }
}

static bool grow_table(void) {
    size_t size = stacks.size != 0 ? 2 * stacks.size : TABLE_FIRST;
    const struct stack **table = metadata_alloc(size * sizeof *table);
    if (table == NULL)
        return false;
    for (size_t i = 0; i < stacks.size; i++)
        if (stacks.table[i] != NULL)
            *slot_of(table, size, stacks.table[i]->hash, NULL) = stacks.table[i];
    stacks.table = table;
    stacks.size = size;
    return true;
}

/* Room for one more in the directory and the table. */
static bool make_room(void) {
    if (stacks.count + 1 >= PAGE_STACKS * PAGES)
        return false;
    const struct stack ***page = &stacks.pages[(stacks.count + 1) / PAGE_STACKS];
    if (*page == NULL)
        *page = metadata_alloc(PAGE_STACKS * sizeof **page);
    if (*page == NULL)
        return false;
    return stacks.size > 2 * (size_t)stacks.count || grow_table();
}

uint32_t stacks_enter(const struct trace *trace) {
    uint64_t hash = hash_of(trace);
    size_t frames_bytes = trace->depth * sizeof *trace->frames;
    if (trace->depth == 0)
        return 0;
    if (stacks.size > 0) {
        const struct stack *found = *slot_of(stacks.table, stacks.size, hash, trace);
        if (found != NULL)
            return found->number;
    }
    struct stack *stack = make_room() ? metadata_alloc(sizeof *stack + frames_bytes) : NULL;
    if (stack == NULL)
        return 0;
    stack->hash = hash;
    stack->number = stacks.count + 1;
    stack->depth = trace->depth;
    memcpy(stack->frames, trace->frames, frames_bytes);
    *slot_of(stacks.table, stacks.size, hash, NULL) = stack;
    stacks.pages[stack->number / PAGE_STACKS][stack->number % PAGE_STACKS] = stack;
    store_release(&stacks.count, stack->number);
    origins_note(trace);
    return stack->number;
}

const uintptr_t *stacks_get(uint32_t number, unsigned *depth) {
    *depth = 0;
    if (number == 0 || number > load_acquire(&stacks.count))
        return NULL;
    const struct stack *stack = stacks.pages[number / PAGE_STACKS][number % PAGE_STACKS];
    *depth = stack->depth;
    return stack->frames;
}
