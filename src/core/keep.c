/* Purpose: keep.h.
 * Owns:    see there. */
#include "core/keep.h"

#include "os/os.h"

bool keep_had_excess;

static void note_gone(struct keep_lesson *lesson, size_t bytes) {
    lesson->gone += bytes;
    lesson->until_ms = os_clock_ms() + option_get(OPTION_purge_delay);
}

void keep_note_gone(struct keep *keep, size_t bytes) { note_gone(&keep->excess, bytes); }
void keep_note_made_up(struct keep *keep, size_t bytes) { note_gone(&keep->made_up, bytes / 2); }

static void note_missed(struct keep_lesson *lesson, size_t bytes, uint64_t now) {
    size_t missed = bytes < lesson->gone ? bytes : lesson->gone;
    if (now >= lesson->until_ms) {
        lesson->gone = 0;
        return;
    }
    lesson->gone -= missed;
    store_relaxed(&lesson->learned, lesson->learned + missed);
}

void keep_note_missed(struct keep *keep, size_t bytes) {
    uint64_t now = os_clock_ms();
    note_missed(&keep->excess, bytes, now);
    note_missed(&keep->made_up, bytes, now);
}

static void note_expired(struct keep_lesson *lesson, size_t bytes) {
    size_t learned = lesson->learned;
    store_relaxed(&lesson->learned, learned - (bytes < learned ? bytes : learned));
}

void keep_note_expired(struct keep *keep, size_t bytes) {
    note_expired(&keep->excess, bytes);
    note_expired(&keep->made_up, bytes);
}
