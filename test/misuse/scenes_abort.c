/* Purpose: scenes about the end itself: handlers of SIGABRT that use the heap, a program without
 *          standard error, programs that would rather not die. The fault is a double free. */
#include <execinfo.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "slabmalloc/slabmalloc.h"

static void say(const char *text) { require(write(1, text, strlen(text)) > 0); }

static void use_heap(void) {
    static const size_t sizes[] = {1, 90, 1000, 3000, 5000, 100000, 300000, 2000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *a = malloc(sizes[i]);
        char *b = calloc(1, sizes[i]);
        memset(a, 1, sizes[i]);
        a = realloc(a, 2 * sizes[i]);
        require(a != NULL && b != NULL && a[0] == 1 && b[sizes[i] - 1] == 0);
        free(a);
        free(b);
    }
}

static void double_free(void) {
    void *p = block();
    free(p);
    fault(p, p);
}

/* --- handlers -------------------------------------------------------------------------------- */

static void crash_reporter(int signal) {
    void *frames[64];
    int status = 0;
    (void)signal;
    use_heap();
    require(backtrace(frames, 64) > 2); /* loads a library at its first call */
    pid_t child = fork();
    if (child == 0) {
        use_heap();
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    say("handled\n");
}

static void handler_uses_heap(void) {
    signal(SIGABRT, crash_reporter);
    double_free();
}

static void double_free_act(void *unused) {
    (void)unused;
    double_free();
}

static void handler_uses_heap_in_thread(void) {
    signal(SIGABRT, crash_reporter);
    in_thread(double_free_act, NULL);
}

static void free_it(void *p) { free(p); }

/* The fault is found on the ways that take locks. */
static void handler_uses_heap_after_remote_frees(void) {
    void *p = block();
    in_thread(free_it, block());
    in_thread(free_it, p);
    signal(SIGABRT, crash_reporter);
    fault(p, p);
}

static uint64_t calls_before;

static uint64_t calls_now(void) {
    static struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.tiny.allocations + stats.small.allocations + stats.large.allocations +
           stats.tiny.frees + stats.small.frees + stats.large.frees;
}

static void count_calls(int signal) {
    (void)signal;
    say(calls_now() == calls_before ? "nothing allocated\n" : "allocated\n");
}

static void diagnosis_allocates_nothing(void) {
    void *p = block();
    free(p);
    signal(SIGABRT, count_calls);
    calls_before = calls_now();
    require(calls_before > 0);
    fault(p, p);
}

static sigjmp_buf out;

static void leave(int signal) {
    (void)signal;
    siglongjmp(out, 1);
}

/* The heap is whole after a diagnosis: the second one comes in time. */
static void handler_jumps_out(void) {
    void *p = block();
    free(p);
    announce(p, p, -1);
    signal(SIGABRT, leave);
    if (sigsetjmp(out, 1) == 0)
        call_with(p);
    use_heap();
    signal(SIGABRT, SIG_DFL);
    say("survived\n");
    call_with(p);
}

/* --- obstacles ------------------------------------------------------------------------------- */

static void stderr_closed(void) {
    close(2);
    double_free();
}

static void abort_ignored(void) {
    signal(SIGABRT, SIG_IGN);
    double_free();
}

static void abort_blocked(void) {
    sigset_t signals;
    sigfillset(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    double_free();
}

/* A thread with as little stack as there may be. */
static void *double_free_in_thread(void *unused) {
    (void)unused;
    double_free();
    return NULL;
}

static void smallest_stack(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    require(pthread_attr_setstacksize(&attributes, 16384) == 0);
    require(pthread_create(&thread, &attributes, double_free_in_thread, NULL) == 0);
    pthread_join(thread, NULL);
}

const struct scene abort_scenes[] = {
    {"handler_uses_heap", handler_uses_heap},
    {"handler_uses_heap_in_thread", handler_uses_heap_in_thread},
    {"handler_uses_heap_after_remote_frees", handler_uses_heap_after_remote_frees},
    {"diagnosis_allocates_nothing", diagnosis_allocates_nothing},
    {"handler_jumps_out", handler_jumps_out},
    {"stderr_closed", stderr_closed},
    {"abort_ignored", abort_ignored},
    {"abort_blocked", abort_blocked},
    {"smallest_stack", smallest_stack},
    {NULL, NULL},
};
