/* Purpose: preloaded before the library: a dlsym of another's, as overlays and tracers have one,
 *          from which the next one is called, so that RTLD_NEXT is what comes behind this file. */
#include <dlfcn.h>
#include <stddef.h>

void *dlsym(void *handle, const char *name) {
    static void *(*next)(void *, const char *);
    if (next == NULL)
        *(void **)&next = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
    if (next == NULL)
        *(void **)&next = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
    void *volatile found = next(handle, name);
    return found;
}
