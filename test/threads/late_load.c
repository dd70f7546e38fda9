/* Protects: the library can be loaded late, by dlopen into a program that has not been linked with
 * it, after ten other libraries with initial-exec thread-local variables: it takes little of the
 * room that glibc keeps for that (field cases 4, A1). It is never unloaded (A11).
 *
 * late_load LIBRARY IE_LIBRARY...: not linked with the library. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *(*slm_malloc)(size_t);
static void (*slm_free)(void *);

static void *load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "late_load: %s\n", dlerror());
        exit(1);
    }
    return library;
}

static void *run(void *unused) {
    (void)unused;
    for (size_t i = 0; i < 10000; i++) {
        char *block = slm_malloc(i);
        memset(block, 'x', i);
        slm_free(block);
    }
    return slm_malloc(100);
}

int main(int argc, char **argv) {
    char *own = malloc(100); /* libc's */
    pthread_t thread;
    void *block;
    for (int i = 2; i < argc; i++) {
        int (*use)(int) = (int (*)(int))(uintptr_t)dlsym(load(argv[i]), "ie_use");
        if (use == NULL || use(i) != i)
            return 1;
    }
    void *library = load(argv[1]);
    slm_malloc = (void *(*)(size_t))(uintptr_t)dlsym(library, "slm_malloc");
    slm_free = (void (*)(void *))(uintptr_t)dlsym(library, "slm_free");
    slm_free(run(NULL));
    pthread_create(&thread, NULL, run, NULL);
    pthread_join(thread, &block);
    if (dlclose(library) != 0)
        return 1;
    slm_free(block); /* still loaded: -z nodelete */
    pthread_create(&thread, NULL, run, NULL);
    pthread_join(thread, &block);
    slm_free(block);
    free(own);
    return 0;
}
