/* Protects: fork from a busy process: threads allocate and hand blocks over, others fork; the child
 * frees and resizes what it inherited, of threads that vanished too, finds all contents, starts
 * threads and forks again (field case 8).
 *
 * fork_storm busy|single|reuse */
#include "check.h"

enum { WORKERS = 8, FORKERS = 3, SLOTS = 1024, STEPS = 300 };
enum { FORKS = 150 / (SLOWNESS > 3 ? 3 : SLOWNESS), FORKS_LEAST = FORKS / 10, SECONDS = 30 };

/* The sanitizers' own locks do not outlive a fork of several threads: no new ones in the child. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { CHILD_THREADS = 0 };
#else
enum { CHILD_THREADS = 3 };
#endif

static struct block *slots[SLOTS];
static bool stop;

/* A slot taken out belongs to its taker: what a fork copies is either in a slot, and whole, or lost
 * to the child with the thread that held it. */
static void step(uint64_t *state) {
    size_t at = random_below(state, SLOTS);
    struct block *block = __atomic_exchange_n(&slots[at], NULL, __ATOMIC_ACQ_REL);
    if (block != NULL && random_below(state, 2) == 0) {
        block_delete(block);
        block = NULL;
    }
    block = block == NULL ? block_new(state, random_size(state))
                          : block_resize(state, block, random_size(state));
    block = __atomic_exchange_n(&slots[at], block, __ATOMIC_ACQ_REL);
    if (block != NULL)
        block_delete(block);
}

static void *work(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        step(&state);
    return NULL;
}

static void *work_some(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    for (size_t i = 0; i < STEPS; i++)
        step(&state);
    return NULL;
}

static void in_child(unsigned generation) {
    uint64_t state = random_seed(generation + 40);
    pthread_t threads[CHILD_THREADS + 1];
    for (size_t i = 0; i < STEPS; i++)
        step(&state);
    for (int i = 0; i < CHILD_THREADS; i++)
        threads[i] = thread_start(work_some, (void *)(uintptr_t)(i + 50));
    if (generation < 2) {
        pid_t child = child_fork();
        if (child == 0) {
            in_child(generation + 1);
            _exit(0);
        }
        child_wait(child, "a grandchild");
    }
    for (int i = 0; i < CHILD_THREADS; i++)
        thread_join(threads[i]);
    for (size_t i = 0; i < SLOTS; i++)
        if (slots[i] != NULL)
            block_delete(slots[i]);
}

static void *fork_often(void *unused) {
    (void)unused;
    for (size_t i = 0; i < FORKS && (i < FORKS_LEAST || !time_is_up(SECONDS)); i++) {
        pid_t child = child_fork();
        if (child == 0) {
            in_child(0);
            _exit(0);
        }
        child_wait(child, "a child of a busy process");
    }
    return NULL;
}

static void busy(void) {
    pthread_t workers[WORKERS], forkers[FORKERS];
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(work, (void *)i);
    for (size_t i = 0; i < FORKERS; i++)
        forkers[i] = thread_start(fork_often, NULL);
    for (size_t i = 0; i < FORKERS; i++)
        thread_join(forkers[i]);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
}

/* Never more than one thread in the parent, before or at the fork. */
static void single(void) {
    pid_t child = child_fork(); /* no call of the heap has been made */
    if (child == 0) {
        in_child(1);
        _exit(0);
    }
    child_wait(child, "a child of a fresh process");
    work_some((void *)1);
    for (size_t i = 0; i < FORKS; i++) {
        child = child_fork();
        if (child == 0) {
            in_child(1);
            _exit(0);
        }
        work_some((void *)i);
        child_wait(child, "a child of a single thread");
    }
}

/* Threads that fill slabs by half and then are gone: the child's allocations go into the other
 * half before the heap grows. */
enum { OWNERS = 4, REUSE_BYTES = 240, REUSE_BLOCKS = 40000 };
static unsigned char *owned[OWNERS][REUSE_BLOCKS];
static pthread_barrier_t barrier;

static void *own_half(void *argument) {
    unsigned char **blocks = owned[(uintptr_t)argument];
    for (size_t i = 0; i < REUSE_BLOCKS; i++) {
        blocks[i] = malloc(REUSE_BYTES);
        memset(blocks[i], (int)(i % 251), REUSE_BYTES);
    }
    for (size_t i = 0; i < REUSE_BLOCKS; i += 2) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* until the child was made */
    return NULL;
}

static size_t tiny_slabs(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.tiny.slabs;
}

static void reuse_in_child(void) {
    size_t slabs = tiny_slabs();
    size_t fill = OWNERS * REUSE_BLOCKS / 2;
    for (size_t i = 0; i < fill; i++) {
        unsigned char *block = malloc(REUSE_BYTES);
        CHECK(block != NULL, "malloc");
        memset(block, 0xff, REUSE_BYTES);
    }
    CHECK(tiny_slabs() <= slabs + slabs / 20, "%zu slabs, were %zu", tiny_slabs(), slabs);
    for (size_t owner = 0; owner < OWNERS; owner++) {
        for (size_t i = 1; i < REUSE_BLOCKS; i += 2) {
            for (size_t at = 0; at < REUSE_BYTES; at++)
                CHECK(owned[owner][i][at] == i % 251, "block %zu of %zu, byte %zu", i, owner, at);
            free(owned[owner][i]);
        }
    }
    _exit(0);
}

static void reuse(void) {
    pthread_t threads[OWNERS];
    pthread_barrier_init(&barrier, NULL, OWNERS + 1);
    for (size_t i = 0; i < OWNERS; i++)
        threads[i] = thread_start(own_half, (void *)i);
    pthread_barrier_wait(&barrier);
    pid_t child = child_fork();
    if (child == 0)
        reuse_in_child();
    child_wait(child, "a child that reuses its parent's slabs");
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < OWNERS; i++)
        thread_join(threads[i]);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: fork_storm busy|single|reuse");
    if (strcmp(argv[1], "busy") == 0)
        busy();
    else if (strcmp(argv[1], "single") == 0)
        single();
    else
        reuse();
    return 0;
}
