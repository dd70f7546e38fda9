/* Purpose: what else a diagnosis says when checks are on: the block, its neighbours, the thread,
 *          who allocated and freed it.
 * Owns:    nothing.
 * Locking: takes no lock, allocates nothing. */
#ifndef SLM_REPORT_PARAGRAPH_H
#define SLM_REPORT_PARAGRAPH_H

#include "base/format.h"
#include "check/check.h"

/* Appends the lines for the block that `address` lies in; each begins with "slabmalloc:   ".
 * `thread` 0: the calling one; CALL_NONE: nothing is said about the call. */
COLD void paragraph_put(struct text *text, enum call call, uintptr_t address, uint32_t thread);

/* Appends a line for each of the first frames. */
COLD void paragraph_put_frames(struct text *text, const uintptr_t *frames, unsigned depth);

/* "allocated", "freed", ... */
COLD const char *paragraph_event_word(const struct check_event *event);

/* Appends lines with the last calls about the block that starts at `start`. */
COLD void paragraph_put_history(struct text *text, uintptr_t start);

#endif
