/* Purpose: bound.h, of C.
 * Owns:    nothing.
 *
 * An object of its own, without the functions: where they are defined, a compiler may take the
 * address of its own for that of the name. */
#include <stdlib.h>

#include "api/bound.h"

const struct bound_malloc bound_malloc = {realloc};
