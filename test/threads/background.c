/* Purpose: the thread that gives memory back while nobody calls (heap/background.h).
 *
 * Protects: background CASE
 *
 *   idle      threads free all they have and sleep: what is resident falls, without any call (F1)
 *   single    a process without threads gets none, however large its heap
 *   small     nor does one with threads and a small heap
 *   signals   it has all signals blocked, and the name "slabmalloc"
 *   handler   it is not started by an allocation in a signal handler; but by the next one outside
 *   fork      a child has none until it needs one; then it has one that works
 *   last      main ends by pthread_exit: the process ends with the last thread, not never
 *   option    background=off has it end, background=on has it start without need
 *
 * Waits have no bound but the test's: what is waited for has to come. */
#include <dirent.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "slabmalloc/slabmalloc.h"

enum { SLEEPERS = 4, BLOCK_BYTES = 1000 };
#define EACH_BYTES (16 * MIB)
#define LARGE_BYTES (4 * MIB)
#define ALL_BYTES (SLEEPERS * (EACH_BYTES + LARGE_BYTES))

static pthread_barrier_t filled, may_free, freed;

static void nap(void) {
    struct timespec time = {0, 10000000};
    nanosleep(&time, NULL);
}

/* --- looking ---- */

/* The kernel's name for the thread's folder, or 0; looked for by raw file operations but for
 * opendir, which allocates little. */
static int find_thread(void) {
    DIR *tasks = opendir("/proc/self/task");
    int found = 0;
    CHECK(tasks != NULL, "no /proc/self/task");
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[64], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", task->d_name);
        int file = open(path, O_RDONLY);
        if (file >= 0 && read(file, name, sizeof name - 1) > 0 &&
            strcmp(name, "slabmalloc\n") == 0)
            found = atoi(task->d_name);
        if (file >= 0)
            close(file);
    }
    closedir(tasks);
    return found;
}

static void wait_for_thread(bool is_there) {
    while ((find_thread() != 0) != is_there)
        nap();
}

/* Some time in which a thread would have come. */
static void expect_no_thread(const char *why) {
    for (int i = 0; i < 20; i++, nap())
        CHECK(find_thread() == 0, "%s has a background thread", why);
}

/* --- memory ---- */

struct chain {
    void *last, *large;
};

static struct chain fill(size_t bytes) {
    struct chain chain = {NULL, malloc(LARGE_BYTES)};
    CHECK(chain.large != NULL, "no memory");
    memset(chain.large, 1, LARGE_BYTES);
    for (size_t i = 0; i < bytes / BLOCK_BYTES; i++) {
        void **block = malloc(BLOCK_BYTES);
        CHECK(block != NULL, "no memory");
        memset(block, 1, BLOCK_BYTES);
        *block = chain.last;
        chain.last = block;
    }
    return chain;
}

static void empty(struct chain chain) {
    free(chain.large);
    while (chain.last != NULL) {
        void **block = chain.last;
        chain.last = *block;
        free(block);
    }
}

static void *fill_free_and_sleep(void *unused) {
    struct chain chain = fill(EACH_BYTES);
    pthread_barrier_wait(&filled);
    pthread_barrier_wait(&may_free);
    empty(chain);
    pthread_barrier_wait(&freed);
    for (;;)
        pause();
    return unused;
}

/* Its first call is what has the library look whether it needs the thread: a heap that does not
 * grow any more, as one that a child has inherited, gives no other cause. */
static void *call_and_end(void *unused) {
    free(malloc(1));
    return unused;
}

/* From here on the process is one that has threads. */
static void have_had_a_thread(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, call_and_end, NULL) == 0, "no thread");
    pthread_join(thread, NULL);
}

/* With threads and a heap of 80 MiB. Returns when the thread is there. */
static void grow_and_wait_for_thread(void) {
    have_had_a_thread();
    struct chain chain = fill(80 * MIB);
    wait_for_thread(true);
    empty(chain);
}

/* --- the cases ---- */

static int idle(void) {
    pthread_t threads[SLEEPERS];
    pthread_barrier_init(&filled, NULL, SLEEPERS + 1);
    pthread_barrier_init(&may_free, NULL, SLEEPERS + 1);
    pthread_barrier_init(&freed, NULL, SLEEPERS + 1);
    size_t before = rss_bytes();
    for (int i = 0; i < SLEEPERS; i++)
        CHECK(pthread_create(&threads[i], NULL, fill_free_and_sleep, NULL) == 0, "no thread");
    pthread_barrier_wait(&filled);
    size_t peak = rss_bytes();
    CHECK(peak >= before + ALL_BYTES * 9 / 10, "%zu before, %zu", before, peak);
    pthread_barrier_wait(&may_free);
    pthread_barrier_wait(&freed);
    /* A thread keeps a slab of 64 KiB or two of a class; sanitizers keep shadow. */
    while (rss_bytes() > before + ALL_BYTES / 4)
        nap();
    return 0;
}

static int single(void) {
    empty(fill(80 * MIB));
    empty(fill(100 * MIB));
    expect_no_thread("a process without threads");
    return 0;
}

static int small(void) {
    have_had_a_thread();
    empty(fill(16 * MIB));
    expect_no_thread("a small heap");
    return 0;
}

static int signals(void) {
    char path[64], text[4096];
    grow_and_wait_for_thread();
    snprintf(path, sizeof path, "/proc/self/task/%d/status", find_thread());
    int file = open(path, O_RDONLY);
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    CHECK(length > 0, "%s", path);
    close(file);
    text[length] = 0;
    const char *mask = strstr(text, "SigBlk:");
    CHECK(mask != NULL, "no SigBlk");
    uint64_t blocked = strtoull(mask + 7, NULL, 16);
    for (int i = 1; i <= 64; i++) {
        bool can_be = i != SIGKILL && i != SIGSTOP && i != 32 && i != 33; /* libc's own */
        CHECK(!can_be || (blocked >> (i - 1) & 1) != 0, "signal %d is not blocked", i);
    }
    return 0;
}

static struct chain from_handler;

static void allocate(int number) {
    (void)number;
    from_handler = fill(80 * MIB);
    expect_no_thread("an allocation in a handler");
}

static int handler(void) {
    have_had_a_thread();
    signal(SIGUSR1, allocate);
    raise(SIGUSR1);
    CHECK(from_handler.last != NULL, "the handler did not run");
    struct chain chain = fill(80 * MIB);
    wait_for_thread(true);
    empty(chain);
    empty(from_handler);
    return 0;
}

/* Without an allocation, which would be a cause for one to begin. */
static bool has_one_thread(void) {
    char text[4096] = {0};
    int file = open("/proc/self/status", O_RDONLY);
    CHECK(file >= 0 && read(file, text, sizeof text - 1) > 0, "no status");
    close(file);
    return strstr(text, "\nThreads:\t1\n") != NULL;
}

static int after_fork(void) {
    grow_and_wait_for_thread();
    pid_t child = fork();
    CHECK(child >= 0, "no fork");
    if (child == 0) {
        CHECK(has_one_thread(), "a child was born with one");
        grow_and_wait_for_thread();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "child: %x", (unsigned)status);
    return 0;
}

/* A sanitizer's pthread_join does not know the main thread. */
static bool main_has_ended(void) {
    char line[512] = "";
    FILE *file = fopen("/proc/self/stat", "r");
    CHECK(file != NULL && fgets(line, sizeof line, file) != NULL, "/proc/self/stat");
    fclose(file);
    const char *state = strrchr(line, ')');
    return state != NULL && state[1] == ' ' && state[2] == 'Z';
}

static void *end_last(void *unused) {
    (void)unused;
    while (!main_has_ended())
        nap();
    struct chain chain = fill(80 * MIB);
    wait_for_thread(true);
    empty(chain);
    return NULL;
}

static int last(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, end_last, NULL) == 0, "no thread");
    pthread_exit(NULL);
}

static int option(void) {
    CHECK(slm_option_set("background", "on"), "on");
    wait_for_thread(true);
    CHECK(slm_option_set("background", "off"), "off");
    wait_for_thread(false);
    have_had_a_thread();
    empty(fill(80 * MIB));
    expect_no_thread("background=off");
    CHECK(slm_option_set("background", "lazy"), "lazy");
    struct chain chain = fill(90 * MIB);
    wait_for_thread(true);
    empty(chain);
    return 0;
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {{"idle", idle},       {"single", single},     {"small", small},
                 {"signals", signals}, {"handler", handler},   {"fork", after_fork},
                 {"last", last},       {"option", option}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (count == 2 && strcmp(arguments[1], cases[i].name) == 0) {
            /* Off by default: a sandbox that was closed since then may forbid new threads. */
            char value[8];
            CHECK(slm_option_get("background", value, sizeof value) && strcmp(value, "off") == 0,
                  "background=%s by default", value);
            CHECK(slm_option_set("background", "lazy"), "lazy");
            return cases[i].run();
        }
    dprintf(2, "background: which case?\n");
    return 2;
}
