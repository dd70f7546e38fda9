/* Purpose: a SIGPROF handler at 1 kHz that calls malloc and free, on threads that do the same
 * (field case C7: profilers, crash dumpers). The heap does not promise that this works: see
 * signal_steps.c for what does. Protects: no hang. The process ends, or aborts with the heap's own
 * line.
 *
 * profiler balanced|keeping SECONDS: whether the handler keeps blocks beyond its call. */
#include <sys/time.h>
#include <time.h>

#include "stress.h"

enum { WORKERS = 4, KEPT = 64 };

static bool keeping, stop;
static void *kept[KEPT];
static size_t calls;

static void on_profile(int signal) {
    int saved = errno;
    (void)signal;
    size_t call = __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    uint64_t state = random_seed(call);
    void *block = malloc(random_below(&state, 2000));
    if (keeping)
        block = __atomic_exchange_n(&kept[call % KEPT], block, __ATOMIC_ACQ_REL);
    free(block);
    errno = saved;
}

/* No contents are checked: that they are safe is not promised. */
static void *work(void *argument) {
    void *blocks[64] = {NULL};
    uint64_t state = random_seed((uintptr_t)argument);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        size_t at = random_below(&state, 64);
        free(blocks[at]);
        blocks[at] = malloc(random_size(&state));
    }
    return NULL;
}

static void run(unsigned seconds) {
    pthread_t workers[WORKERS];
    struct sigaction action = {.sa_handler = on_profile, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    alarm(seconds + 30);
    sigaction(SIGPROF, &action, NULL);
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(work, (void *)i);
    CHECK(setitimer(ITIMER_PROF, &often, NULL) == 0, "setitimer");
    time_t end = time(NULL) + (time_t)seconds;
    while (time(NULL) < end)
        usleep(10000);
    setitimer(ITIMER_PROF, &never, NULL);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
    CHECK(calls > 10, "only %zu signals came", calls);
    dprintf(2, "done after %zu signals\n", calls);
    _exit(0);
}

int main(int argc, char **argv) {
    int ends[2], status;
    char line[1024] = {0};
    CHECK(argc == 3, "usage: profiler balanced|keeping SECONDS");
    keeping = strcmp(argv[1], "keeping") == 0;
    CHECK(pipe(ends) == 0, "pipe");
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        dup2(ends[1], 2);
        run((unsigned)number_argument(argv[2]));
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t n;
    while (used < sizeof line - 1 && (n = read(ends[0], line + used, sizeof line - 1 - used)) > 0)
        used += (size_t)n;
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    printf("status %#x: %s", (unsigned)status, line);
    CHECK(!WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM, "it hung");
    if (WIFSIGNALED(status))
        CHECK(WTERMSIG(status) == SIGABRT && strncmp(line, "slabmalloc: ", 12) == 0,
              "signal %d without a line of the heap's", WTERMSIG(status));
    else
        CHECK(WEXITSTATUS(status) == 0, "exit code %d", WEXITSTATUS(status));
    return 0;
}
