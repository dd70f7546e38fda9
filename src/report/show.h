/* Purpose: show_alloc_mem: the live blocks of the heap, listed; with its slabs and contents.
 * Owns:    nothing.
 * Locking: none at all, so that it can be called at any moment; allocates nothing. A slab is copied
 *          (its bitmap, 512 bytes) and then printed, a LARGE mapping likewise; contents are copied
 *          by the system, which finds out what is mapped. */
#ifndef SLM_REPORT_SHOW_H
#define SLM_REPORT_SHOW_H

#include "report/out.h"
#include "slabmalloc/slabmalloc.h"

void show_heap(struct out *out, const struct slm_show_options *options);

#endif
