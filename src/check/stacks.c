/* Purpose: stacks.h: an open hash table of pointers, after which there is one twice as large when
 *          it is half full, and a two-level directory by number. */
#include "check/stacks.h"

#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "check/locks.h"
#include "check/origins.h"
#include "os/metadata.h"

enum { PAGE_STACKS = 1024, PAGES = 1024, TABLE_FIRST = 1024 };

struct stack {
    uint64_t hash;
    uint32_t number;
    uint32_t depth;
    uintptr_t frames[];
};

/* What was in a smaller one stays in that too: who still looks there may miss the latest. */
struct table {
    size_t size; /* a power of two, at least twice the count */
    const struct stack *stacks[];
};

static struct {
    const struct stack **pages[PAGES];
    uint32_t count; /* numbers 1 .. count are in use; written with release, as */
    struct table *table;
} stacks;

static uint64_t hash_of(const struct trace *trace) {
    uint64_t hash = trace->depth;
    for (unsigned i = 0; i < trace->depth; i++) {
        hash = (hash ^ trace->frames[i]) * GOLDEN_64;
        hash ^= hash >> 29;
    }
    return hash;
}

static bool is_of(const struct stack *stack, uint64_t hash, const struct trace *trace) {
    return stack->hash == hash && stack->depth == trace->depth &&
           memcmp(stack->frames, trace->frames, trace->depth * sizeof *trace->frames) == 0;
}

/* With or without the lock: the stack, or NULL. */
HOT_INLINE const struct stack *find_in(const struct table *table, uint64_t hash,
                                       const struct trace *trace) {
    for (size_t at = hash & (table->size - 1);; at = (at + 1) & (table->size - 1)) {
        const struct stack *stack = load_acquire(&table->stacks[at]);
        if (stack == NULL || is_of(stack, hash, trace))
            return stack;
    }
}

/* With the lock held: a stack that is not there. */
static void insert(struct table *table, const struct stack *stack) {
    size_t at = stack->hash & (table->size - 1);
    while (table->stacks[at] != NULL)
        at = (at + 1) & (table->size - 1);
    store_release(&table->stacks[at], stack);
}

static bool grow_table(void) {
    const struct table *old = stacks.table;
    size_t size = old != NULL ? 2 * old->size : TABLE_FIRST;
    struct table *table = metadata_alloc(sizeof *table + size * sizeof *table->stacks);
    if (table == NULL)
        return false;
    table->size = size;
    for (size_t i = 0; old != NULL && i < old->size; i++)
        if (old->stacks[i] != NULL)
            insert(table, old->stacks[i]);
    store_release(&stacks.table, table);
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
    return (stacks.table != NULL && stacks.table->size > 2 * (size_t)stacks.count) || grow_table();
}

/* Its number, or 0. With or without the lock. */
static uint32_t find(uint64_t hash, const struct trace *trace) {
    const struct table *table = load_acquire(&stacks.table);
    const struct stack *found = table != NULL ? find_in(table, hash, trace) : NULL;
    return found != NULL ? found->number : 0;
}

/* With the lock held. */
static COLD uint32_t add(uint64_t hash, const struct trace *trace) {
    size_t frames_bytes = trace->depth * sizeof *trace->frames;
    struct stack *stack = make_room() ? metadata_alloc(sizeof *stack + frames_bytes) : NULL;
    if (stack == NULL)
        return 0;
    stack->hash = hash;
    stack->number = stacks.count + 1;
    stack->depth = trace->depth;
    memcpy(stack->frames, trace->frames, frames_bytes);
    stacks.pages[stack->number / PAGE_STACKS][stack->number % PAGE_STACKS] = stack;
    store_release(&stacks.count, stack->number);
    insert(stacks.table, stack);
    origins_note(trace);
    return stack->number;
}

uint32_t stacks_enter(const struct trace *trace) {
    uint64_t hash = hash_of(trace);
    uint32_t number = trace->depth > 0 ? find(hash, trace) : 0;
    if (LIKELY(number != 0) || trace->depth == 0)
        return number;
    lock_acquire_often(check_lock(), RANK_CHECK);
    number = find(hash, trace);
    if (number == 0)
        number = add(hash, trace);
    lock_release_often(check_lock(), RANK_CHECK);
    return number;
}

uint32_t stacks_count(void) { return load_acquire(&stacks.count); }

const uintptr_t *stacks_get(uint32_t number, unsigned *depth) {
    *depth = 0;
    if (number == 0 || number > load_acquire(&stacks.count))
        return NULL;
    const struct stack *stack = stacks.pages[number / PAGE_STACKS][number % PAGE_STACKS];
    *depth = stack->depth;
    return stack->frames;
}
