/* Purpose: the LARGE mappings, one after the other, for reports.
 * Owns:    nothing.
 * Locking: none: the page map is read as free() reads it, so no report waits, nor does a thread for
 *          a report. A mapping that is made, moved or given back meanwhile is seen as it was before
 *          or after, or not at all; it may be gone when the caller looks into it. */
#ifndef SLM_LARGE_VIEW_H
#define SLM_LARGE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct large_view {
    uintptr_t address;
    size_t bytes;      /* whole pages */
    uintptr_t block;   /* of a live block: where it begins; what lies before it is a guard */
    size_t used_bytes; /* of a live block: what the program may use; the rest is room to grow */
    bool is_live;      /* a block; else free, and kept for reuse */
};

/* Calls `visit` for each, lowest address first. */
void large_walk(void (*visit)(const struct large_view *view, void *context), void *context);

#endif
