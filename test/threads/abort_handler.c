/* Protects: when the heap aborts the process, the line is written, and a SIGABRT handler that
 * allocates, resizes, frees and forks does not hang: the process ends by SIGABRT (field cases 10,
 * C6). */
#include "check.h"

static char *other_block;

static void handler(int signal) {
    uint64_t state = random_seed((uint64_t)signal);
    for (size_t i = 0; i < 200; i++)
        block_delete(block_resize(&state, block_new(&state, random_size(&state)), 40000));
    pid_t child = fork();
    if (child == 0) {
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

static const struct {
    void (*run)(void);
    const char *line; /* its start */
} faults[] = {
    {fault_tiny, "slabmalloc: double free: free(0x"},
    {fault_small, "slabmalloc: double free: free(0x"},
    {fault_large, "slabmalloc: "},
    {fault_of_ended_thread, "slabmalloc: double free: free(0x"},
    {fault_of_running_thread, "slabmalloc: double free: free(0x"},
    {fault_foreign, "slabmalloc: "},
    {fault_interior, "slabmalloc: "},
    {fault_realloc, "slabmalloc: use after free: realloc(0x"},
};

static void run_fault(size_t number) {
    int pipe_ends[2];
    char line[512] = {0};
    CHECK(pipe(pipe_ends) == 0, "pipe");
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        alarm(10);
        dup2(pipe_ends[1], 2);
        struct sigaction action = {.sa_handler = handler};
        sigaction(SIGABRT, &action, NULL);
        faults[number].run();
        _exit(3); /* not noticed */
    }
    close(pipe_ends[1]);
    size_t used = 0;
    ssize_t n;
    while ((n = read(pipe_ends[0], line + used, sizeof line - 1 - used)) > 0)
        used += (size_t)n;
    close(pipe_ends[0]);
    int status;
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "fault %zu: status %#x, \"%s\"",
          number, (unsigned)status, line);
    CHECK(strncmp(line, faults[number].line, strlen(faults[number].line)) == 0,
          "fault %zu says \"%s\"", number, line);
    CHECK(strchr(line, '\n') == line + strlen(line) - 1, "fault %zu is not one line: \"%s\"",
          number, line);
}

int main(void) {
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        run_fault(i);
    return 0;
}
