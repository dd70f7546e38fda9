/* Purpose: a program that unloads a library, or keeps it, and leaks what that allocated.
 *
 *     check_unloaded LIBRARY goes|stays */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "slabmalloc/slabmalloc.h"

int main(int argc, char **argv) {
    void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (library == NULL)
        return 2;
    void *(*leaky)(size_t) = (void *(*)(size_t))(uintptr_t)dlsym(library, "leaky");
    for (int i = 0; i < 3; i++)
        if (leaky == NULL || leaky(77) == NULL)
            return 3;
    bool goes = strcmp(argv[2], "goes") == 0;
    if (goes && (dlclose(library) != 0 || dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL))
        return 4;
    puts(goes ? "goes" : "stays");
    return slm_check_heap(2) ? 0 : 5;
}
