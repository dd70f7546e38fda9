/* Purpose: the library works before the loader has set thread-local variables.
 * Owns:    nothing.
 *
 * While a program is relocated, the resolvers of its indirect functions run, and they may call
 * malloc (field case A3). The thread pointer is valid then, but thread-local variables are still
 * zero; ours would be a null pointer where the hot paths expect cache_boot. A resolver of our own
 * runs earlier, at the end of the relocation of this library, and sets it. Later the loader sets it
 * once more, to the same; if a cache was made in between, cache_create finds it again by its
 * thread. In static programs thread-local variables are set before any resolver runs. */
#include "cache/cache.h"

static void nothing(void) {}

AT_START static UNUSED void (*resolve(void))(void) {
    cache_self = &cache_boot;
    return nothing;
}

void early_anchor(void) __attribute__((ifunc("resolve"), visibility("hidden")));

/* Something must refer to it, or there is nothing to resolve. */
extern void (*const early_reference)(void);
__attribute__((used, visibility("hidden"))) void (*const early_reference)(void) = early_anchor;
