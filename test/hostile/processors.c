/* Purpose: the processors that a thread may use change while it runs.
 *
 * Protects: nothing depends on how many processors there are or on which one a thread runs: pinned
 * to the last one from the start, and moved from one to another at run time (field case E10); also
 * run without glibc's restartable sequences (E9).
 *
 * processors last|moving|any */
#include "hostile.h"

#include <sched.h>

enum { THREADS = 4, OPERATIONS = 8000 / SLOWNESS, MOVES = 50 };

static cpu_set_t allowed;

static void pin(size_t number) {
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && number-- == 0)
            CPU_SET(cpu, &one);
    CHECK(CPU_COUNT(&one) == 1, "no such processor");
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0, "%s", strerror(errno));
}

static void *run(void *argument) {
    workout((uintptr_t)argument, OPERATIONS);
    return NULL;
}

static void *run_moving(void *argument) {
    size_t number = (uintptr_t)argument;
    size_t count = (size_t)CPU_COUNT(&allowed);
    for (size_t i = 0; i < MOVES; i++) {
        pin((number + i) % count);
        workout(number * MOVES + i, OPERATIONS / MOVES);
    }
    return NULL;
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "any";
    pthread_t threads[THREADS];
    CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "%s", strerror(errno));
    if (strcmp(how, "last") == 0)
        pin((size_t)CPU_COUNT(&allowed) - 1); /* its threads inherit it */
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(strcmp(how, "moving") == 0 ? run_moving : run, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    workout_end();
    return 0;
}
