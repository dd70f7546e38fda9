/* Purpose: blocks of 0 bytes that fault when they are accessed.
 * Owns:    a reserved range of addresses, and a state for each 16 of them.
 * Locking: RANK_CHECK, taken inside; looking takes none.
 *
 * Addresses are handed out in order and used again only when all have been: a use of a freed one is
 * long found out. What nobody may access costs no memory, and the range is one mapping. */
#include "check/check.h"
#include "check/locks.h"
#include "core/params.h"

enum { BLOCKS = 1 << 22, LIVE = 0x80, CALL_MASK = 0x7f };

static struct {
    uintptr_t base;  /* 0: not tried yet, 1: refused */
    uint8_t *states; /* LIVE | enum call; 0: never used */
    size_t next;
    size_t live;
} empty;

_Static_assert((int)CALL_COUNT <= (int)CALL_MASK, "a call fits beside the bit");

static void set_up(void) {
    void *range = os_reserve(BLOCKS * MIN_ALIGNMENT);
    void *states = range != NULL ? os_map(BLOCKS) : NULL;
    if (range != NULL && states == NULL)
        os_unmap(range, BLOCKS * MIN_ALIGNMENT);
    empty.states = states;
    store_release(&empty.base, states != NULL ? (uintptr_t)range : 1);
}

void *check_take_empty(enum call call) {
    void *block = NULL;
    lock_acquire(check_lock(), RANK_CHECK);
    if (empty.base == 0)
        set_up();
    if (empty.base > 1 && empty.live < BLOCKS) {
        while (empty.states[empty.next] & LIVE)
            empty.next = (empty.next + 1) % BLOCKS;
        store_relaxed(&empty.states[empty.next], (uint8_t)(LIVE | call));
        block = (void *)(empty.base + empty.next * MIN_ALIGNMENT);
        empty.next = (empty.next + 1) % BLOCKS;
        empty.live++;
    }
    lock_release(check_lock(), RANK_CHECK);
    return block;
}

static bool holds(uintptr_t address) {
    uintptr_t base = load_acquire(&empty.base);
    return base > 1 && address - base < BLOCKS * MIN_ALIGNMENT;
}

static enum fault examine(uintptr_t address, enum call *call) {
    uint8_t state = load_relaxed(&empty.states[(address - empty.base) / MIN_ALIGNMENT]);
    *call = (enum call)(state & CALL_MASK);
    if (state == 0)
        return FAULT_EMPTY_SLAB;
    if (address % MIN_ALIGNMENT != 0)
        return FAULT_INTERIOR;
    return state & LIVE ? FAULT_NONE : FAULT_DOUBLE_FREE;
}

bool check_is_empty(uintptr_t address, enum call *call, enum fault *fault) {
    if (!holds(address))
        return false;
    *fault = examine(address, call);
    return true;
}

static void judge(uintptr_t start, enum call made_by, enum call call, struct told told) {
    struct check_finding finding = {.call = call, .made_by = made_by, .thread = os_thread_number(),
                                    .start = start, .told = told};
    if (!check_policy.kinds)
        return;
    if (call_facts[made_by].family != call_facts[call].family)
        finding.fault = check_is_mismatch(made_by, call) ? FAULT_MISMATCH : FAULT_NONE;
    else if (told.bytes != SIZE_NOT_TOLD && told.bytes != 0)
        finding.fault = FAULT_WRONG_SIZE;
    if (finding.fault != FAULT_NONE)
        check_note(&finding);
}

enum fault check_give_empty(void *pointer, enum call call, struct told told) {
    enum call made_by;
    lock_acquire(check_lock(), RANK_CHECK);
    enum fault fault = examine((uintptr_t)pointer, &made_by);
    if (fault == FAULT_NONE) {
        store_relaxed(&empty.states[((uintptr_t)pointer - empty.base) / MIN_ALIGNMENT],
                      (uint8_t)made_by);
        empty.live--;
    }
    lock_release(check_lock(), RANK_CHECK);
    if (fault == FAULT_NONE)
        judge((uintptr_t)pointer, made_by, call, told);
    return fault;
}
