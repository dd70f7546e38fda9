/* Purpose: the limits of the heap (core/account.h, heap/limits.h).
 *
 * Protects: limit CASE
 *
 *   exact     what is held is never above heap_limit, all of it can be had, and it comes back
 *   threads   the same with threads that allocate all at once: nothing is lost from the account
 *   realloc   a block that cannot grow stays as it was
 *   handler   the program is asked before an allocation fails; what it frees is used
 *   soft      above the soft limit what is free goes back at once, and the handler is told; a heap
 *             that needs more is not purged again and again
 *   fork      a child has the account of what it inherited
 *
 * That the account is right to the byte, unit_heap has. */
#include "check.h"

#define LIMIT (64 * MIB)
enum { BLOCKS_MAX = 1 << 21, THREADS = 8 };

static void *blocks[BLOCKS_MAX];
static volatile size_t count; /* the handler changes it, from inside of malloc */

static void set(const char *name, size_t bytes) {
    char value[32];
    snprintf(value, sizeof value, "%zu", bytes);
    CHECK(slm_option_set(name, value), "%s=%s", name, value);
}

/* As much as there is, of one size. */
static size_t take_all(size_t size) {
    size_t bytes = 0;
    errno = 0;
    for (void *block; count < BLOCKS_MAX && (block = malloc(size)) != NULL; bytes += size) {
        memset(block, 1, size);
        blocks[count++] = block;
    }
    CHECK(errno == ENOMEM && count < BLOCKS_MAX, "not refused: errno %d", errno);
    return bytes;
}

static void free_all(void) {
    while (count > 0)
        free(blocks[--count]);
}

/* In use, and kept for reuse. */
static size_t held(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    return (stats.tiny.slabs + stats.tiny.slabs_dirty) * stats.tiny.slab_bytes +
           (stats.small.slabs + stats.small.slabs_dirty) * stats.small.slab_bytes +
           stats.large.live_bytes + stats.large.cached_bytes;
}

/* --- the cases ---- */

/* What one round finds, the next does: nothing is counted twice, nor for ever. */
static int exact(void) {
    static const size_t sizes[] = {1000, 5000, 100000, 300000, 3000000, 48, 1000};
    set("heap_limit", LIMIT);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        /* A slab of 1 MiB, or as much as a block, may not fit in; classes round by an eighth. */
        size_t bytes = take_all(sizes[i]);
        size_t least = (LIMIT - MIB - sizes[i]) / 9 * 7;
        CHECK(bytes >= least && bytes <= LIMIT, "%zu B: %zu bytes were to be had", sizes[i], bytes);
        CHECK(held() <= LIMIT, "%zu B: %zu are held", sizes[i], held());
        free_all();
        void *large = malloc(LIMIT * 3 / 4);
        CHECK(large != NULL || SLM_TORTURE, "%zu B: what was freed is not to be had", sizes[i]);
        free(large);
    }
    CHECK(malloc(LIMIT + 1) == NULL && errno == ENOMEM, "one block above the limit");
    set("heap_limit", 0);
    void *large = malloc(2 * LIMIT);
    CHECK(large != NULL, "no limit any more");
    free(large);
    return 0;
}

static void *churn(void *number) {
    uint64_t random = random_seed((uintptr_t)number);
    void *mine[512] = {NULL};
    size_t refused = 0;
    for (int i = 0; i < 200000 / SLOWNESS; i++) {
        size_t place = random_below(&random, 512);
        size_t size = random_below(&random, 8) != 0 ? random_below(&random, 30000)
                                                    : random_below(&random, 1000000);
        free(mine[place]);
        mine[place] = malloc(size);
        refused += mine[place] == NULL;
        if (i % 1000 == 0) { /* read beside the others, one figure after the other */
            size_t now = held();
            CHECK(now <= LIMIT + LIMIT / 2, "%zu are held", now);
        }
    }
    for (size_t i = 0; i < 512; i++)
        free(mine[i]);
    return (void *)refused;
}

static int with_threads(void) {
    pthread_t threads[THREADS];
    size_t refused = 0;
    set("heap_limit", LIMIT);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0, "no thread");
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        refused += (size_t)result;
    }
    CHECK(refused > 0, "nothing was refused: the case shows nothing");
    size_t bytes = take_all(1000);
    CHECK(bytes >= LIMIT / 9 * 7, "%zu bytes were to be had afterwards", bytes);
    free_all();
    return 0;
}

static int resize(void) {
    set("heap_limit", LIMIT);
    unsigned char *block = malloc(MIB);
    memset(block, 7, MIB);
    CHECK(realloc(block, 2 * LIMIT) == NULL && errno == ENOMEM, "grown above the limit");
    for (size_t i = 0; i < MIB; i++)
        CHECK(block[i] == 7, "byte %zu is %d", i, block[i]);
    unsigned char *grown = realloc(block, 40 * MIB);
    CHECK(grown != NULL && grown[MIB - 1] == 7, "there is room for that");
    free(grown);
    CHECK(take_all(100000) >= LIMIT / 9 * 7, "what could not grow is still counted");
    free_all();
    return 0;
}

static volatile struct {
    unsigned asked;
    size_t held;
    bool frees;
} told;

static bool handle(const struct slm_limit *limit, void *kind) {
    CHECK(limit->kind == *(enum slm_limit_kind *)kind, "told of limit %d", limit->kind);
    CHECK(limit->limit_bytes == LIMIT, "told a limit of %zu", limit->limit_bytes);
    told.asked++;
    told.held = limit->held_bytes;
    free(malloc(100)); /* it may */
    errno = 1234;
    if (told.frees)
        free_all();
    return told.frees;
}

static int asked(void) {
    enum slm_limit_kind kind = SLM_LIMIT_HARD;
    struct slm_limit_handler handler = {handle, &kind};
    CHECK(slm_set_limit_handler(&handler) == NULL, "there was a handler");
    set("heap_limit", LIMIT);
    take_all(100000);
    CHECK(told.asked == 1, "asked %u times", told.asked);
    CHECK(told.held <= LIMIT && told.held >= LIMIT - 2 * MIB, "told of %zu held", told.held);
    told.frees = true;
    void *block = malloc(32 * MIB);
    CHECK(block != NULL && told.asked == 2, "what the handler freed is not used");
    free(block);
    CHECK(slm_set_limit_handler(NULL) == &handler, "another handler");
    return 0;
}

static int soft(void) {
    enum slm_limit_kind kind = SLM_LIMIT_SOFT;
    struct slm_limit_handler handler = {handle, &kind};
    slm_set_limit_handler(&handler);
    set("heap_soft_limit", LIMIT);
    void *kept = malloc(40 * MIB); /* freed, it would be kept for a second */
    memset(kept, 1, 40 * MIB);
    free(kept);
    CHECK(held() >= 40 * MIB || SLM_TORTURE, "nothing is kept that could go back");
    for (size_t bytes = 0; bytes < 40 * MIB; bytes += 1000)
        memset(blocks[count++] = malloc(1000), 1, 1000);
    CHECK(told.asked == 0, "told although giving back was enough");
    CHECK(held() <= LIMIT, "%zu are held", held());
    for (size_t bytes = 0; bytes < 40 * MIB; bytes += 1000)
        memset(blocks[count++] = malloc(1000), 1, 1000);
    CHECK(told.asked >= 1 && told.asked <= 4, "told %u times", told.asked);
    CHECK(told.held > LIMIT, "told of %zu", told.held);
    unsigned before = told.asked;
    for (size_t i = 0; i < 100000; i++) {
        size_t place = i * 7919 % count;
        free(blocks[place]);
        blocks[place] = malloc(1000);
    }
    CHECK(told.asked == before, "steady above the soft limit: told %u times", told.asked);
    free_all();
    slm_purge();
    set("heap_soft_limit", LIMIT);
    told.asked = 0;
    for (size_t bytes = 0; bytes < 72 * MIB; bytes += 1000)
        memset(blocks[count++] = malloc(1000), 1, 1000);
    CHECK(told.asked >= 1, "not told when it was crossed again");
    free_all();
    return 0;
}

static int forked(void) {
    set("heap_limit", LIMIT);
    take_all(100000);
    pid_t child = fork();
    CHECK(child >= 0, "no fork");
    if (child == 0) {
        CHECK(malloc(4 * MIB) == NULL, "a child has an account of its own");
        free_all();
        CHECK(take_all(100000) >= LIMIT / 9 * 7, "what the child freed is still counted");
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "child: %x", (unsigned)status);
    free_all();
    return 0;
}

int main(int argument_count, char **arguments) {
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {{"exact", exact},   {"threads", with_threads}, {"realloc", resize},
                 {"handler", asked}, {"soft", soft},            {"fork", forked}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (argument_count == 2 && strcmp(arguments[1], cases[i].name) == 0)
            return cases[i].run();
    dprintf(2, "limit: which case?\n");
    return 2;
}
