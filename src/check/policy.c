/* Purpose: what the options ask for; the seed of what is random.
 * Owns:    the policy. */
#include "check/check.h"
#include "check/locks.h"
#include "check/log.h"
#include "check/quarantine.h"
#include "check/trace.h"
#include "core/options.h"
#include "os/object.h"
#include "slab/zone.h"

struct check_policy check_policy;
uint32_t check_active;

/* One for each row of commons, so that threads which run at once do not wait for each other. */
static struct {
    uint64_t state;
} CACHE_ALIGNED randoms[ROWS_MAX];

static void seed(void) {
    uint64_t words[2];
    os_start_random(words);
    for (unsigned row = 0; row < ROWS_MAX; row++)
        randoms[row].state = words[0] ^ (uintptr_t)randoms ^ os_clock_ms() ^ (uint64_t)row << 58;
    check_policy.secret = words[1];
    check_policy.secret ^= check_random();
}

/* Two threads at once may get the same number. */
uint64_t check_random(void) {
    uint64_t *state = &randoms[check_row()].state;
    uint64_t x = load_relaxed(state) + GOLDEN_64;
    store_relaxed(state, x);
    return bit_mix(x);
}

AT_START bool check_start(void) {
    struct check_policy *policy = &check_policy;
    bool junk = option_get(OPTION_junk) != 0;
    bool zero = option_get(OPTION_zero_on_free) != 0;
    policy->canary = option_get(OPTION_canary) != 0;
    policy->quarantine_bytes = option_get(OPTION_quarantine);
    policy->kinds = option_get(OPTION_check_kinds) != 0;
    policy->history = option_get(OPTION_history) != 0 || option_get(OPTION_leaks) == LEAKS_EXIT;
    policy->random = option_get(OPTION_random) != 0;
    policy->guard = option_get(OPTION_guard) != 0;
    policy->fill_new = junk;
    policy->fill_freed = junk || zero || policy->quarantine_bytes > 0;
    policy->freed_byte = zero ? 0 : FILL_FREED;
    policy->tail_bytes = policy->canary ? CANARY_BYTES_MIN : 0;
    bool logs = check_log_start();
    if (!policy->canary && !policy->fill_freed && !policy->kinds && !policy->history &&
        !policy->random && !policy->guard && !logs)
        return false;
    if (policy->guard)
        zone_use_guards();
    if (policy->history)
        os_object_init();
    seed();
    trace_init();
    zone_keep_headers();
    store_release(&check_active, 1);
    return true;
}

void check_after_fork(void) {
    os_forget_thread_number();
    log_after_fork();
}
