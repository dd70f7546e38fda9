/* Purpose: preloaded before the library: a malloc of another's, as that of a profiler, which counts
 *          and goes on to ours. Says at the end how many blocks it has seen. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>

static unsigned seen;

void *malloc(size_t size) {
    static void *(*next)(size_t);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "malloc");
    seen++;
    return next(size);
}

void free(void *pointer) {
    static void (*next)(void *);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "free");
    next(pointer);
}

static __attribute__((destructor)) void tell(void) { fprintf(stderr, "seen: %u\n", seen); }
