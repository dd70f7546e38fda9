/* Purpose: every function of the API at random from many threads that hand blocks over, end and are
 * replaced, beside forks, trims and looks at the figures. Protects: contents, whoever allocates,
 * resizes and frees; the heap's invariants at every barrier and beside all the rest; at the end
 * nothing is live that was not at the start; a child of such a process frees and resizes what it
 * inherited, starts a thread and ends (field cases 8, 21, B5, H4); and, with one CPU for all
 * threads, that none waits for another that can't run (field case G5).
 *
 * mixed THREADS OPERATIONS [pinned]: OPERATIONS of each thread's place, over all threads that take
 * it one after the other. */
#include "stress.h"

enum { THREADS_MAX = 64, ROUNDS = 3, OWN = 24 };

static size_t life;        /* operations of one thread */
static size_t operations;  /* of one place, in one round */
static size_t forks;       /* in one round */
static size_t thread_number;
static bool stop;

/* --- one operation --------------------------------------------------------------------------- */

static size_t any_size(uint64_t *state) {
    size_t kind = random_below(state, 4096);
    if (kind == 0)
        return random_below(state, 2 * MIB);
    if (kind < 160)
        return random_below(state, 64u << 10);
    return random_size(state) % 4096;
}

static void *allocate(uint64_t *state, size_t total) {
    void *pointer = NULL;
    size_t alignment = (size_t)16 << random_below(state, 10);
    switch (random_below(state, 10)) {
    case 0:
        return calloc(total, 1);
    case 1:
        return realloc(NULL, total);
    case 2:
        return memalign(alignment, total);
    case 3:
        return aligned_alloc(alignment, total);
    case 4:
        CHECK(posix_memalign(&pointer, alignment, total) == 0, "posix_memalign(%zu)", total);
        CHECK((uintptr_t)pointer % alignment == 0, "posix_memalign: %p", pointer);
        return pointer;
    case 5:
        return total % 8 == 0 ? reallocarray(NULL, total / 8, 8) : malloc(total);
    case 6:
        return random_below(state, 64) == 0 ? valloc(total) : malloc(total);
    default:
        return malloc(total);
    }
}

static struct block *make(uint64_t *state) {
    size_t bytes = any_size(state);
    struct block *block = allocate(state, sizeof *block + bytes);
    CHECK(block != NULL && (uintptr_t)block % 16 == 0, "%zu bytes: %p", bytes, (void *)block);
    size_t usable = malloc_usable_size(block);
    CHECK(usable >= sizeof *block + bytes, "usable: %zu of %zu", usable, bytes);
    block_fill(block, bytes, random_next(state));
    return block;
}

static void unmake(uint64_t *state, struct block *block) {
    size_t bytes = block->bytes;
    block_check(block, bytes);
    switch (random_below(state, 4)) {
    case 0:
        slm_free_sized(block, sizeof *block + bytes);
        break;
    case 1:
        slm_free_aligned_sized(block, 16, sizeof *block + bytes);
        break;
    default:
        free(block);
    }
}

static void look(uint64_t *state) {
    struct slm_stats stats;
    switch (random_below(state, 4)) {
    case 0:
        malloc_trim(0);
        break;
    case 1:
        CHECK(mallinfo2().arena > 0, "an empty arena while blocks live");
        break;
    default:
        slm_stats_get(&stats);
        CHECK(stats.tiny.slabs <= stats.tiny.slabs_peak, "%zu slabs, most ever %zu",
              stats.tiny.slabs, stats.tiny.slabs_peak);
        CHECK(stats.large.live_bytes <= stats.large.peak_bytes, "%zu LARGE bytes, most ever %zu",
              stats.large.live_bytes, stats.large.peak_bytes);
    }
}

/* `own`: a place for a block that this thread keeps. */
static void operate(uint64_t *state, struct block **own) {
    size_t kind = random_below(state, 2048);
    struct block *block = *own;
    *own = NULL;
    if (kind == 0)
        look(state);
    if (kind < 400 && block != NULL)
        block = block_resize(state, block, any_size(state));
    else if (block == NULL && kind < 1800)
        block = make(state);
    if (kind % 2 == 0) {
        block = table_swap(state, block);
    } else if (block != NULL && kind % 16 == 1) {
        unmake(state, block);
        block = NULL;
    }
    if (block != NULL && random_below(state, 3) == 0) {
        unmake(state, block);
        block = NULL;
    }
    *own = block;
}

/* --- threads --------------------------------------------------------------------------------- */

/* What a thread still holds at its end goes into the table, to outlive it. */
static void *live_once(void *unused) {
    struct block *own[OWN] = {NULL};
    uint64_t state = random_seed(__atomic_fetch_add(&thread_number, 1, __ATOMIC_RELAXED));
    (void)unused;
    for (size_t i = 0; i < life; i++)
        operate(&state, &own[random_below(&state, OWN)]);
    for (size_t i = 0; i < OWN; i++) {
        struct block *block = own[i] != NULL ? table_swap(&state, own[i]) : NULL;
        if (block != NULL)
            unmake(&state, block);
    }
    return NULL;
}

static void *keep_place(void *unused) {
    (void)unused;
    for (size_t done = 0; done < operations; done += life)
        thread_join(thread_start(live_once, NULL));
    return NULL;
}

/* Looks at all invariants while everybody else is at work. */
static void *watch(void *unused) {
    (void)unused;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        heap_check("beside the other threads");
        usleep(20000);
    }
    return NULL;
}

static void in_child(void) {
    uint64_t state = random_seed(99);
    life = 200;
    if (CHILD_MAY_START_THREADS) {
        pthread_t thread = thread_start(live_once, NULL);
        table_empty(&state);
        thread_join(thread);
    }
    table_empty(&state);
    allocate_every_size(&state);
    heap_check("in a child");
    _exit(0);
}

static void *fork_often(void *unused) {
    (void)unused;
    for (size_t number = 0; number < forks; number++) {
        pid_t child = child_fork();
        if (child == 0)
            in_child();
        numbered_child_wait(child, "beside a mixed load", number);
    }
    return NULL;
}

/* --- rounds ---------------------------------------------------------------------------------- */

/* No other thread runs: the figures must agree with each other. */
static void check_figures(void) {
    struct slm_stats stats;
    size_t tiny = 0, small = 0;
    slm_stats_get(&stats);
    for (size_t i = 0; i < SLM_CLASS_COUNT; i++) {
        const struct slm_class_stats *c = &stats.classes[i];
        CHECK(c->live <= c->slots, "class of %zu bytes: %zu live of %zu", c->slot_bytes, c->live,
              c->slots);
        CHECK(c->allocations - c->frees == c->live, "class of %zu bytes: %zu live", c->slot_bytes,
              c->live);
        *(c->slot_bytes <= 4096 ? &tiny : &small) += c->slabs;
    }
    CHECK(tiny == stats.tiny.slabs, "%zu TINY slabs, not %zu", tiny, stats.tiny.slabs);
    CHECK(small == stats.small.slabs, "%zu SMALL slabs, not %zu", small, stats.small.slabs);
}

static void run_round(size_t threads) {
    pthread_t places[THREADS_MAX];
    stop = false;
    pthread_t watcher = thread_start(watch, NULL);
    for (size_t i = 0; i < threads; i++)
        places[i] = thread_start(keep_place, NULL);
    fork_often(NULL);
    for (size_t i = 0; i < threads; i++)
        thread_join(places[i]);
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    thread_join(watcher);
    heap_check("at a barrier");
    check_figures();
}

int main(int argc, char **argv) {
    uint64_t state = random_seed(1000);
    CHECK(argc == 3 || argc == 4, "usage: mixed THREADS OPERATIONS [pinned]");
    size_t threads = number_argument(argv[1]);
    CHECK(threads >= 1 && threads <= THREADS_MAX, "%zu threads", threads);
    operations = number_argument(argv[2]) / ROUNDS / SLOWNESS + 1;
    life = operations / 4 < 5000 ? operations / 4 + 1 : 5000;
    forks = UNDER_TSAN ? 0 : 4 + 20 / SLOWNESS;
    if (argc == 4)
        pin_to_one_cpu();

    size_t live = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        run_round(threads);
        size_t left = table_empty(&state);
        CHECK(left > 0, "round %zu: no block was handed over", round);
        heap_check("when all blocks are freed");
        check_figures();
        if (round == 0)
            live = live_bytes(); /* what libc keeps for threads it has had */
        size_t allowed = live + (SLM_PREFIXED ? 0 : threads * 1024);
        CHECK(live_bytes() <= allowed, "round %zu: %zu bytes live, at first %zu", round,
              live_bytes(), live);
    }
    CHECK(!SLM_PREFIXED || live == 0, "%zu bytes live with all blocks freed", live);
    return 0;
}
