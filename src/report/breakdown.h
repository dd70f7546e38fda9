/* Purpose: what the heap's memory is used for, and how much of it the kernel holds, page by page.
 * Owns:    nothing.
 * Locking: none; allocates nothing. Other threads may change the heap meanwhile: then the parts are
 *          a moving picture, and the total need not be their sum.
 *
 * A page that is in memory is divided among what lies in it, by bytes: with 1,000 bytes of live
 * slots, 3,000 of free ones and 96 behind the last slot, it counts as just that. So the resident
 * bytes of all parts add up to whole pages, to what mincore(2) has counted. */
#ifndef SLM_REPORT_BREAKDOWN_H
#define SLM_REPORT_BREAKDOWN_H

#include "slabmalloc/slabmalloc.h"

/* 0, or the error number with which the system refused to tell what is resident (then 0 bytes are).
 */
int breakdown_collect(struct slm_breakdown *breakdown);

/* Bytes of the pages of [from, to) that are in memory; SIZE_MAX if the system does not tell. */
size_t breakdown_resident_bytes(uintptr_t from, uintptr_t to);

#endif
