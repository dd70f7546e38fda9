/* Purpose: many libraries with thread-local arrays loaded at once, beside threads that allocate and
 * use all of the arrays: each thread's vector of modules grows by realloc inside __tls_get_addr,
 * and the arrays themselves are allocated there (field cases 5, A2). threads/dlopen_churn.c has one
 * library loaded at a time; this one has COUNT.
 *
 * dso_pile LIBRARY COUNT */
#include <dlfcn.h>

#include "stress.h"
#include "../threads/copy_file.h"

enum { COUNT_MAX = 300, WORKERS = 4, ROUNDS = 2, ARRAY_BYTES = 3000 };

static char *(*arrays[COUNT_MAX])(void); /* published with release */
static size_t loaded;
static bool stop;
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER; /* held for writing to unload */

static void *work(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_rwlock_rdlock(&lock);
        size_t count = __atomic_load_n(&loaded, __ATOMIC_ACQUIRE);
        if (count > 0)
            arrays[random_below(&state, count)]()[random_below(&state, ARRAY_BYTES)] = 1;
        pthread_rwlock_unlock(&lock);
        for (size_t i = 0; i < 20; i++)
            block_delete(block_new(&state, random_size(&state)));
    }
    return NULL;
}

static void load_and_unload(char paths[][64], size_t count) {
    void *libraries[COUNT_MAX];
    for (size_t i = 0; i < count; i++) {
        libraries[i] = dlopen(paths[i], RTLD_NOW);
        CHECK(libraries[i] != NULL, "%s", dlerror());
        arrays[i] = (char *(*)(void))(uintptr_t)dlsym(libraries[i], "tls_array");
        CHECK(arrays[i] != NULL && arrays[i]()[7] == 0, "tls_array of library %zu", i);
        __atomic_store_n(&loaded, i + 1, __ATOMIC_RELEASE);
    }
    pthread_rwlock_wrlock(&lock);
    loaded = 0;
    pthread_rwlock_unlock(&lock);
    for (size_t i = 0; i < count; i++)
        CHECK(dlclose(libraries[i]) == 0, "dlclose");
}

int main(int argc, char **argv) {
    static char folder[] = "/tmp/dso_pile.XXXXXX";
    static char paths[COUNT_MAX][64];
    pthread_t workers[WORKERS];
    CHECK(argc == 3, "usage: dso_pile LIBRARY COUNT");
    size_t count = number_argument(argv[2]);
    CHECK(count <= COUNT_MAX, "%zu libraries", count);
    CHECK(mkdtemp(folder) != NULL, "mkdtemp: %s", strerror(errno));
    for (size_t i = 0; i < count; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%zu.so", folder, i);
        copy_file(argv[1], paths[i]);
    }
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(work, (void *)i);
    for (size_t i = 0; i < ROUNDS; i++)
        load_and_unload(paths, count);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
    heap_check("at the end");
    for (size_t i = 0; i < count; i++)
        unlink(paths[i]);
    rmdir(folder);
    return 0;
}
