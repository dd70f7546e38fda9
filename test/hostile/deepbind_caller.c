/* Purpose: loads a library that is found by this one's DT_RUNPATH alone. */
#include <dlfcn.h>
#include <stddef.h>

int caller_finds(const char *name, int mode) { return dlopen(name, RTLD_NOW | mode) != NULL; }
