/* Purpose: limits.h.
 * Owns:    the program's handler, and which thread is in it. */
#include "heap/limits.h"

#include <errno.h>

#include "heap/heap.h"
#include "large/large.h"
#include "os/group.h"
#include "slab/zone.h"

static const struct slm_limit_handler *limit_handler;

/* The thread that is in the handler: what that allocates does not ask again. */
static uintptr_t handling_thread;

const struct slm_limit_handler *limits_set_handler(const struct slm_limit_handler *handler) {
    return exchange_acq_rel(&limit_handler, handler);
}

static bool tell(enum slm_limit_kind kind, size_t limit) {
    const struct slm_limit_handler *handler = load_acquire(&limit_handler);
    uintptr_t nobody = 0;
    if (handler == NULL || !cas_acquire(&handling_thread, &nobody, thread_id()))
        return false; /* another thread is being asked: this one is not kept waiting */
    struct slm_limit limit_told = {kind, load_relaxed(&account.held), limit};
    int saved = errno;
    bool again = handler->handle(&limit_told, handler->context);
    errno = saved;
    store_release(&handling_thread, 0);
    return again;
}

void limits_look(void) {
    if (!account_crosses_soft())
        return;
    heap_trim();
    size_t soft = load_relaxed(&account.soft);
    if (load_relaxed(&account.held) > soft && tell(SLM_LIMIT_SOFT, soft))
        heap_trim();
    account_note_purged();
}

bool limits_refused(void) {
    size_t hard = load_relaxed(&account.hard);
    return tell(SLM_LIMIT_HARD, hard == SIZE_MAX ? 0 : hard);
}

AT_START void limits_apply_options(void) {
    bool asks = option_get(OPTION_heap_limit) == OPTION_UNLIMITED ||
                option_get(OPTION_heap_soft_limit) == OPTION_UNLIMITED;
    account_set_limits(asks ? group_memory_limit() : SIZE_MAX);
}

size_t limits_count_held(void) {
    struct large_stats large;
    large_stats(&large);
    size_t bytes = large.live_bytes + large.cached_bytes;
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        const struct zone *zone = &zones[kind];
        size_t slabs = load_relaxed(&zone->used) + load_relaxed(&zone->dirty) + zone->purging;
        bytes += slabs << slab_shift_of((enum zone_kind)kind);
    }
    return bytes;
}

void limits_after_fork(void) {
    store_relaxed(&handling_thread, 0);
    account_reset(limits_count_held());
}
