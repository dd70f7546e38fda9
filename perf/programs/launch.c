/* Purpose: starts a command and writes what the kernel counted for it.
 *
 *   launch FD REPEAT LIBRARY COMMAND...     LIBRARY is preloaded; "-" is none
 *
 * Writes a line for each of REPEAT runs to FD: wait status, nanoseconds, microseconds in user and
 * in system mode, peak resident set in KiB, minor and major page faults, context switches voluntary
 * and not. Children that the command has waited for are included; of peaks, the highest counts.
 *
 * It is a program of its own because the kernel carries the peak of a process over exec: started
 * from Python, every small program would seem to need as much memory as Python. This one is linked
 * statically and allocates nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long nanoseconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static long long microseconds(struct timeval time) {
    return time.tv_sec * 1000000LL + time.tv_usec;
}

static void run(int file, const char *library, char **command) {
    long long begin = nanoseconds_now();
    pid_t child = fork();
    if (child == 0) {
        close(file);
        if (strcmp(library, "-") != 0)
            setenv("LD_PRELOAD", library, 1);
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    struct rusage usage;
    int status = 0;
    if (child < 0 || wait4(child, &status, 0, &usage) != child) {
        perror("launch");
        exit(1);
    }
    long long wall = nanoseconds_now() - begin;
    dprintf(file, "%d %lld %lld %lld %ld %ld %ld %ld %ld\n", status, wall,
            microseconds(usage.ru_utime), microseconds(usage.ru_stime), usage.ru_maxrss,
            usage.ru_minflt, usage.ru_majflt, usage.ru_nvcsw, usage.ru_nivcsw);
}

int main(int count, char **arguments) {
    if (count < 5) {
        fprintf(stderr, "usage: %s FD REPEAT LIBRARY COMMAND...\n", arguments[0]);
        return 2;
    }
    for (int left = atoi(arguments[2]); left > 0; left--)
        run(atoi(arguments[1]), arguments[3], arguments + 4);
    return 0;
}
