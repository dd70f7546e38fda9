/* Purpose: what is resident at the end of a program, counted exactly; perf/costs runs it.
 *
 *   resident REPEAT LIBRARY COMMAND...     LIBRARY is preloaded; "-" is none
 *
 * Prints the KiB of each of REPEAT runs, one a line, from the page tables of the process, which is
 * stopped where it would exit. The peak that the kernel counts (launch.c) is kept per processor and
 * added up seldom: for a program as small as /bin/true it is wrong by some 200 KiB. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void wait_for(pid_t child, int *status) {
    if (waitpid(child, status, 0) != child)
        fail("waitpid");
}

static long resident_kib(pid_t child) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)child);
    FILE *file = fopen(path, "r");
    if (!file)
        fail(path);
    long sum = 0, kib;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "Rss: %ld kB", &kib) == 1)
            sum += kib;
    fclose(file);
    return sum;
}

static long run(const char *library, char **command) {
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        if (strcmp(library, "-") != 0)
            setenv("LD_PRELOAD", library, 1);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            fail("ptrace");
        execvp(command[0], command);
        fail(command[0]);
    }
    int status;
    wait_for(child, &status); /* behind the exec */
    if (!WIFSTOPPED(status))
        exit(1);
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_TRACEEXIT) != 0)
        fail("ptrace");
    long kib = 0, signal = 0; /* to deliver */
    for (;;) {
        if (ptrace(PTRACE_CONT, child, NULL, (void *)signal) != 0)
            fail("ptrace");
        wait_for(child, &status);
        if (!WIFSTOPPED(status))
            break;
        bool ends = status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXIT << 8));
        if (ends)
            kib = resident_kib(child);
        signal = ends ? 0 : WSTOPSIG(status);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || kib == 0) {
        fprintf(stderr, "%s failed\n", command[0]);
        exit(1);
    }
    return kib;
}

int main(int count, char **arguments) {
    if (count < 4) {
        fprintf(stderr, "usage: %s REPEAT LIBRARY COMMAND...\n", arguments[0]);
        return 2;
    }
    for (int left = atoi(arguments[1]); left > 0; left--)
        printf("%ld\n", run(arguments[2], arguments + 3));
    return 0;
}
