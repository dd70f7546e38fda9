/* Protects: threads that allocate while others load and unload libraries with thread-local arrays:
 * the first access to such an array calls malloc from inside the loader; constructors and
 * destructors start a thread that allocates and wait for it (field cases 5, A2).
 *
 * dlopen_churn LIBRARY: loads copies of it, since one file is loaded only once. */
#include <dlfcn.h>

#include "check.h"
#include "copy_file.h"

enum { COPIES = 20, ROUNDS = 15, WORKERS = 4 };

static bool stop;
static char *(*volatile access_array)(void);
static pthread_rwlock_t loaded = PTHREAD_RWLOCK_INITIALIZER;

static void *work(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_rwlock_rdlock(&loaded);
        if (access_array != NULL)
            access_array()[random_below(&state, 3000)] = 1;
        pthread_rwlock_unlock(&loaded);
        for (size_t i = 0; i < 50; i++)
            block_delete(block_new(&state, random_size(&state)));
    }
    return NULL;
}

static void load_and_unload(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    CHECK(library != NULL, "%s", dlerror());
    int (*constructed)(void) = (int (*)(void))(uintptr_t)dlsym(library, "tls_array_constructed");
    CHECK(constructed != NULL && constructed(), "the constructor's thread");
    pthread_rwlock_wrlock(&loaded);
    access_array = (char *(*)(void))(uintptr_t)dlsym(library, "tls_array");
    CHECK(access_array != NULL && access_array()[7] == 0, "tls_array");
    pthread_rwlock_unlock(&loaded);
    usleep(200); /* lets the others come by; nothing depends on it */
    pthread_rwlock_wrlock(&loaded);
    access_array = NULL;
    pthread_rwlock_unlock(&loaded);
    CHECK(dlclose(library) == 0, "dlclose");
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL, "it is still loaded");
}

int main(int argc, char **argv) {
    char folder[] = "/tmp/dlopen_churn.XXXXXX";
    char paths[COPIES][64];
    pthread_t workers[WORKERS];
    CHECK(argc == 2, "usage: dlopen_churn LIBRARY");
    CHECK(mkdtemp(folder) != NULL, "mkdtemp: %s", strerror(errno));
    for (size_t i = 0; i < COPIES; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%zu.so", folder, i);
        copy_file(argv[1], paths[i]);
    }
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(work, (void *)i);
    for (size_t i = 0; i < COPIES * ROUNDS; i++)
        load_and_unload(paths[i % COPIES]);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
    for (size_t i = 0; i < COPIES; i++)
        unlink(paths[i]);
    rmdir(folder);
    return 0;
}
