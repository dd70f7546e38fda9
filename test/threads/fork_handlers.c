/* Protects: fork handlers of others, registered before the heap's own and after it, that allocate
 * and free in prepare, in the parent and in the child, blocks of busy threads too (field cases 9,
 * C4). */
#include "check.h"

enum { WORKERS = 4, SLOTS = 256, SETS = 2, FORKS = 300 / (SLOWNESS > 3 ? 3 : SLOWNESS) };

static struct block *slots[SLOTS];
static struct block *from_prepare[SETS];
static size_t calls[SETS][3];
static bool stop;
static uint64_t handler_state = 99;

static void exchange_some(uint64_t *state, size_t count) {
    for (size_t i = 0; i < count; i++) {
        size_t at = random_below(state, SLOTS);
        struct block *block = block_new(state, random_size(state));
        block = __atomic_exchange_n(&slots[at], block, __ATOMIC_ACQ_REL);
        if (block != NULL)
            block_delete(block);
    }
}

static void prepare(size_t set) {
    calls[set][0]++;
    exchange_some(&handler_state, 20);
    from_prepare[set] = block_new(&handler_state, random_size(&handler_state));
}

static void after(size_t set, size_t where) {
    calls[set][where]++;
    block_delete(block_resize(&handler_state, from_prepare[set], 10000));
    exchange_some(&handler_state, 20);
}

static void early_prepare(void) { prepare(0); }
static void early_parent(void) { after(0, 1); }
static void early_child(void) { after(0, 2); }
static void late_prepare(void) { prepare(1); }
static void late_parent(void) { after(1, 1); }
static void late_child(void) { after(1, 2); }

/* Before main: the heap has not been called yet, so its handlers are not registered. */
static __attribute__((constructor(101))) void register_early(void) {
    if (pthread_atfork(early_prepare, early_parent, early_child) != 0)
        _exit(1);
}

/* Gives its slabs up when it ends, which takes locks as well. */
static void *work_some(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    exchange_some(&state, 30);
    return NULL;
}

static void *work(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        exchange_some(&state, 30);
        thread_join(thread_start(work_some, (void *)(uintptr_t)random_next(&state)));
    }
    return NULL;
}

int main(void) {
    pthread_t workers[WORKERS];
    exchange_some(&handler_state, 10);
    CHECK(pthread_atfork(late_prepare, late_parent, late_child) == 0, "pthread_atfork");
    for (size_t i = 0; i < WORKERS; i++)
        workers[i] = thread_start(work, (void *)i);
    alarm(200); /* a deadlock of the parent ends the test */
    for (size_t i = 1; i <= FORKS; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork");
        if (child == 0) {
            alarm(20);
            exchange_some(&handler_state, 100);
            CHECK(calls[0][2] == 1 && calls[1][2] == 1, "handlers in the child");
            _exit(0);
        }
        child_wait(child, "a child with fork handlers");
        for (size_t set = 0; set < SETS; set++)
            CHECK(calls[set][0] == i && calls[set][1] == i, "handlers in the parent");
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < WORKERS; i++)
        thread_join(workers[i]);
    return 0;
}
