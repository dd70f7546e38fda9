/* Purpose: a signal handler that calls the heap, run after each single instruction of a call of
 * the heap in turn (the processor's trap flag). The heap does not promise that this works; it
 * promises no hang (field case C7). Shows and protects exactly what holds:
 *
 *  - the call and the handler end, or the process aborts with the heap's own line (slow paths hold
 *    locks, and a lock knows its holder): no hang, no signal of another kind;
 *  - a handler that frees all that it allocated, no more and no less, the last first, is harmless
 *    wherever it interrupts a malloc or free that needs no slow path;
 *  - one that frees in another order is so but at one instruction of malloc;
 *  - one that never returns (siglongjmp) costs no more than the block that the call was about, and
 *    a thousand that are served from elsewhere;
 *  - one that keeps a block, or frees an older one, is not, and neither is any in a slow path: at
 *    how many instructions a slot is handed out twice, stays live for ever, or the heap's lists are
 *    broken, is printed.
 *
 * signal_steps CALL STRIDE: one of the calls below, at every STRIDE-th instruction, each in a child
 * process of its own. */
#include "stress.h"

#if defined(__x86_64__)
#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

enum { TINY_BYTES = 104, LARGE_BYTES = 300000, OLD = 128, HOLE = 40 };
enum { STEPS_MAX = 10000, AFTERWARDS = 200, MANY = 3000 };

/* Unoptimised slow paths have several times as many instructions. */
enum { COARSER = SLOWNESS > 5 ? 5 : SLOWNESS };

/* How a child ends, but for signals. */
enum outcome {
    HARMLESS,
    ONE_SLOT_TWICE,
    LIVE_COUNTS_AS_FREE,
    FREE_LOST,
    HEAP_BROKEN,
    NOT_REACHED,
    OUTCOMES
};

static size_t bytes; /* of the blocks below */
static void *old[OLD]; /* live blocks, but for old[HOLE], which the next malloc takes */
static void *volatile result, *volatile kept;
static volatile size_t steps, target;
static void (*act)(void);

/* --- calls to interrupt ---------------------------------------------------------------------- */

static void call_malloc(void) { result = malloc(bytes); }
static void call_free(void) { free(old[HOLE + 1]); }
static void call_realloc(void) { result = realloc(old[HOLE + 1], 8 * bytes); }

static void prepare_nothing(void) {}

/* The class has no free slot left. */
static void prepare_refill(void) {
    struct slm_stats stats;
    size_t cls = 0;
    slm_stats_get(&stats);
    while (stats.classes[cls].slot_bytes < bytes)
        cls++;
    for (size_t i = stats.classes[cls].live; i < stats.classes[cls].slots; i++)
        CHECK(malloc(bytes) != NULL, "malloc");
}

static pthread_barrier_t barrier;

static void *own_a_block(void *unused) {
    (void)unused;
    old[HOLE + 1] = malloc(bytes);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* for ever */
    return NULL;
}

/* The block that is to be freed is another thread's. */
static void prepare_remote(void) {
    free(old[HOLE + 1]);
    pthread_barrier_init(&barrier, NULL, 2);
    thread_start(own_a_block, NULL);
    pthread_barrier_wait(&barrier);
}

static const struct {
    const char *name;
    void (*prepare)(void);
    void (*call)(void);
    size_t bytes;
    int live_blocks; /* more of them after the call */
    bool is_hot;
} calls[] = {
    {"malloc", prepare_nothing, call_malloc, TINY_BYTES, 1, true},
    {"free", prepare_nothing, call_free, TINY_BYTES, -1, true},
    {"malloc_refill", prepare_refill, call_malloc, TINY_BYTES, 1, false},
    {"free_remote", prepare_remote, call_free, TINY_BYTES, -1, false},
    {"malloc_large", prepare_nothing, call_malloc, LARGE_BYTES, 1, false},
    {"free_large", prepare_nothing, call_free, LARGE_BYTES, -1, false},
    {"realloc_large", prepare_nothing, call_realloc, LARGE_BYTES, 0, false},
};

/* --- what the handler does ------------------------------------------------------------------- */

static void act_balanced(void) {
    void *block = malloc(bytes);
    memset(block, 'h', bytes);
    free(block);
}

static void act_two(bool last_first) {
    void *blocks[] = {malloc(bytes), malloc(bytes)};
    memset(blocks[0], 'h', bytes);
    memset(blocks[1], 'h', bytes);
    free(blocks[last_first]);
    free(blocks[!last_first]);
}

static void act_last_first(void) { act_two(true); }
static void act_first_first(void) { act_two(false); }

static void act_keep(void) {
    kept = malloc(bytes);
    memset(kept, 'k', bytes);
}

static void act_release(void) { free(old[HOLE + 2]); }

static sigjmp_buf before_call;
static void act_jump(void) { siglongjmp(before_call, 1); }

static const struct {
    const char *name;
    void (*act)(void);
    int live_blocks;
    size_t may_harm; /* at so many instructions of a hot path */
} acts[] = {
    {"frees what it allocated", act_balanced, 0, 0},
    {"frees two that it allocated, the last first", act_last_first, 0, 0},
    {"frees two that it allocated, the first first", act_first_first, 0, 1},
    {"jumps out of it", act_jump, 0, 0},
    {"keeps a block", act_keep, 1, STEPS_MAX},
    {"frees an older block", act_release, -1, STEPS_MAX},
};

/* --- one instruction ------------------------------------------------------------------------- */

enum { TRAP_FLAG = 0x100 };

static void on_step(int signal, siginfo_t *info, void *context) {
    ucontext_t *interrupted = context;
    (void)signal;
    (void)info;
    if (++steps < target)
        return;
    interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    if (steps == target)
        act();
}

#define SET_FLAGS(operation)                                                                      \
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" operation                             \
                     "\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::: "memory", "cc")

static size_t live_count(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    size_t count = stats.large.live;
    for (size_t i = 0; i < SLM_CLASS_COUNT; i++)
        count += stats.classes[i].live;
    return count;
}

static bool is_intact(void) {
#ifdef SLM_HAVE_CHECK_HEAP
    return slm_check_heap(2);
#else
    return true;
#endif
}

/* Nobody has finished the call. */
static enum outcome go_on_after_jump(void) {
    static unsigned char *blocks[MANY];
    struct slm_stats stats;
    for (size_t i = 0; i < OLD; i++)
        if (i != HOLE && i != HOLE + 1)
            memset(old[i], 'o', bytes);
    for (size_t i = 0; i < MANY; i++)
        blocks[i] = memset(malloc(bytes), (int)(i % 100), bytes);
    for (size_t i = 0; i < MANY; i++)
        for (size_t k = 0; k < bytes; k++)
            if (blocks[i][k] != i % 100)
                return ONE_SLOT_TWICE;
    for (size_t i = 0; i < OLD; i++)
        if (i != HOLE && i != HOLE + 1 && *(unsigned char *)old[i] != 'o')
            return ONE_SLOT_TWICE;
    slm_stats_get(&stats);
    if (stats.large.live > MANY / 3)
        return FREE_LOST;
    return is_intact() ? HARMLESS : HEAP_BROKEN;
}

static enum outcome attempt(size_t call, size_t what) {
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    bytes = calls[call].bytes;
    for (size_t i = 0; i < (bytes == LARGE_BYTES ? HOLE + 4 : OLD); i++)
        old[i] = malloc(bytes);
    old[HOLE] = realloc(old[HOLE], bytes + 1); /* every function is bound by now */
    free(old[HOLE]);
    calls[call].prepare();
    size_t live = live_count();
    act = acts[what].act;
    if (sigsetjmp(before_call, 1) != 0)
        return go_on_after_jump();
    SET_FLAGS("orq $0x100, (%%rsp)");
    calls[call].call();
    SET_FLAGS("andq $-257, (%%rsp)");
    if (steps < target)
        return NOT_REACHED;
    if (result != NULL && result == kept)
        return ONE_SLOT_TWICE;
    long change = (long)live_count() - (long)live;
    long expected = calls[call].live_blocks + acts[what].live_blocks;
    if (change != expected)
        return change < expected ? LIVE_COUNTS_AS_FREE : FREE_LOST;
    for (size_t i = 0; i < AFTERWARDS; i++) { /* the heap is still in order */
        void *block = malloc(bytes);
        if (block == result || block == kept)
            return ONE_SLOT_TWICE;
        if (i % 2 == 0)
            free(block);
    }
    return is_intact() ? HARMLESS : HEAP_BROKEN;
}

/* --- all instructions ------------------------------------------------------------------------ */

struct tally {
    size_t outcomes[OUTCOMES], told;
};

/* False: the call has fewer instructions than `step`. */
static bool run_step(size_t call, size_t what, size_t step, struct tally *tally) {
    int ends[2], status;
    char line[512] = {0};
    CHECK(pipe(ends) == 0, "pipe");
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        alarm(20);
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], 2);
        target = step;
        _exit(10 + (int)attempt(call, what));
    }
    close(ends[1]);
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    ssize_t n = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    if (WIFSIGNALED(status)) {
        CHECK(WTERMSIG(status) != SIGALRM, "%s, instruction %zu: a handler that %s hangs",
              calls[call].name, step, acts[what].name);
        bool told = n > 0 && strncmp(line, "slabmalloc: ", 12) == 0;
        CHECK(told && WTERMSIG(status) == SIGABRT, "%s, instruction %zu: signal %d: %s",
              calls[call].name, step, WTERMSIG(status), line);
        tally->told++;
        return true;
    }
    size_t outcome = (size_t)WEXITSTATUS(status) - 10;
    CHECK(outcome < OUTCOMES, "%s, instruction %zu: exit code %d: %s", calls[call].name, step,
          WEXITSTATUS(status), line);
    if (outcome == NOT_REACHED)
        return false;
    tally->outcomes[outcome]++;
    return true;
}

static void run_call(size_t call, size_t stride) {
    for (size_t what = 0; what < sizeof acts / sizeof acts[0]; what++) {
        struct tally tally = {0};
        size_t done = 0;
        if (acts[what].act == act_jump && !calls[call].is_hot)
            continue; /* it leaves locks behind */
        for (size_t step = 1; step < STEPS_MAX && run_step(call, what, step, &tally); done++)
            step += stride;
        printf("%s, the handler %s: %zu instructions: harmless %zu, one slot twice %zu, "
               "live counts as free %zu, free lost %zu, heap broken %zu, told and aborted %zu\n",
               calls[call].name, acts[what].name, done, tally.outcomes[HARMLESS],
               tally.outcomes[ONE_SLOT_TWICE], tally.outcomes[LIVE_COUNTS_AS_FREE],
               tally.outcomes[FREE_LOST], tally.outcomes[HEAP_BROKEN], tally.told);
        CHECK(done > 10, "only %zu instructions were interrupted", done);
        if (calls[call].is_hot)
            CHECK(tally.outcomes[HARMLESS] + acts[what].may_harm >= done, "%zu of %zu",
                  tally.outcomes[HARMLESS], done);
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "usage: signal_steps CALL STRIDE");
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t call = 0; call < sizeof calls / sizeof calls[0]; call++) {
        if (strcmp(argv[1], calls[call].name) == 0) {
            run_call(call, number_argument(argv[2]) * (calls[call].is_hot ? 1 : COARSER));
            return 0;
        }
    }
    CHECK(0, "no call \"%s\"", argv[1]);
}

#else
int main(void) { SKIP("the trap flag is x86-64's"); }
#endif
