/* Protects: operator new in a C program, which has no C++ runtime until it loads a C++ library with
 * RTLD_LOCAL: the library's runtime is then not in the global scope, and a failing new must find it
 * to throw (field case D11).
 * Usage: late_runtime PLUGIN FUNCTION */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    if (dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv") != NULL) {
        fprintf(stderr, "the C++ runtime is there from the start\n");
        return 2;
    }
    free(malloc(100));
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    int (*function)(void);
    *(void **)&function = dlsym(plugin, argv[2]);
    if (function == NULL || dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv") != NULL)
        return 2;
    for (int i = 0; i < 3; i++)
        if (function() != 1) {
            fprintf(stderr, "%s: no\n", argv[2]);
            return 1;
        }
    return dlclose(plugin);
}
