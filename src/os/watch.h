/* Purpose: how the lower layers tell the background thread (heap/background.h) of work, without
 *          knowing it: two words that it looks at.
 * Owns:    the words.
 * Locking: none. */
#ifndef SLM_OS_WATCH_H
#define SLM_OS_WATCH_H

#include "base/atomic.h"
#include "os/os.h"

struct watch {
    uint32_t asleep; /* 1: the background thread sleeps on this word until there is work */
    uint32_t grown;  /* the heap has become larger than ever: does it need a background thread? */
};

extern struct watch watch HIDDEN;

COLD void watch_wake(void);

/* After something became free that could go back to the system; with no lock held. One system call
 * at most for each time that the thread has found nothing more to do. A lock has been released just
 * before, so on x86 the load comes late enough; elsewhere it may, at worst, see the thread's sleep
 * too late, and leave it to the next free. */
static inline void watch_note_free(void) {
    if (UNLIKELY(load_own(&watch.asleep) != 0))
        watch_wake();
}

static inline void watch_note_growth(void) { store_relaxed(&watch.grown, 1); }

#endif
