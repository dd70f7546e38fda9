/* Purpose: counts the system calls and page faults of work that makes some allocators call the
 *          system at every step.
 *
 * Protects: bounds for each operation (field case 24 a-d, G1, G2, G3), none of them a time:
 *
 *   growing     24(a): malloc and free of steadily growing sizes to 40 MB
 *   slots       24(b): 20 slots of random sizes of 5 to 25 MB
 *   doubling    24(c): realloc by doubling to 1 GiB; no content moves
 *   stepping    24(c): realloc by 4 KiB at a time to 1 GiB
 *   churn       24(d): 16 threads, sizes one page apart right above the largest slab class
 *   calloc_once G3: calloc(64 MiB) touches none of it
 *   calloc_loop G3: calloc and free of 256 KiB, again and again
 *
 * The program runs the work in a child and traces it; between two marks, every call of the child
 * and its threads is counted. Faults are the child's own count. Exit 77: tracing is not allowed.
 *
 * storms SCENARIO */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"

#define MIB ((size_t)1 << 20)

/* The call and argument that mark begin and end; no library makes it. */
enum { MARK_CALL = SYS_getpgid, MARK_BEGIN = 0x5eed1, MARK_END = 0x5eed2 };
enum { SLOTS = 20, THREADS = 16 };

static struct report {
    long operations, faults;
    bool failed;
} *report; /* shared with the child */

static void expect(bool condition, const char *what) {
    if (!condition) {
        dprintf(2, "storms: %s\n", what);
        report->failed = true;
    }
}

/* --- the work ---- */

/* Nothing but the ends is touched: each fault beyond those is the allocator's. */
static char *touch_ends(char *block, size_t size) {
    expect(block != NULL, "no memory");
    block[0] = block[size - 1] = 1;
    return block;
}

static void growing(void) {
    for (size_t size = 4096; size <= 40 * MIB; size += 16384, report->operations++)
        free(touch_ends(malloc(size), size));
}

static void slots(void) {
    static char *blocks[SLOTS];
    uint64_t random = 4711;
    for (; report->operations < 3000; report->operations++) {
        size_t i = next_random(&random) % SLOTS;
        size_t size = 5 * MIB + next_random(&random) % (20 * MIB);
        free(blocks[i]);
        blocks[i] = touch_ends(malloc(size), size);
    }
}

static void grow_by_realloc(size_t step) {
    char *block = malloc(4096);
    memset(block, 0x33, 4096);
    size_t size = 4096;
    while (size < (size_t)1 << 30) {
        size += step != 0 ? step : size;
        block = hidden(realloc(block, size));
        expect(block != NULL, "no memory");
        report->operations++;
    }
    expect(is_all(block, 0x33, 4096), "contents are lost");
    free(block);
}

static void doubling(void) { grow_by_realloc(0); }
static void stepping(void) { grow_by_realloc(4096); }

static void *churn_in_thread(void *unused) {
    for (size_t i = 0; i < 4000; i++) {
        size_t size = (128 << 10) + 1 + 4096 * (i & 1);
        free(touch_ends(malloc(size), size));
    }
    return unused;
}

static void churn(void) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        expect(pthread_create(&threads[i], NULL, churn_in_thread, NULL) == 0, "no thread");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    report->operations = THREADS * 4000;
}

static void calloc_once(void) {
    expect(hidden(calloc(1, 64 * MIB)) != NULL, "no memory");
    report->operations = 1;
}

static void calloc_loop(void) {
    for (; report->operations < 4000; report->operations++)
        free(hidden(calloc(1, 256 << 10)));
}

/* --- bounds ---- */

/* Allowed: `_fixed` in all and `_each` for an operation. What is cached is kept for a second, so
 * speed has no part in it but on a machine that stops for seconds, again and again. */
static const struct scenario {
    const char *name;
    void (*run)(void);
    bool warm_up; /* the same once before it is counted */
    double calls_fixed, calls_each, faults_fixed, faults_each;
} scenarios[] = {
    /* Not cached at all would be 2 calls each. */
    {"growing", growing, false, 50, 1.5, 200, 3},
    {"slots", slots, false, 50, 1.5, 200, 3},
    /* Copying would fault at each of 262144 pages, at least. */
    {"doubling", doubling, false, 100, 3, 1000, 3},
    {"stepping", stepping, false, 500, 0, 2000, 0},
    /* Threads themselves take some. */
    {"churn", churn, false, 60 * THREADS, 0.02, 120 * THREADS, 0.02},
    {"calloc_once", calloc_once, false, 20, 0, 40, 0},
    {"calloc_loop", calloc_loop, true, 20, 0.01, 40, 0.01},
};

static long own_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void run_child(const struct scenario *scenario) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(77);
    free(hidden(malloc(1)));
    if (scenario->warm_up)
        scenario->run();
    report->operations = 0;
    raise(SIGSTOP); /* from here on the parent counts */
    syscall(MARK_CALL, MARK_BEGIN);
    long before = own_faults();
    scenario->run();
    report->faults = own_faults() - before;
    syscall(MARK_CALL, MARK_END);
    _exit(0);
}

/* --- counting ---- */

static long counts[1024];
static bool counting;

static void count_call(pid_t thread) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    if (info.entry.nr == MARK_CALL && info.entry.args[0] == MARK_BEGIN)
        counting = true;
    else if (info.entry.nr == MARK_CALL && info.entry.args[0] == MARK_END)
        counting = false;
    else if (counting && info.entry.nr < sizeof counts / sizeof *counts)
        counts[info.entry.nr]++;
}

/* Follows the child and its threads to the child's end; its wait status. */
static int trace(pid_t child) {
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    int status;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return status;
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, options) != 0)
        return 77 << 8;
    ptrace(PTRACE_SYSCALL, child, NULL, 0L);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 || (thread == child && !WIFSTOPPED(status)))
            return thread < 0 ? -1 : status;
        if (!WIFSTOPPED(status))
            continue;
        int signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80))
            count_call(thread);
        bool is_news = signal == (SIGTRAP | 0x80) || signal == SIGTRAP || signal == SIGSTOP;
        ptrace(PTRACE_SYSCALL, thread, NULL, is_news ? 0L : (long)signal);
    }
}

static bool is_within(const char *what, long count, double fixed, double each) {
    double most = fixed + each * (double)report->operations;
    printf("%s: %ld, at most %.0f; %ld operations\n", what, count, most, report->operations);
    return (double)count <= most;
}

static int judge(const struct scenario *scenario) {
    static const struct {
        long number;
        const char *name;
    } memory[] = {{SYS_mmap, "mmap"},       {SYS_munmap, "munmap"}, {SYS_mremap, "mremap"},
                  {SYS_madvise, "madvise"}, {SYS_mprotect, "mprotect"}, {SYS_brk, "brk"}};
    long calls = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (i != SYS_futex) /* sixteen threads may wait for each other */
            calls += counts[i];
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        printf("%s %ld  ", memory[i].name, counts[memory[i].number]);
    bool calls_fit = is_within("\ncalls", calls, scenario->calls_fixed, scenario->calls_each);
    bool faults_fit =
        is_within("faults", report->faults, scenario->faults_fixed, scenario->faults_each);
    return calls_fit && faults_fit && report->operations > 0 && !report->failed ? 0 : 1;
}

int main(int argc, char **argv) {
    const struct scenario *scenario = NULL;
    for (size_t i = 0; argc == 2 && i < sizeof scenarios / sizeof *scenarios; i++)
        if (strcmp(argv[1], scenarios[i].name) == 0)
            scenario = &scenarios[i];
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (scenario == NULL || report == MAP_FAILED || !is_ours("malloc"))
        return 2;
    pid_t child = fork();
    if (child == 0)
        run_child(scenario);
    int status = trace(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("skipped: tracing is not allowed here\n");
        return 77;
    }
    if (status != 0) {
        printf("the child ended with status %#x\n", (unsigned)status);
        return 1;
    }
    return judge(scenario);
}
