/* Purpose: what the programs here share beside test/threads/check.h: skipping with a reason,
 *          system call filters, children whose end and words are looked at, and a workout of the
 *          heap that any number of threads may do at once. */
#ifndef SLM_TEST_HOSTILE_H
#define SLM_TEST_HOSTILE_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../threads/check.h"

/* ctest's SKIP_RETURN_CODE. */
enum { SKIPPED = 77 };

#define SKIP(...)                                                                                  \
    do {                                                                                           \
        dprintf(1, "skipped: ");                                                                   \
        dprintf(1, __VA_ARGS__);                                                                   \
        dprintf(1, "\n");                                                                          \
        _exit(SKIPPED);                                                                            \
    } while (0)

/* --- system call filters ---------------------------------------------------------------------- */

#if defined(__x86_64__)
#define HOSTILE_ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define HOSTILE_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { FILTER_MAX = 128 };

struct filter {
    struct sock_filter code[FILTER_MAX];
    unsigned short length;
};

static inline void filter_add(struct filter *filter, struct sock_filter instruction) {
    CHECK(filter->length < FILTER_MAX, "the filter is too long");
    filter->code[filter->length++] = instruction;
}

static inline void filter_begin(struct filter *filter) {
    filter->length = 0;
    filter_add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                    offsetof(struct seccomp_data, arch)));
    filter_add(filter,
               (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, HOSTILE_ARCHITECTURE, 1, 0));
    filter_add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    filter_add(filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                    offsetof(struct seccomp_data, nr)));
}

static inline void filter_answer(struct filter *filter, long call, unsigned action) {
    filter_add(filter,
               (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1));
    filter_add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* For all threads of the process, from now on and across execve. Allocates nothing. */
static inline void filter_install(struct filter *filter, unsigned otherwise) {
    filter_add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise));
    struct sock_fprog program = {filter->length, filter->code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "%s", strerror(errno));
    long result =
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (result < 0 && (errno == ENOSYS || errno == EPERM || errno == EACCES))
        SKIP("this system allows no seccomp filter (%s)", strerror(errno));
    CHECK(result == 0, "seccomp: %ld, %s", result, strerror(errno));
}

/* --- children ----------------------------------------------------------------------------------
 */

/* Runs `act` in a child whose standard output and error are collected in `text`. Its status. */
static inline int child_collect(void (*act)(void *), void *argument, char *text, size_t size) {
    int ends[2], status;
    size_t used = 0;
    ssize_t n;
    CHECK(pipe(ends) == 0, "pipe");
    pid_t child = child_fork();
    if (child == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        act(argument);
        _exit(0);
    }
    close(ends[1]);
    while (used < size - 1 && (n = read(ends[0], text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = 0;
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child, "waitpid: %s", strerror(errno));
    return status;
}

static inline bool aborted(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* --- a workout ---------------------------------------------------------------------------------
 */

enum { WORKOUT_SLOTS = 128 };

/* Blocks that threads pass to one another. */
static struct block *workout_passed[WORKOUT_SLOTS];

/* Each way of allocating that block_new leaves out; and those that only look. */
static inline void workout_odd_calls(uint64_t *state) {
    size_t bytes = 1 + random_size(state);
    void *pointer = NULL;
    CHECK(posix_memalign(&pointer, 64, bytes) == 0, "posix_memalign");
    memset(pointer, 1, bytes);
    pointer = reallocarray(pointer, 3, bytes);
    CHECK(pointer != NULL && malloc_usable_size(pointer) >= 3 * bytes, "reallocarray");
    memset(pointer, 2, 3 * bytes);
    free(pointer);
    pointer = valloc(bytes);
    CHECK(pointer != NULL, "valloc");
    free(pointer);
    pointer = aligned_alloc(1 << 16, bytes);
    CHECK(pointer != NULL, "aligned_alloc");
    free(pointer);
    CHECK(mallinfo2().uordblks > 0, "mallinfo2");
}

/* A LARGE block that grows and shrinks: mremap, or what stands in for it. */
static inline void workout_large(uint64_t *state) {
    struct block *block = block_new(state, 200000);
    for (size_t bytes = 300000; bytes < 5 * MIB; bytes += bytes / 2)
        block = block_resize(state, block, bytes);
    block = block_resize(state, block, 150000);
    block = block_resize(state, block, 1000);
    block_delete(block);
}

static inline void workout(uint64_t seed, size_t operations) {
    uint64_t state = random_seed(seed);
    for (size_t i = 0; i < operations; i++) {
        struct block **at = &workout_passed[random_below(&state, WORKOUT_SLOTS)];
        struct block *block = block_new(&state, random_size(&state));
        if (random_below(&state, 4) == 0)
            block = block_resize(&state, block, random_size(&state));
        block = __atomic_exchange_n(at, block, __ATOMIC_ACQ_REL);
        if (block != NULL)
            block_delete(block);
        if (i % 64 == 1)
            workout_odd_calls(&state);
        if (i % 512 == 2)
            workout_large(&state);
        if (i % 1024 == 3)
            malloc_trim(0);
    }
}

static inline void workout_end(void) {
    for (size_t i = 0; i < WORKOUT_SLOTS; i++) {
        struct block *block = __atomic_exchange_n(&workout_passed[i], NULL, __ATOMIC_ACQ_REL);
        if (block != NULL)
            block_delete(block);
    }
    malloc_trim(0);
}

/* --- calloc gives zeros ------------------------------------------------------------------------
 */

enum { ZERO_BLOCKS_MAX = 4200, ZERO_ROUNDS = 2 };

static inline void zero_check(const unsigned char *block, size_t bytes) {
    for (size_t at = 0; at < bytes; at++)
        CHECK(block[at] == 0, "calloc of %zu: byte %zu is %d", bytes, at, block[at]);
}

/* Blocks of one size, more than fill a slab: dirtied, freed, given back, and all had again. */
static inline void zero_check_size(size_t bytes) {
    static unsigned char *blocks[ZERO_BLOCKS_MAX];
    size_t slab_bytes = bytes <= 1024 ? (size_t)64 << 10 : MIB;
    size_t count = slab_bytes / bytes + 3;
    CHECK(count <= ZERO_BLOCKS_MAX, "%zu blocks", count);
    for (int round = 0; round < ZERO_ROUNDS; round++) {
        for (size_t i = 0; i < count; i++) {
            blocks[i] = calloc(1, bytes);
            CHECK(blocks[i] != NULL, "calloc of %zu", bytes);
            zero_check(blocks[i], bytes);
            memset(blocks[i], 0x5a, bytes);
        }
        for (size_t i = 0; i < count; i++)
            free(blocks[i]);
        if (round + 1 < ZERO_ROUNDS)
            malloc_trim(0);
    }
}

/* Every size class, and LARGE; also after realloc has moved and cut LARGE blocks. */
static inline void zero_check_all(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    for (size_t cls = 0; cls < SLM_CLASS_COUNT; cls++)
        zero_check_size(stats.classes[cls].slot_bytes);
    for (size_t bytes = 132 << 10; bytes < 6 * MIB; bytes = bytes * 2 + 4096) {
        zero_check_size(bytes);
        unsigned char *block = malloc(bytes);
        memset(block, 0xa5, bytes);
        block = realloc(block, 2 * bytes);
        CHECK(block != NULL, "realloc to %zu", 2 * bytes);
        memset(block + bytes, 0xa5, bytes);
        block = realloc(block, bytes / 2 + 70000);
        CHECK(block != NULL, "realloc of %zu", bytes);
        zero_check_size(bytes / 2 + 1);
        free(block);
        malloc_trim(0);
    }
}

#endif
