/* What the programs here share: checks, blocks whose contents can be verified, figures of the
 * process. Nothing in here allocates but block_new. */
#ifndef SLM_TEST_THREADS_CHECK_H
#define SLM_TEST_THREADS_CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "names.h"

/* Amounts are divided by this in builds that are slow (see CMakeLists.txt). */
#ifndef SLOWNESS
#define SLOWNESS 1
#endif

#define MIB ((size_t)1 << 20)

/* Prints what is wrong and ends the process, without allocating. */
#define CHECK(condition, ...)                                                                     \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            dprintf(2, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                            \
            dprintf(2, __VA_ARGS__);                                                              \
            dprintf(2, "\n");                                                                     \
            _exit(1);                                                                             \
        }                                                                                         \
    } while (0)

/* --- random numbers: a sequence for each seed (Marsaglia's xorshift64*) ---------------------- */

static inline uint64_t random_next(uint64_t *state) {
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dULL;
}

static inline uint64_t random_seed(uint64_t number) {
    return (number + 1) * 0x9e3779b97f4a7c15ULL;
}

static inline size_t random_below(uint64_t *state, size_t limit) {
    return (size_t)(random_next(state) >> 16) % limit;
}

/* Mostly TINY, some SMALL, few LARGE. */
static inline size_t random_size(uint64_t *state) {
    size_t kind = random_below(state, 256);
    if (kind == 0)
        return (128u << 10) + random_below(state, 256u << 10);
    if (kind < 16)
        return 1025 + random_below(state, 30000);
    return random_below(state, 1025);
}

/* --- blocks that know their contents --------------------------------------------------------- */

struct block {
    size_t bytes;
    uint64_t seed;
    unsigned char payload[];
};

/* Every byte of the first and last 512 and one of each 61 between them. */
static inline size_t block_step(size_t at, size_t bytes) {
    return at < 512 || at + 512 >= bytes ? 1 : 61;
}

static inline unsigned char block_byte(uint64_t seed, size_t at) {
    return (unsigned char)((seed >> (at & 31)) + at);
}

static inline void block_fill(struct block *block, size_t bytes, uint64_t seed) {
    block->bytes = bytes;
    block->seed = seed;
    for (size_t at = 0; at < bytes; at += block_step(at, bytes))
        block->payload[at] = block_byte(seed, at);
}

/* `kept`: how many bytes must still be there. */
static inline void block_check(const struct block *block, size_t kept) {
    size_t bytes = block->bytes;
    for (size_t at = 0; at < kept; at += block_step(at, bytes))
        CHECK(block->payload[at] == block_byte(block->seed, at), "%p, byte %zu of %zu: %d",
              (const void *)block, at, bytes, block->payload[at]);
}

static inline struct block *block_new(uint64_t *state, size_t bytes) {
    struct block *block;
    size_t total = sizeof *block + bytes;
    size_t kind = random_below(state, 8);
    if (kind == 0) {
        block = calloc(1, total);
        CHECK(block != NULL, "calloc(1, %zu)", total);
        for (size_t at = 0; at < total; at++)
            CHECK(((unsigned char *)block)[at] == 0, "calloc(1, %zu): byte %zu", total, at);
    } else if (kind == 1) {
        size_t alignment = (size_t)16 << random_below(state, 9);
        block = memalign(alignment, total);
        CHECK(block != NULL && (uintptr_t)block % alignment == 0, "memalign(%zu, %zu): %p",
              alignment, total, (void *)block);
    } else {
        block = malloc(total);
        CHECK(block != NULL && (uintptr_t)block % 16 == 0, "malloc(%zu): %p", total,
              (void *)block);
    }
    block_fill(block, bytes, random_next(state));
    return block;
}

static inline struct block *block_resize(uint64_t *state, struct block *block, size_t bytes) {
    size_t old = block->bytes;
    block_check(block, old);
    block = realloc(block, sizeof *block + bytes);
    CHECK(block != NULL, "realloc to %zu", bytes);
    CHECK(block->bytes == old, "realloc lost the header: %zu, not %zu", block->bytes, old);
    block_check(block, old < bytes ? old : bytes);
    block_fill(block, bytes, random_next(state));
    return block;
}

static inline void block_delete(struct block *block) {
    block_check(block, block->bytes);
    free(block);
}

/* --- figures of the process ------------------------------------------------------------------ */

enum { STATM_MAPPED, STATM_RESIDENT, STATM_FIELDS };

static inline size_t statm_bytes(unsigned field) {
    char text[128] = {0};
    unsigned long pages[STATM_FIELDS];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "/proc/self/statm");
    close(fd);
    CHECK(sscanf(text, "%lu %lu", &pages[STATM_MAPPED], &pages[STATM_RESIDENT]) == STATM_FIELDS,
          "%s", text);
    return pages[field] * (size_t)sysconf(_SC_PAGESIZE);
}

static inline size_t mapped_bytes(void) { return statm_bytes(STATM_MAPPED); }
static inline size_t rss_bytes(void) { return statm_bytes(STATM_RESIDENT); }

/* Whether so much time has gone since it was first asked: for what is repeated as often as a
 * machine is fast enough for: a page fault takes 12 us on some. */
static inline bool time_is_up(time_t seconds) {
    static time_t begun;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (__atomic_load_n(&begun, __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&begun, now.tv_sec, __ATOMIC_RELAXED);
    return now.tv_sec - __atomic_load_n(&begun, __ATOMIC_RELAXED) > seconds;
}

static inline size_t mapping_count(void) {
    static char text[1 << 16];
    size_t lines = 0;
    ssize_t n;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0, "/proc/self/maps");
    while ((n = read(fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    close(fd);
    return lines;
}

/* Bytes in live blocks, exact while no other thread allocates. */
static inline size_t live_bytes(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.tiny.live_bytes + stats.small.live_bytes + stats.large.live_bytes;
}

/* --- threads and processes ------------------------------------------------------------------- */

static inline pthread_t thread_start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, argument);
    CHECK(error == 0, "pthread_create: %s", strerror(error));
    return thread;
}

static inline void *thread_join(pthread_t thread) {
    void *result;
    int error = pthread_join(thread, &result);
    CHECK(error == 0, "pthread_join: %s", strerror(error));
    return result;
}

/* The child's status must be `exit(0)`. */
static inline void child_wait(pid_t child, const char *what) {
    int status;
    pid_t waited;
    do
        waited = waitpid(child, &status, 0);
    while (waited < 0 && errno == EINTR);
    CHECK(waited == child, "waitpid: %s", strerror(errno));
    CHECK(!WIFSIGNALED(status), "%s ended by signal %d%s", what, WTERMSIG(status),
          WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
    CHECK(WEXITSTATUS(status) == 0, "%s: exit code %d", what, WEXITSTATUS(status));
}

/* Forks; the child ends by SIGALRM if it hangs. */
static inline pid_t child_fork(void) {
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child == 0)
        alarm(60);
    return child;
}

#endif
