/* Protects: destructors of thread-specific data that allocate, resize and free in each of their
 * four rounds, for keys made before the heap's own and after it; threads that first call the
 * heap in such a destructor; detached and cancelled threads. None of it leaks (field cases 6, B1).
 *
 * key_destructors rounds|late|last|detached|cancel */
#include "check.h"

#include <limits.h>
#include <semaphore.h>

/* The thread sanitizer itself is gone in the last round. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define ROUNDS PTHREAD_DESTRUCTOR_ITERATIONS
#endif

enum { KEYS = 8, THREADS = 4000 / SLOWNESS + 100, AT_ONCE = 4 };

struct datum {
    pthread_key_t key;
    unsigned rounds_left;
    struct block *block; /* NULL: to be allocated in the last round only */
};

static pthread_key_t keys[KEYS];
static size_t keys_made;
static size_t destructors_run;

/* Per thread: not from the heap, since what is tested is who calls it first. */
static __thread struct datum data[KEYS];

static void destroy(void *value) {
    struct datum *datum = value;
    uint64_t state = random_seed(datum->key * 8 + datum->rounds_left);
    __atomic_fetch_add(&destructors_run, 1, __ATOMIC_RELAXED);
    bool last = --datum->rounds_left == 0;
    if (!last) {
        if (datum->block != NULL) {
            block_delete(block_new(&state, random_size(&state)));
            datum->block = block_resize(&state, datum->block, random_below(&state, 2000));
        }
        int error = pthread_setspecific(datum->key, datum);
        CHECK(error == 0, "pthread_setspecific: %d", error);
    } else if (datum->block != NULL) {
        block_delete(block_resize(&state, datum->block, 300));
    } else {
        for (size_t i = 0; i < 20; i++)
            block_delete(block_new(&state, random_below(&state, 1000)));
    }
}

/* Runs before main: nobody has called the heap yet. */
static __attribute__((constructor(101))) void make_early_keys(void) {
    while (keys_made < KEYS / 2)
        if (pthread_key_create(&keys[keys_made++], destroy) != 0)
            _exit(1);
}

static void set_keys(size_t first, size_t last, unsigned rounds, bool with_block) {
    uint64_t state = random_seed(first);
    for (size_t i = first; i < last; i++) {
        data[i] = (struct datum){keys[i], rounds, with_block ? block_new(&state, 100) : NULL};
        int error = pthread_setspecific(keys[i], &data[i]);
        CHECK(error == 0, "pthread_setspecific: %d", error);
    }
}

static void *use_all_rounds(void *unused) {
    (void)unused;
    set_keys(0, KEYS, ROUNDS, true);
    return NULL;
}

/* The thread's first call of the heap comes in the first round, from a key younger than the heap's,
 * or in the last round. */
static void *call_in_first_round(void *unused) {
    (void)unused;
    set_keys(KEYS / 2, KEYS, 1, false);
    return NULL;
}

static void *call_in_last_round(void *unused) {
    (void)unused;
    set_keys(0, KEYS, ROUNDS, false);
    return NULL;
}

static sem_t ended;

static void *end_detached(void *unused) {
    use_all_rounds(unused);
    CHECK(pthread_detach(pthread_self()) == 0, "pthread_detach");
    sem_post(&ended);
    return NULL;
}

/* Cleanup handlers run first, then destructors. */
static void clean_up(void *block) { block_delete(block); }

static void *be_cancelled(void *unused) {
    uint64_t state = random_seed(77);
    use_all_rounds(unused);
    pthread_cleanup_push(clean_up, block_new(&state, 500));
    for (;;) {
        block_delete(block_new(&state, random_below(&state, 5000)));
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void batch(void *(*run)(void *)) {
    pthread_t threads[AT_ONCE];
    for (size_t i = 0; i < AT_ONCE; i++)
        threads[i] = thread_start(run, NULL);
    for (size_t i = 0; i < AT_ONCE; i++) {
        if (run == end_detached) {
            while (sem_wait(&ended) != 0)
                ;
            continue;
        }
        if (run == be_cancelled)
            CHECK(pthread_cancel(threads[i]) == 0, "pthread_cancel");
        void *result = thread_join(threads[i]);
        CHECK(run != be_cancelled || result == PTHREAD_CANCELED, "not cancelled");
    }
}

int main(int argc, char **argv) {
    struct slm_stats early, late;
    CHECK(argc == 2, "usage: key_destructors rounds|late|last|detached|cancel");
    free(malloc(1)); /* the heap makes its key here */
    while (keys_made < KEYS)
        CHECK(pthread_key_create(&keys[keys_made++], destroy) == 0, "pthread_key_create");
    sem_init(&ended, 0, 0);

    void *(*run)(void *) = strcmp(argv[1], "late") == 0       ? call_in_first_round
                           : strcmp(argv[1], "last") == 0     ? call_in_last_round
                           : strcmp(argv[1], "detached") == 0 ? end_detached
                           : strcmp(argv[1], "cancel") == 0   ? be_cancelled
                                                              : use_all_rounds;
    size_t batches = THREADS / AT_ONCE / (run == be_cancelled ? 5 : 1);
    size_t rss = 0;
    for (size_t i = 0; i < batches; i++) {
        batch(run);
        if (i == batches / 5) {
            rss = rss_bytes();
            slm_stats_get(&early);
        }
    }
    size_t per_thread =
        run == call_in_first_round ? KEYS / 2 : KEYS * ROUNDS;
    size_t expected = batches * AT_ONCE * per_thread;
    if (run != end_detached) /* whose last ones may still be at it */
        CHECK(destructors_run == expected, "%zu destructors, not %zu", destructors_run, expected);
    slm_stats_get(&late);
    /* Detached threads end some time after they were waited for: some more at once. */
    size_t more = run == end_detached ? 256 : 4;
    CHECK(late.caches <= early.caches + more, "%zu caches, were %zu", late.caches, early.caches);
    CHECK(SLM_PREFIXED || run == end_detached || rss_bytes() <= rss + 4 * MIB,
          "RSS %zu, was %zu", rss_bytes(), rss);
    CHECK(run == end_detached || late.tiny.live_bytes <= early.tiny.live_bytes + 8192,
          "%zu TINY bytes live, were %zu", late.tiny.live_bytes, early.tiny.live_bytes);
    return 0;
}
