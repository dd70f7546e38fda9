/* Purpose: what profile.py runs: known functions hold known amounts when the profile is taken.
 *
 * profiled              holds them and returns
 * profiled signal       the same, and raises SIGUSR1 before and after it frees what hold_small held
 * profiled small_stack  the first time, on a stack for signals of 8 KiB, with nothing below it
 * profiled fork         the same, and a forked child allocates more and exits
 *
 * Compiled without frame pointers. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL = 40000, SMALL_BYTES = 100, LARGE = 40, LARGE_BYTES = 250000 };
static void *volatile small[SMALL], *volatile large[LARGE], *volatile more;

__attribute__((noinline)) void hold_small(void);
void hold_small(void) {
    for (int i = 0; i < SMALL; i++)
        small[i] = malloc(SMALL_BYTES);
}

__attribute__((noinline)) void hold_large(void);
void hold_large(void) {
    for (int i = 0; i < LARGE; i++)
        large[i] = malloc(LARGE_BYTES);
}

__attribute__((noinline)) void hold_in_child(void);
void hold_in_child(void) { more = malloc(1000000); }

/* Code that is not optimised needs more. */
#ifndef STACK_FACTOR
#define STACK_FACTOR 1
#endif

static void use_small_stack(void) {
    enum { PAGE = 4096, STACK = 2 * PAGE * STACK_FACTOR };
    char *memory = mmap(NULL, PAGE + STACK, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = memory + PAGE, .ss_size = STACK};
    if (mprotect(memory + PAGE, STACK, PROT_READ | PROT_WRITE) != 0 ||
        sigaltstack(&stack, NULL) != 0)
        abort();
}

int main(int count, char **arguments) {
    const char *what = count > 1 ? arguments[1] : "";
    hold_small();
    hold_large();
    if (strcmp(what, "signal") == 0) {
        raise(SIGUSR1);
        for (int i = 0; i < SMALL; i++)
            free(small[i]);
        raise(SIGUSR1);
    } else if (strcmp(what, "small_stack") == 0) {
        use_small_stack();
        raise(SIGUSR1);
    } else if (strcmp(what, "fork") == 0) {
        pid_t child = fork();
        if (child == 0) {
            hold_in_child();
            return more != NULL ? 0 : 1;
        }
        waitpid(child, NULL, 0);
    }
    return 0;
}
