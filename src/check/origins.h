/* Purpose: the names of the files that call stacks lead into: a file that is unloaded later still
 *          has one in a list of leaks.
 * Owns:    the names, for ever.
 * Locking: RANK_CHECK for noting, held by the caller; none for looking up. */
#ifndef SLM_CHECK_ORIGINS_H
#define SLM_CHECK_ORIGINS_H

#include "check/trace.h"
#include "os/maps.h"

/* A call stack is seen for the first time, in the thread that makes the calls. */
void origins_note(const struct trace *trace);

/* Whether the file that `address` lay in last is there still, by whatever name. */
bool origins_is_loaded(uintptr_t address);

/* The file that `address` lay in, the one after `*at` (0: the latest), which becomes its place;
 * NULL: no more. */
const struct os_mapping *origins_find(uintptr_t address, unsigned *at);

#endif
