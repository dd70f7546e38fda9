/* Purpose: which blocks checks keep back (the option quarantine): live for the heap, freed by the
 *          program.
 * Owns:    nothing.
 * Locking: none, as slab_look: a moving picture. */
#ifndef SLM_REPORT_KEPT_H
#define SLM_REPORT_KEPT_H

#include "slab/view.h"

/* False: none is. */
bool kept_any(void);

/* Whether the block that starts at `start` and lives for the heap is kept back. */
bool kept_has(uintptr_t start);

/* Takes them out of what lives in the view; `kept` becomes a view of the same slab in which nothing
 * else lives. Returns how many. */
size_t kept_take(struct slab_view *view, struct slab_view *kept);

#endif
