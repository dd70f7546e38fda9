/* Purpose: memory for the allocator's own small structures (thread caches, large-block
 *          descriptors, nodes of the page map), apart from everything a program can overrun.
 * Owns:    its chunks, for ever: nothing is given back, callers keep free lists of their own, so
 *          a structure's memory stays one of its kind ("type-stable").
 * Locking: RANK_METADATA, taken inside. */
#ifndef SLM_OS_METADATA_H
#define SLM_OS_METADATA_H

#include "os/lock.h"

/* Zeroed memory, aligned to 64 bytes; NULL if the system has none. */
void *metadata_alloc(size_t bytes);

/* Bytes taken from the system so far. */
size_t metadata_bytes(void);

/* Calls `visit` for each mapping that they come from; takes no lock. */
void metadata_walk(void (*visit)(uintptr_t address, size_t bytes, void *context), void *context);

struct lock *metadata_lock(void);

#endif
