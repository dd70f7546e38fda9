/* Protects: when the heap aborts the process, the line is written, and a SIGABRT handler that
 * allocates, resizes, frees, calls backtrace() (whose first call loads a library) and forks does
 * not hang: the process ends by SIGABRT. So does a SIGSEGV handler, after a fault outside of malloc
 * while other threads allocate: the process ends by SIGSEGV (field cases 10, C6). */
#include <execinfo.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "check.h"

enum { FRAMES = 64, WORKERS = 3, HANG_SECONDS = 10, CPU_SECONDS = 2 };

static char *other_block;

static void take_backtrace(void) {
    void *frames[FRAMES];
    int count = backtrace(frames, FRAMES);
    char **names = backtrace_symbols(frames, count); /* libc's malloc */
    if (count < 2 || names == NULL || strlen(names[0]) == 0)
        _exit(4);
}

static void handler(int signal) {
    take_backtrace();
    uint64_t state = random_seed((uint64_t)signal);
    for (size_t i = 0; i < 200; i++)
        block_delete(block_resize(&state, block_new(&state, random_size(&state)), 40000));
    pid_t child = fork();
    if (child == 0) {
        alarm(HANG_SECONDS); /* which fork has not kept */
        take_backtrace();
        block_delete(block_new(&state, 1000));
        _exit(0);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        _exit(2);
}

static void *allocate(void *unused) {
    (void)unused;
    return other_block = malloc(100);
}

static void *allocate_and_stay(void *barrier) {
    other_block = malloc(100);
    pthread_barrier_wait(barrier);
    pthread_barrier_wait(barrier);
    return NULL;
}

static void free_twice(size_t bytes) {
    char *block = malloc(bytes);
    char *volatile again = block;
    free(block);
    free(again);
}

static void fault_tiny(void) { free_twice(100); }
static void fault_small(void) { free_twice(10000); }
static void fault_large(void) { free_twice(MIB); }

static void fault_of_ended_thread(void) {
    thread_join(thread_start(allocate, NULL));
    char *volatile again = other_block;
    free(other_block);
    free(again);
}

static void fault_of_running_thread(void) {
    static pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    thread_start(allocate_and_stay, &barrier);
    pthread_barrier_wait(&barrier);
    char *volatile again = other_block;
    free(other_block);
    free(again);
}

static void fault_foreign(void) {
    static char not_ours[64];
    free((char *)malloc(1) != NULL ? (void *volatile){not_ours + 16} : NULL);
}

static void fault_interior(void) {
    char *volatile inside = (char *)malloc(200) + 16;
    free(inside);
}

static void fault_realloc(void) {
    char *block = malloc(300);
    char *volatile again = block;
    free(block);
    again = realloc(again, 5000);
}

static void *keep_allocating(void *number) {
    uint64_t state = random_seed((uintptr_t)number);
    for (;;)
        block_delete(block_new(&state, random_below(&state, 3000)));
    return NULL;
}

/* Not a fault of the heap's. */
static void fault_outside(void) {
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED, "mmap");
    for (size_t i = 0; i < WORKERS; i++)
        thread_start(keep_allocating, (void *)i);
    block_delete(block_new(&(uint64_t){random_seed(9)}, 500));
    usleep(2000); /* lets the others start; nothing depends on it */
    *(volatile char *)page = 1;
}

static const struct {
    void (*run)(void);
    const char *line; /* its start; NULL: the heap says nothing, and the signal is SIGSEGV */
} faults[] = {
    {fault_tiny, "slabmalloc: double free: free(0x"},
    {fault_small, "slabmalloc: double free: free(0x"},
    {fault_large, "slabmalloc: "},
    {fault_of_ended_thread, "slabmalloc: double free: free(0x"},
    {fault_of_running_thread, "slabmalloc: double free: free(0x"},
    {fault_foreign, "slabmalloc: "},
    {fault_interior, "slabmalloc: "},
    {fault_realloc, "slabmalloc: use after free: realloc(0x"},
    {fault_outside, NULL},
};

static void run_child(size_t number, int error_fd) {
    /* For one signal: abort raises it again, and a faulting instruction is run again. */
    struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    alarm(HANG_SECONDS);
    dup2(error_fd, 2);
    sigaction(SIGABRT, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    faults[number].run();
    _exit(3); /* not noticed */
}

static void check_line(size_t number, const char *said) {
    const char *line = faults[number].line;
    if (line == NULL) {
        CHECK(*said == 0, "fault %zu says \"%s\"", number, said);
        return;
    }
    CHECK(strncmp(said, line, strlen(line)) == 0, "fault %zu says \"%s\"", number, said);
    CHECK(strchr(said, '\n') == said + strlen(said) - 1, "fault %zu is not one line: \"%s\"",
          number, said);
}

/* A hang ends by SIGALRM; work without end by its processor time, which a busy machine leaves as
 * it is. */
static void run_fault(size_t number) {
    int pipe_ends[2];
    char said[512] = {0};
    CHECK(pipe(pipe_ends) == 0, "pipe");
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0)
        run_child(number, pipe_ends[1]);
    close(pipe_ends[1]);
    size_t used = 0;
    ssize_t n;
    while ((n = read(pipe_ends[0], said + used, sizeof said - 1 - used)) > 0)
        used += (size_t)n;
    close(pipe_ends[0]);
    int status, expected = faults[number].line != NULL ? SIGABRT : SIGSEGV;
    struct rusage usage;
    CHECK(wait4(child, &status, 0, &usage) == child, "wait4");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == expected, "fault %zu: status %#x, \"%s\"",
          number, (unsigned)status, said);
    long seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    CHECK(seconds < CPU_SECONDS * (SLOWNESS > 1 ? 10 : 1), "fault %zu: %ld s of processor time",
          number, seconds);
    check_line(number, said);
}

int main(void) {
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        run_fault(i);
    return 0;
}
