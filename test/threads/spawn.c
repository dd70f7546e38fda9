/* Protects: vfork, posix_spawn and a fork without handlers (_Fork) beside allocating threads. A
 * vfork child runs in its parent's memory and may allocate there (field case C11). */
#include "check.h"

#include <spawn.h>

enum { WORKERS = 4, SPAWNS = 100 };

/* The thread sanitizer turns vfork into fork. */
#ifdef __SANITIZE_THREAD__
enum { VFORKS = 0 };
#else
enum { VFORKS = 200 };
#endif

extern char **environ;

static bool stop;

static void *work(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    struct block *block = block_new(&state, 10);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        block = block_resize(&state, block, random_size(&state));
    block_delete(block);
    return NULL;
}

static void *volatile of_child;

int main(int argc, char **argv) {
    pthread_t workers[WORKERS];
    if (argc == 2)
        return strcmp(argv[1], "nothing") == 0 ? 0 : 1;
    alarm(100);
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(work, (void *)i);

    char *arguments[] = {argv[0], (char *)"nothing", NULL};
    for (size_t i = 0; i < SPAWNS; i++) {
        pid_t child;
        int error = posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ);
        CHECK(error == 0, "posix_spawn: %s", strerror(error));
        child_wait(child, "a spawned program");
    }
    for (int i = 0; i < VFORKS; i++) {
        char *before = malloc(100);
        memset(before, 'b', 100);
        pid_t child = vfork();
        if (child == 0) {
            free(before);
            of_child = malloc(5000);
            _exit(of_child != NULL ? 0 : 1);
        }
        child_wait(child, "a vfork child");
        CHECK(malloc_usable_size(of_child) >= 5000, "the child's block is not live");
        free(of_child);
    }
    for (size_t i = 0; i < SPAWNS; i++) {
        pid_t child = _Fork();
        if (child == 0) {
            execve("/proc/self/exe", arguments, environ);
            _exit(1);
        }
        CHECK(child > 0, "_Fork");
        child_wait(child, "a program after _Fork");
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
    return 0;
}
