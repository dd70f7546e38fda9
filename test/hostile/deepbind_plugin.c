/* Purpose: loaded by deepbind.c with RTLD_DEEPBIND: allocates, and frees what libc has allocated
 *          for it. */
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *at_load;

static __attribute__((constructor)) void allocate(void) { at_load = malloc(50); }

/* What was allocated while this was loaded. */
void *plugin_at_load(void) { return at_load; }

int plugin_frees_asprintf(void) {
    char *text = NULL;
    if (asprintf(&text, "%d and %s", 17, "more") < 0)
        return 1;
    int length = (int)strlen(text);
    free(text);
    return length == 11 ? 0 : 2;
}

/* A block of whichever malloc this finds, for others to free; by each way to get one. */
void *plugin_allocates(int way) {
    void *pointer = NULL;
    switch (way) {
    case 0:
        return malloc(100);
    case 1:
        return calloc(10, 10);
    case 2:
        return realloc(strdup("text"), 100);
    case 3:
        return reallocarray(strdup("text"), 10, 10);
    case 4:
        return aligned_alloc(64, 128);
    case 5:
        return memalign(64, 100);
    case 6:
        return posix_memalign(&pointer, 64, 100) == 0 ? pointer : NULL;
    case 7:
        return valloc(100);
    case 8:
        return pvalloc(100);
    case 9:
        pointer = strdup("as long as that, or even longer");
        return malloc_usable_size(pointer) >= 32 ? pointer : NULL;
    default:
        return NULL;
    }
}

void plugin_frees(void *pointer) { free(pointer); }

void plugin_loads_libc(void) { dlopen("libc.so.6", RTLD_LAZY); }

int plugin_frees_own(void) {
    char *text = malloc(100);
    memset(text, 1, 100);
    free(text);
    return 0;
}
