/* Protects: the string slabmalloc_options that a program defines, by itself and with what the
 * environment says; by every way of getting the library: linked, static, preloaded. The program
 * begins with
 *
 *     on_error=report,purge_delay=250,preset=memory
 *
 * own_options NAME=VALUE...: fails unless the options are as the arguments say. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if KNOWS_LIBRARY
#include "slabmalloc/slabmalloc.h"
#else
extern const char *slabmalloc_options;
#endif

const char *slabmalloc_options = "on_error=report,purge_delay=250,preset=memory";

static bool get(const char *name, char *value, size_t bytes) {
#if KNOWS_LIBRARY
    return slm_option_get(name, value, bytes);
#else
    bool (*option_get)(const char *, char *, size_t) = NULL;
    *(void **)(void *)&option_get = dlsym(RTLD_DEFAULT, "slm_option_get");
    return option_get != NULL && option_get(name, value, bytes);
#endif
}

int main(int argc, char **argv) {
    char name[64], expected[64], value[64];
    int wrong = argc < 2;
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "%63[^=]=%63s", name, expected) != 2 ||
            !get(name, value, sizeof value)) {
            printf("%s: no such option, or no library\n", argv[i]);
            wrong = 1;
        } else if (strcmp(value, expected) != 0) {
            printf("%s, but it is %s\n", argv[i], value);
            wrong = 1;
        }
    }
    return wrong;
}
