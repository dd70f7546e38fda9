/* Purpose: what was found wrong with blocks, until the API has it told.
 * Owns:    a short queue. What does not fit is lost: the first few are what matters.
 * Locking: RANK_CHECK, taken inside. */
#include "cache/cache.h"
#include "check/check.h"
#include "check/locks.h"

enum { FINDINGS_MAX = 8 };

static struct check_finding queue[FINDINGS_MAX];
static uint32_t count;

/* Every slow call looks for double frees that were found late, in its thread's cache and in the
 * shared one: a look at anything else would be one more. With checks on, threads have cache_dead.
 */
static void call_attention(void) { store_release(&cache_dead.late_slab, CHECK_HAS_FINDINGS); }

void check_note(const struct check_finding *finding) {
    lock_acquire(check_lock(), RANK_CHECK);
    if (count < FINDINGS_MAX)
        queue[count++] = *finding;
    call_attention();
    lock_release(check_lock(), RANK_CHECK);
}

AT_START bool check_take(struct check_finding *finding) {
    lock_acquire(check_lock(), RANK_CHECK);
    bool taken = count > 0;
    if (taken) {
        *finding = queue[0];
        count--;
        for (uint32_t i = 0; i < count; i++)
            queue[i] = queue[i + 1];
    }
    lock_release(check_lock(), RANK_CHECK);
    return taken;
}
