/* Purpose: keep.h.
 * Owns:    see there. */
#include "core/keep.h"

#include "os/os.h"

bool keep_had_excess;

void keep_note_gone(struct keep *keep, size_t bytes) {
    keep->gone += bytes;
    keep->until_ms = os_clock_ms() + option_get(OPTION_purge_delay);
}

void keep_note_missed(struct keep *keep, size_t bytes) {
    size_t missed = bytes < keep->gone ? bytes : keep->gone;
    if (os_clock_ms() >= keep->until_ms) {
        keep->gone = 0;
        return;
    }
    keep->gone -= missed;
    store_relaxed(&keep->learned, keep->learned + missed);
}

void keep_note_expired(struct keep *keep, size_t bytes) {
    size_t learned = keep->learned;
    store_relaxed(&keep->learned, learned - (bytes < learned ? bytes : learned));
}
