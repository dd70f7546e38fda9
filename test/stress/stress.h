/* Purpose: what the programs of this folder share beyond threads/check.h: a table through which
 * threads hand blocks to each other, one block of every size, a walk over the heap's invariants,
 * and children that say which one failed. */
#ifndef SLM_TEST_STRESS_STRESS_H
#define SLM_TEST_STRESS_STRESS_H

#include <sched.h>

#include "check.h"

/* ctest's SKIP_RETURN_CODE for these programs. */
enum { SKIPPED = 77 };

#define SKIP(...)                                                                                 \
    do {                                                                                          \
        printf("skipped: " __VA_ARGS__);                                                          \
        printf("\n");                                                                             \
        fflush(stdout);                                                                           \
        _exit(SKIPPED);                                                                           \
    } while (0)

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

/* The sanitizers' own locks do not outlive a fork of several threads: no threads in a child. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { CHILD_MAY_START_THREADS = 0 };
#else
enum { CHILD_MAY_START_THREADS = 1 };
#endif

static inline size_t number_argument(const char *text) {
    char *end;
    size_t number = strtoul(text, &end, 10);
    CHECK(end != text && *end == '\0', "\"%s\" is no number", text);
    return number;
}

/* The full walk over the heap, where the library has it. */
static inline void heap_check(const char *where) {
#ifdef SLM_HAVE_CHECK_HEAP
    CHECK(slm_check_heap(2), "%s", where);
#else
    (void)where;
#endif
}

/* --- the table ------------------------------------------------------------------------------- */

/* A block in the table belongs to nobody; who takes it out owns it. So what a fork copies is in the
 * table, and whole, or lost to the child with the thread that held it. */
enum { TABLE_SLOTS = 2048 };
static struct block *table[TABLE_SLOTS];
static size_t table_slots = TABLE_SLOTS; /* in use */

/* Puts `block` (NULL: nothing) at a random place; returns what was there. */
static inline struct block *table_swap(uint64_t *state, struct block *block) {
    return __atomic_exchange_n(&table[random_below(state, table_slots)], block, __ATOMIC_ACQ_REL);
}

/* Frees what is in the table, after resizing one of eight; returns how many there were. */
static inline size_t table_empty(uint64_t *state) {
    size_t count = 0;
    for (size_t i = 0; i < table_slots; i++) {
        struct block *block = __atomic_exchange_n(&table[i], NULL, __ATOMIC_ACQ_REL);
        if (block == NULL)
            continue;
        count++;
        if (random_below(state, 8) == 0)
            block = block_resize(state, block, random_below(state, 3000));
        block_delete(block);
    }
    return count;
}

/* --- all sizes ------------------------------------------------------------------------------- */

/* A block of which little is written: so that locks, not memory, take the time. */
static inline struct block *block_new_sparse(uint64_t *state, size_t bytes) {
    struct block *block = malloc(sizeof *block + bytes);
    CHECK(block != NULL, "malloc(%zu)", bytes);
    block_fill(block, bytes < 64 ? bytes : 64, random_next(state));
    return block;
}

enum { LARGE_SIZES = 4 };

/* Two blocks of every class and some LARGE ones live at once; contents checked; all freed. */
static inline void allocate_every_size(uint64_t *state) {
    struct block *blocks[2 * SLM_CLASS_COUNT + LARGE_SIZES];
    struct slm_stats stats;
    size_t count = 0;
    slm_stats_get(&stats);
    for (size_t cls = 0; cls < SLM_CLASS_COUNT; cls++) {
        size_t bytes = stats.classes[cls].slot_bytes;
        CHECK(bytes > 0, "class %zu has no size", cls);
        size_t payload = bytes > sizeof(struct block) ? bytes - sizeof(struct block) : 0;
        blocks[count++] = block_new_sparse(state, payload);
        blocks[count++] = block_new_sparse(state, payload);
    }
    for (size_t i = 0; i < LARGE_SIZES; i++)
        blocks[count++] = block_new_sparse(state, (200u << 10) << i);
    for (size_t i = 0; i < count; i++)
        block_delete(blocks[i]);
}

/* --- processes ------------------------------------------------------------------------------- */

/* As child_wait, with the child's number. */
static inline void numbered_child_wait(pid_t child, const char *what, size_t number) {
    char name[128];
    snprintf(name, sizeof name, "child %zu, forked %s,", number, what);
    child_wait(child, name);
}

/* Runs the process on one CPU only. */
static inline void pin_to_one_cpu(void) {
    cpu_set_t all, one;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0, "sched_getaffinity");
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        SKIP("sched_setaffinity: %s", strerror(errno));
}

#endif
