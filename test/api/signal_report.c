/* Protects: the option stats_signal, which the environment or the program sets: whatever the signal
 * interrupts - malloc, free, a purge, another report - and in whichever thread, each table is whole
 * and the process goes on; also on an alternate stack of 8 KiB, in forked children, and with a
 * handler of the program's own.
 *
 * signal_report busy|small_stack|fork|own, with SLABMALLOC_STATS_SIGNAL=SIGUSR2 */
#include <sys/mman.h>

#include "../threads/check.h"

enum { THREADS = 3, SIGNALS = 300 / SLOWNESS + 20 };

/* Code that is not optimised needs more. */
#ifndef STACK_FACTOR
#define STACK_FACTOR 1
#endif
enum { STACK_BYTES = 8192 * STACK_FACTOR };

static int stop, file;
static unsigned own_calls;

static void *churn(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    struct block *blocks[64] = {NULL};
    for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        struct block **at = &blocks[random_below(&state, 64)];
        if (*at != NULL)
            block_delete(*at);
        *at = block_new(&state, random_size(&state));
        if (i % 500 == 0)
            malloc_trim(0);
    }
    for (unsigned i = 0; i < 64; i++)
        if (blocks[i] != NULL)
            block_delete(blocks[i]);
    return NULL;
}

/* How many tables the file holds; each must be whole. */
static unsigned tables(void) {
    static char text[1 << 22];
    static const char first[] = "slabmalloc: the heap of ";
    unsigned count = 0;
    ssize_t n = pread(file, text, sizeof text - 1, 0);
    CHECK(n >= 0 && (size_t)n < sizeof text - 1, "the file");
    text[n] = 0;
    CHECK(n == 0 || strncmp(text, first, sizeof first - 1) == 0, "'%.40s'", text);
    for (char *at = text, *next; at != NULL && *at != 0; at = next) {
        next = strstr(at + 1, first);
        if (next != NULL)
            next[-1] = 0;
        char *total = strstr(at, "\ntotal, held by the kernel");
        CHECK(total != NULL && strstr(total, "\n   class ") != NULL, "a table is cut: %s", at);
        if (next != NULL)
            next[-1] = '\n';
        count++;
    }
    return count;
}

static void busy(void) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(churn, (void *)i);
    for (unsigned i = 0; i < SIGNALS; i++) {
        errno = 0xBEEF;
        CHECK(i % 2 == 0 ? pthread_kill(threads[i % THREADS], SIGUSR2) == 0
                         : kill(getpid(), SIGUSR2) == 0,
              "kill");
        CHECK(errno == 0xBEEF, "errno is %d", errno);
        usleep(200);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    unsigned count = tables();
    CHECK(count > 0 && count <= SIGNALS, "%u tables", count);
    CHECK(raise(SIGUSR2) == 0 && tables() == count + 1, "%u tables, then %u", count, tables());
}

/* Between two pages that no one may touch. */
static void small_stack(void) {
    char *area = mmap(NULL, 3 * STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(area != MAP_FAILED, "mmap");
    CHECK(mprotect(area + STACK_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) == 0, "mprotect");
    stack_t stack = {.ss_sp = area + STACK_BYTES, .ss_size = STACK_BYTES};
    CHECK(sigaltstack(&stack, NULL) == 0, "sigaltstack");
    struct sigaction action;
    CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && (action.sa_flags & SA_ONSTACK) != 0,
          "not on the alternate stack");
    CHECK(raise(SIGUSR2) == 0 && raise(SIGUSR2) == 0, "raise");
    CHECK(tables() == 2, "%u tables", tables());
}

static void in_child(void) {
    pid_t child = child_fork();
    if (child == 0) {
        CHECK(raise(SIGUSR2) == 0, "raise");
        CHECK(tables() == 1, "%u tables", tables());
        _exit(0);
    }
    child_wait(child, "the child");
    CHECK(raise(SIGUSR2) == 0, "raise");
    CHECK(tables() == 2, "%u tables", tables());
}

static void count(int signal) {
    (void)signal;
    own_calls++;
}

static void own(void) {
    struct sigaction action = {.sa_handler = count};
    CHECK(sigaction(SIGUSR2, &action, NULL) == 0, "sigaction");
    CHECK(raise(SIGUSR2) == 0 && own_calls == 1, "the program's own handler was not called");
    CHECK(tables() == 0, "%u tables", tables());
}

/* The library keeps standard error as it was when the program started: a file that is put there
 * before. */
static void start_again(char **argv) {
    char name[] = "/tmp/slabmalloc-signal-XXXXXX";
    file = mkostemp(name, O_APPEND);
    CHECK(file >= 0, "%s", strerror(errno));
    unlink(name);
    dup2(file, 2);
    char number[16];
    snprintf(number, sizeof number, "%d", file);
    char *arguments[] = {argv[0], argv[1], number, NULL};
    execv("/proc/self/exe", arguments);
}

int main(int argc, char **argv) {
    if (argc == 2)
        start_again(argv);
    CHECK(argc == 3, "usage: signal_report busy|small_stack|fork|own");
    file = atoi(argv[2]);
    dup2(1, 2); /* what fails is told there */
    free(malloc(100));
    if (strcmp(argv[1], "busy") == 0)
        busy();
    else if (strcmp(argv[1], "small_stack") == 0)
        small_stack();
    else if (strcmp(argv[1], "fork") == 0)
        in_child();
    else
        own();
    return 0;
}
