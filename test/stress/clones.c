/* Purpose: children that fork handlers do not see, beyond threads/spawn.c (field case C11):
 *
 * clones shared: vfork, clone(CLONE_VM | CLONE_VFORK) on a stack of its own and posix_spawn, in
 *                turn beside 8 threads that free each other's blocks; the children of the first two
 *                free and allocate in their parent's heap, also blocks of other threads.
 * clones alone:  _Fork and the clone system call in a process of one thread: the child allocates
 *                every size.
 * clones many:   the same in a process of many threads: the child only execs. (It may not allocate:
 *                another thread may have held a lock. glibc's malloc has the same limit.) */
#include <spawn.h>
#include <sys/syscall.h>

#include "stress.h"

enum { WORKERS = 8, CHILDREN = 40 / (SLOWNESS > 4 ? 4 : SLOWNESS), STACK_BYTES = 256 << 10 };

extern char **environ;

static bool stop;
static void *volatile of_child;
static struct block *volatile to_child[2]; /* one of this thread's, one of another's */
static char stack[STACK_BYTES] __attribute__((aligned(64)));

static void *work(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        struct block *old = table_swap(&state, block_new(&state, random_size(&state)));
        if (old != NULL)
            block_delete(old);
    }
    return NULL;
}

static int in_shared_memory(void *unused) {
    (void)unused;
    block_delete(to_child[0]);
    if (to_child[1] != NULL)
        block_delete(to_child[1]);
    of_child = malloc(5000);
    free(malloc(300000));
    _exit(of_child != NULL ? 0 : 1);
}

static pid_t run_shared(size_t number, char **arguments) {
    pid_t child;
    if (number % 3 == 0) {
        int error = posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ);
        CHECK(error == 0, "posix_spawn: %s", strerror(error));
        return child;
    }
    if (number % 3 == 1) {
        child = vfork();
        if (child == 0)
            in_shared_memory(NULL);
    } else {
        child = clone(in_shared_memory, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD,
                      NULL);
    }
    CHECK(child > 0, "child %zu: %s", number, strerror(errno));
    return child;
}

static void shared(char **arguments) {
    uint64_t state = random_seed(77);
    for (size_t i = 0; i < CHILDREN; i++) {
        of_child = NULL;
        to_child[0] = block_new(&state, 20000);
        to_child[1] = table_swap(&state, NULL);
        numbered_child_wait(run_shared(i, arguments), "in shared memory", i);
        if (i % 3 == 0) {
            block_delete(to_child[0]); /* a program cannot have freed them */
            if (to_child[1] != NULL)
                block_delete(to_child[1]);
        } else {
            CHECK(malloc_usable_size(of_child) >= 5000, "the block of child %zu is not live", i);
            free(of_child);
        }
    }
}

/* A fork that glibc's fork() knows nothing of. */
static pid_t plain_fork(size_t number) {
    pid_t child = number % 2 == 0 ? _Fork() : (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    CHECK(child >= 0, "fork %zu: %s", number, strerror(errno));
    if (child == 0)
        alarm(60);
    return child;
}

static void alone(void) {
    uint64_t state = random_seed(78);
    for (size_t i = 0; i < CHILDREN; i++) {
        struct block *old = table_swap(&state, block_new(&state, random_size(&state)));
        if (old != NULL)
            block_delete(old);
        pid_t child = plain_fork(i);
        if (child == 0) {
            allocate_every_size(&state);
            table_empty(&state);
            heap_check("in a child without fork handlers");
            _exit(0);
        }
        numbered_child_wait(child, "without fork handlers", i);
    }
}

static void many(char **arguments) {
    for (size_t i = 0; i < CHILDREN; i++) {
        pid_t child = plain_fork(i);
        if (child == 0) {
            execve("/proc/self/exe", arguments, environ);
            _exit(1);
        }
        numbered_child_wait(child, "without fork handlers beside threads", i);
    }
}

int main(int argc, char **argv) {
    pthread_t workers[WORKERS];
    uint64_t state = random_seed(79);
    CHECK(argc == 2, "usage: clones shared|alone|many");
    if (strcmp(argv[1], "nothing") == 0)
        return 0;
    char *arguments[] = {argv[0], (char *)"nothing", NULL};
    alarm(100);
    size_t live = live_bytes();
    if (strcmp(argv[1], "alone") == 0) {
        alone();
        return 0;
    }
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(work, (void *)i);
    if (strcmp(argv[1], "shared") == 0)
        shared(arguments);
    else
        many(arguments);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
    table_empty(&state);
    heap_check("at the end");
    CHECK(live_bytes() <= live + 64 * 1024, "%zu bytes live, before %zu", live_bytes(), live);
    return 0;
}
