/* Purpose: what the same live blocks cost if 64 mostly idle threads hold them, against one thread
 * (field case F7). One thread at a time does a piece of work, the others sleep; the same pieces
 * with the same sizes are then done by one thread in a process of its own.
 *
 * Goal: 1.5 times the RSS at most. Protects: that from some 64 MiB on; with less, what each thread
 * once held of each class counts for more (1.7 times at 15 MiB), so EXTRA_MOST bytes a thread are
 * let pass. The ratio is printed.
 *
 * idle_threads MIB: that much live, in sizes from 16 to 4095 bytes, replaced PASSES times. */
#include <semaphore.h>

#include "held.h"

enum { THREADS = 64, PIECE = 64, PASSES = 4, MEAN = 764 };
enum { GOAL_PERCENT = 150, EXTRA_MOST = 256 << 10 };

static void **blocks; /* thread t owns those from t * share on */
static size_t block_count, share, next_of[THREADS], live;
static sem_t turns[THREADS], done;

/* Replaces the next PIECE blocks of `owner` or, when the table is full, random ones. */
static void piece(size_t owner, uint64_t seed) {
    uint64_t state = random_seed(seed);
    for (size_t i = 0; i < PIECE; i++) {
        size_t at = next_of[owner] < share ? next_of[owner]++ : random_below(&state, share);
        void **slot = &blocks[owner * share + at];
        size_t bytes = log_uniform(&state, 16, 8);
        live += bytes - (*slot != NULL ? *(size_t *)*slot : 0);
        free(*slot);
        *slot = malloc(bytes);
        CHECK(*slot != NULL, "malloc(%zu)", bytes);
        memset(*slot, 1, bytes);
        *(size_t *)*slot = bytes;
    }
}

static size_t owner_of(size_t number) {
    uint64_t state = random_seed(number);
    return number < block_count / PIECE ? number % THREADS : random_below(&state, THREADS);
}

struct worker {
    size_t number, piece; /* SIZE_MAX: the end */
};

static struct worker workers[THREADS];

static void *work(void *argument) {
    struct worker *worker = argument;
    for (;;) {
        while (sem_wait(&turns[worker->number]) != 0)
            continue;
        if (worker->piece == SIZE_MAX)
            return NULL;
        piece(worker->number, worker->piece);
        sem_post(&done);
    }
}

static void all_pieces_by_one(size_t pieces) {
    for (size_t i = 0; i < pieces; i++)
        piece(owner_of(i), i);
}

static void all_pieces_by_many(size_t pieces) {
    for (size_t i = 0; i < pieces; i++) {
        size_t owner = owner_of(i);
        workers[owner].piece = i;
        sem_post(&turns[owner]);
        while (sem_wait(&done) != 0)
            continue;
    }
}

/* In a process of its own: RSS and live bytes at the end. */
static size_t measure(bool many, size_t *live_at_end) {
    int ends[2];
    size_t figures[2] = {0, 0};
    CHECK(pipe(ends) == 0, "pipe");
    pid_t child = child_fork();
    if (child == 0) {
        pthread_t threads[THREADS];
        for (size_t i = 0; i < THREADS && many; i++) {
            workers[i].number = i;
            CHECK(sem_init(&turns[i], 0, 0) == 0, "sem_init");
            start_on_small_stack(&threads[i], work, &workers[i]);
        }
        CHECK(sem_init(&done, 0, 0) == 0, "sem_init");
        memset(blocks, 0, block_count * sizeof *blocks);
        free(malloc(1));
        size_t before = rss_bytes();
        size_t pieces = (1 + PASSES) * (block_count / PIECE);
        (many ? all_pieces_by_many : all_pieces_by_one)(pieces);
        malloc_trim(0);
        figures[0] = rss_since(before);
        figures[1] = live;
        heap_check("at the end");
        CHECK(write(ends[1], figures, sizeof figures) == sizeof figures, "write");
        _exit(0);
    }
    close(ends[1]);
    bool told = read(ends[0], figures, sizeof figures) == sizeof figures;
    close(ends[0]);
    child_wait(child, many ? "64 threads" : "one thread");
    CHECK(told, "no figures");
    *live_at_end = figures[1];
    return figures[0];
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: idle_threads MIB");
    share = number_argument(argv[1]) * MIB / MEAN / THREADS / PIECE * PIECE;
    block_count = share * THREADS;
    CHECK(share > 0, "too few MiB");
    blocks = map_table(block_count * sizeof *blocks);
    size_t one_live, many_live;
    size_t one = measure(false, &one_live);
    size_t many = measure(true, &many_live);
    CHECK(one_live == many_live, "not the same blocks: %zu and %zu bytes", one_live, many_live);
    printf("%.1f MiB live: one thread %.1f MiB of RSS (%.2f of live), %d threads %.1f (%.2f): "
           "%.2f times as much (goal: 1.50)\n", (double)one_live / MIB, (double)one / MIB,
           (double)one / (double)one_live, THREADS, (double)many / MIB,
           (double)many / (double)one_live, (double)many / (double)one);
    fflush(stdout);
    CHECK(one >= one_live, "the blocks are not resident");
    CHECK(many <= one / 100 * GOAL_PERCENT || many <= one + THREADS * EXTRA_MOST,
          "%zu bytes of RSS, one: %zu", many, one);
    return 0;
}
