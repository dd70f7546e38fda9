/* Purpose: bound.h, of C.
 * Owns:    nothing.
 *
 * An object of its own, without the functions: where they are defined, a compiler may take the
 * address of its own for that of the name. */
#include <stdlib.h>

#include "api/bound.h"
#include "os/symbols.h"

void *(*const bound_realloc)(void *pointer, size_t size) = realloc;

int bound_is(const char *name, uintptr_t bound, uintptr_t own) {
    return bound == own || os_program_stub_leads_to(name, bound) == own;
}
