/* Purpose: fork while all other threads are in the middle of one kind of work: frees of each
 * other's blocks; taking slabs from depots and giving them up (threads start and end); LARGE blocks
 * allocated, freed, extended and moved; purges. Protects: the child frees and resizes every block
 * that it can know of, allocates every size and starts a thread; neither it nor the parent waits
 * for ever (field cases 8, C1, C2). One in eight children forks once more and has its whole heap
 * checked. Debug builds check all lock ranks too.
 *
 * fork_during remote|depot|large|purge|all WORKERS FORKERS FORKS SECONDS
 * FORKS in all by FORKERS threads, but none is begun after SECONDS. */
#include <time.h>

#include "stress.h"

enum { THREADS_MAX = 64, CHILD_BLOCKS = 100, THOROUGH = 8 };

static const char *what;
static bool stop;
static size_t forks_begun, forks_done, forks_wanted;
static time_t end_time;

/* --- work: one step of each kind ------------------------------------------------------------- */

static void swap_and_free(uint64_t *state, size_t bytes) {
    struct block *old = table_swap(state, block_new_sparse(state, bytes));
    if (old != NULL)
        block_delete(old);
}

/* Through the table nearly every free is one of another thread's block. Of large slots there are
 * few in a slab, so that many frees are the first in theirs, which takes the owner's lock. */
static void step_remote(uint64_t *state) { swap_and_free(state, random_below(state, 40000)); }

/* Ends with slabs of many classes, each of which goes through its depot's lock. */
static void *leave_blocks(void *number) {
    uint64_t state = random_seed((uintptr_t)number);
    for (size_t bytes = 8; bytes < 100000; bytes += bytes / 4 + 8)
        swap_and_free(&state, bytes);
    return NULL;
}

static void step_depot(uint64_t *state) {
    thread_join(thread_start(leave_blocks, (void *)(uintptr_t)random_next(state)));
}

static void step_large(uint64_t *state) {
    struct block *block = block_new_sparse(state, (128u << 10) + random_below(state, 600u << 10));
    if (random_below(state, 2) == 0)
        block = realloc(block, sizeof *block + random_below(state, 2 * MIB) + 64);
    block = table_swap(state, block);
    if (block != NULL)
        block_delete(block);
}

/* Slabs and mappings become empty, and are given back at once. */
static void step_purge(uint64_t *state) {
    struct block *blocks[120];
    for (size_t i = 0; i < 120; i++)
        blocks[i] = block_new_sparse(state, i == 0 ? 300000 : i < 24 ? 120000 : 1000);
    for (size_t i = 0; i < 120; i++)
        block_delete(blocks[i]);
    if (random_below(state, 4) == 0)
        malloc_trim(0);
    step_remote(state);
}

static const struct {
    const char *name;
    void (*step)(uint64_t *state);
} kinds[] = {
    {"remote", step_remote}, {"depot", step_depot}, {"large", step_large}, {"purge", step_purge}};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void *work(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        size_t kind = random_below(&state, KINDS);
        while (strcmp(what, "all") != 0 && strcmp(what, kinds[kind].name) != 0)
            kind = (kind + 1) % KINDS;
        kinds[kind].step(&state);
    }
    return NULL;
}

/* --- the child ------------------------------------------------------------------------------- */

static void *use_heap(void *number) {
    uint64_t state = random_seed((uintptr_t)number);
    for (size_t i = 0; i < CHILD_BLOCKS; i++)
        step_remote(&state);
    return NULL;
}

static void in_grandchild(uint64_t *state) {
    use_heap((void *)7);
    allocate_every_size(state);
    table_empty(state);
    _exit(0);
}

static void in_child(size_t number) {
    uint64_t state = random_seed(number + 40);
    pid_t child = -1;
    signal(SIGALRM, SIG_DFL);
    if (number % 2 == 0) /* first free, or first allocate */
        table_empty(&state);
    allocate_every_size(&state);
    if (number % THOROUGH == 0)
        child = child_fork();
    if (child == 0)
        in_grandchild(&state);
    if (CHILD_MAY_START_THREADS)
        thread_join(thread_start(use_heap, (void *)8));
    table_empty(&state);
    if (child > 0)
        numbered_child_wait(child, "by child", number);
    if (number % THOROUGH == 0)
        heap_check("in a child");
    _exit(0);
}

static void *fork_often(void *unused) {
    (void)unused;
    for (;;) {
        size_t number = __atomic_fetch_add(&forks_begun, 1, __ATOMIC_RELAXED);
        if (number >= forks_wanted || time(NULL) >= end_time)
            return NULL;
        use_heap((void *)number); /* so that others free blocks of this thread's */
        pid_t child = child_fork();
        if (child == 0)
            in_child(number);
        numbered_child_wait(child, what, number);
        __atomic_fetch_add(&forks_done, 1, __ATOMIC_RELAXED);
    }
}

static void parent_hangs(int signal) {
    (void)signal;
    dprintf(2, "fork_during %s: the parent hangs; %zu forks begun, %zu children ended\n", what,
            __atomic_load_n(&forks_begun, __ATOMIC_RELAXED),
            __atomic_load_n(&forks_done, __ATOMIC_RELAXED));
    _exit(1);
}

int main(int argc, char **argv) {
    pthread_t workers[THREADS_MAX], forkers[THREADS_MAX];
    CHECK(argc == 6, "usage: fork_during WHAT WORKERS FORKERS FORKS SECONDS");
    what = argv[1];
    size_t worker_count = number_argument(argv[2]), forker_count = number_argument(argv[3]);
    CHECK(worker_count <= THREADS_MAX && forker_count <= THREADS_MAX, "too many threads");
    bool known = strcmp(what, "all") == 0;
    for (size_t i = 0; i < KINDS; i++)
        known = known || strcmp(what, kinds[i].name) == 0;
    CHECK(known, "\"%s\" is no kind of work", what);
    forks_wanted = 1 + number_argument(argv[4]) / (SLOWNESS > 4 ? 4 : SLOWNESS);
    end_time = time(NULL) + (time_t)number_argument(argv[5]);
    table_slots = strcmp(what, "large") == 0 ? 48 : 200; /* a small process forks faster */
    signal(SIGALRM, parent_hangs);
    alarm((unsigned)number_argument(argv[5]) + 100);

    for (size_t i = 0; i < worker_count; i++)
        workers[i] = thread_start(work, (void *)i);
    for (size_t i = 0; i < forker_count; i++)
        forkers[i] = thread_start(fork_often, NULL);
    for (size_t i = 0; i < forker_count; i++)
        thread_join(forkers[i]);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < worker_count; i++)
        thread_join(workers[i]);
    uint64_t state = random_seed(1);
    table_empty(&state);
    heap_check("in the parent, at the end");
    CHECK(forks_done > 0, "no child was made");
    printf("%zu forks\n", forks_done);
    return 0;
}
