/* Purpose: whether a loaded file keeps to a function of its own, where all others find another of
 *          that name.
 * Owns:    nothing.
 * Locking: none, and none of the loader's: a caller of malloc may hold any lock. So what is read
 *          may be unloaded meanwhile, and is copied (os/look.h). */
#ifndef SLM_OS_APART_H
#define SLM_OS_APART_H

#include <stdbool.h>

/* Whether a file, other than the one in which this library is, defines the function and leaves none
 * of its calls of it to the loader: it was linked with -Bsymbolic, or the like. A file of which
 * that can't be read does not count. Slow: it looks through the tables of all files. */
bool os_is_defined_apart(const char *name);

#endif
