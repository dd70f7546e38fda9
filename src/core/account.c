/* Purpose: account.h.
 * Owns:    see there. */
#include "core/account.h"

#include "core/params.h"
#include "os/watch.h"

/* Of the control group's limit, what the option's word "cgroup" stands for: the rest is for stacks,
 * code, page tables, and what others in the group need. */
enum { GROUP_HARD_PARTS = 15, GROUP_SOFT_PARTS = 12, GROUP_PARTS = 16, SOFT_STEP_PART = 8 };

struct account account = {.hard = SIZE_MAX, .soft = SIZE_MAX, .soft_mark = SIZE_MAX};

/* Two threads at once may count a little too much, or too little. */
static void note_growth(size_t held, size_t most) {
    store_relaxed(&account.held_most, held);
    if (held > MAKE_UP_ALL_FROM_BYTES)
        fetch_add_relaxed(&account.growth, held - most);
}

bool account_take(size_t bytes) {
    size_t held = fetch_add_relaxed(&account.held, bytes) + bytes;
    if (UNLIKELY(held > load_relaxed(&account.hard))) {
        account_give(bytes);
        fetch_add_relaxed(&account.refused, 1);
        return false;
    }
    size_t most = load_relaxed(&account.held_most);
    if (held > most)
        note_growth(held, most);
    bool is_large_now = held >= BACKGROUND_MIN_BYTES && held - bytes < BACKGROUND_MIN_BYTES;
    if (UNLIKELY(is_large_now || held > load_relaxed(&account.soft_mark)))
        watch_note_growth();
    return true;
}

static AT_START size_t resolve(enum option option, size_t group_bytes, unsigned parts) {
    uint64_t value = option_get(option);
    if (value == 0)
        return SIZE_MAX;
    if (value != OPTION_UNLIMITED)
        return value;
    return group_bytes == SIZE_MAX ? SIZE_MAX : group_bytes / GROUP_PARTS * parts;
}

AT_START void account_set_limits(size_t group_bytes) {
    size_t soft = resolve(OPTION_heap_soft_limit, group_bytes, GROUP_SOFT_PARTS);
    store_relaxed(&account.hard, resolve(OPTION_heap_limit, group_bytes, GROUP_HARD_PARTS));
    store_relaxed(&account.soft, soft);
    store_relaxed(&account.soft_mark, soft);
    watch_note_growth();
}

bool account_crosses_soft(void) {
    size_t mark = load_relaxed(&account.soft_mark);
    /* One thread has it: until it has noted what is left, no other is told. */
    return load_relaxed(&account.held) > mark && cas_acquire(&account.soft_mark, &mark, SIZE_MAX);
}

void account_note_purged(void) {
    size_t soft = load_relaxed(&account.soft);
    size_t held = load_relaxed(&account.held);
    size_t mark = held > soft ? held + held / SOFT_STEP_PART : soft;
    if (soft != SIZE_MAX && held <= soft && held > soft - soft / SOFT_STEP_PART)
        mark = soft + soft / SOFT_STEP_PART;
    store_relaxed(&account.soft_mark, mark);
}

void account_reset(size_t held) {
    store_relaxed(&account.held, held);
    if (load_relaxed(&account.soft) != SIZE_MAX)
        store_relaxed(&account.soft_mark, load_relaxed(&account.soft));
}
