/* Protects: want of memory, everywhere (field cases 18, D2, D13). For each n, a fresh process in
 * which the n-th system call of the named kinds fails, and `count` - 1 after it: every call that
 * gets no memory returns NULL with ENOMEM and changes nothing, the heap is whole after each failure
 * (a full walk), and when memory is back, everything works and nothing is lost.
 *
 *   oom_sweep KIND FROM TO STEP COUNT      KIND: reserve map commit unmap purge remap all
 *
 * The work is the same each time: blocks of all zones come and go, are resized, and are left behind
 * by threads; what is free goes back to the system now and then. It ends with the number of
 * processes in which a call was indeed made to fail. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../model/shadow.h"
#include "os/os.h"
#include "slabmalloc/slabmalloc.h"

enum { BLOCKS = 96, STEPS = 2600, BURST = 50, ORPHANS = 40, SECONDS = 120, EDGE = 4096 };

static const struct kind {
    const char *name;
    unsigned calls;
} kinds[] = {
    {"reserve", OS_RESERVE}, {"map", OS_MAP},     {"commit", OS_COMMIT}, {"unmap", OS_UNMAP},
    {"purge", OS_PURGE},     {"remap", OS_REMAP}, {"all", 63},
};

static struct block blocks[BLOCKS];
static struct block burst_blocks[BURST];
static uint64_t seed;
static unsigned step;
static uint32_t seen; /* failures after which the heap was walked */
static bool must_succeed;
static unsigned *failures_met; /* shared with the parent */

static void fail(const char *what) {
    fprintf(stderr, "step %u: %s; %u calls have failed, errno %d\n", step, what, os_injected(),
            errno);
    _exit(1);
}

/* Contents at both ends only: a block of megabytes need not be touched for this. */
static size_t edge(const struct block *b) { return b->size < EDGE ? b->size : EDGE; }

static void mark(const struct block *b, size_t bytes) {
    size_t n = bytes < edge(b) ? bytes : edge(b);
    memset(b->memory, (int)b->id, n);
    memset(b->memory + bytes - n, (int)b->id, n);
}

static void check_edge(const struct block *b, size_t bytes, size_t from, size_t to) {
    for (size_t i = from; i < to && i < bytes; i++)
        if (b->memory[i] != (unsigned char)b->id)
            fail("a block has lost its contents");
}

static void drop(struct block *b) {
    errno = 4242;
    if (b->memory != NULL) {
        check_edge(b, b->size, 0, edge(b));
        check_edge(b, b->size, b->size - edge(b), b->size);
    }
    slm_free(b->memory);
    if (errno != 4242)
        fail("free changed errno");
    *b = (struct block){0};
}

static void enter(struct block *b, void *memory, size_t size, bool zeroed) {
    if (memory == NULL) {
        if (errno != ENOMEM || must_succeed)
            fail("no memory, for no reason or without ENOMEM");
        return;
    }
    if (errno != 4242)
        fail("a call that succeeded changed errno");
    *b = (struct block){memory, size, slm_malloc_usable_size(memory), 16, random_next(&seed)};
    if (b->usable < size)
        fail("a block is shorter than it was asked for");
    if (zeroed && (!is_all_zero(memory, edge(b)) ||
                   !is_all_zero(b->memory + size - edge(b), edge(b))))
        fail("calloc gave a block that is not zero");
    mark(b, size);
}

static void allocate(struct block *b) {
    uint64_t r = random_next(&seed);
    size_t size = random_size(&seed) + 1;
    void *memory = NULL;
    if (r % 2 == 0)
        size += r >> 8 & (((size_t)4 << 20) - 1);
    errno = 4242;
    switch (r >> 40 & 3) {
    case 0:
        enter(b, slm_calloc(1, size), size, true);
        break;
    case 1:
        if (slm_posix_memalign(&memory, (size_t)16 << (r >> 48 & 15), size) == ENOMEM)
            errno = ENOMEM;
        enter(b, memory, size, false);
        break;
    default:
        enter(b, slm_malloc(size), size, false);
        break;
    }
}

static void resize(struct block *b) {
    size_t size = random_next(&seed) % 3 == 0 ? random_size(&seed) + 1 : b->size * 2 + 1;
    size_t kept = size < b->size ? size : b->size;
    if (b->memory == NULL || size > (size_t)24 << 20)
        return;
    errno = 4242;
    unsigned char *memory = slm_realloc(b->memory, size);
    if (memory == NULL) {
        if (errno != ENOMEM || must_succeed || size < b->size)
            fail("realloc failed for no reason, without ENOMEM, or to shrink");
        check_edge(b, b->size, 0, edge(b));
        return;
    }
    b->memory = memory;
    check_edge(b, kept, 0, edge(b));
    b->size = size;
    b->usable = slm_malloc_usable_size(memory);
    mark(b, size);
}

/* A thread leaves blocks behind, some of them full slabs; others free them. */
static void *leave_blocks(void *unused) {
    for (unsigned i = 0; i < ORPHANS; i++) {
        struct block *b = &blocks[i];
        size_t size = i < ORPHANS / 2 ? 30000 : 700;
        if (b->memory == NULL) {
            errno = 4242;
            enter(b, slm_malloc(size), size, false);
        }
    }
    return unused;
}

/* Slabs that are used once and are empty again. */
static void burst(void) {
    size_t size = random_next(&seed) % 60000 + 700;
    for (unsigned i = 0; i < BURST; i++) {
        errno = 4242;
        enter(&burst_blocks[i], slm_malloc(size), size, false);
    }
    for (unsigned i = 0; i < BURST; i++)
        drop(&burst_blocks[i]);
}

/* After each of the first failures, and now and then when they are thousands. */
static void walk_after_failure(void) {
    if (!must_succeed && (os_injected() == seen || (seen > 60 && step % 16 != 0)))
        return;
    seen = os_injected();
    if (!slm_check_heap(2))
        fail("the heap is not whole");
}

static void work(unsigned steps) {
    for (step = 0; step < steps; step++) {
        struct block *b = &blocks[random_below(&seed, BLOCKS)];
        if (random_next(&seed) % 4 == 0) {
            resize(b);
        } else {
            drop(b);
            allocate(b);
        }
        if (step % 2 == 0)
            slm_malloc_trim(0);
        if (step % 8 == 1)
            burst();
        if (step % 400 == 50) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, leave_blocks, NULL) == 0)
                pthread_join(thread, NULL);
        }
        if (!must_succeed)
            walk_after_failure();
    }
}

static void check_nothing_is_lost(void) {
    struct slm_stats stats;
    for (unsigned i = 0; i < BLOCKS; i++)
        drop(&blocks[i]);
    slm_stats_get(&stats);
    if (stats.tiny.live_bytes + stats.small.live_bytes + stats.large.live_bytes != 0)
        fail("blocks live that nobody has");
    walk_after_failure();
}

static void run(unsigned calls, uint32_t n, uint32_t count) {
    alarm(SECONDS);
    seed = 0x9e3779b97f4a7c15u + n % 16;
    os_inject(calls, n, count);
    work(STEPS);
    if (os_injected() > 0)
        ++*failures_met;
    os_inject(0, 0, 0);
    must_succeed = true;
    work(STEPS / 8);
    check_nothing_is_lost();
    _exit(0);
}

int main(int argc, char **argv) {
    const struct kind *kind = kinds;
    const struct kind *end = kinds + sizeof kinds / sizeof *kinds;
    while (argc == 6 && kind < end && strcmp(kind->name, argv[1]) != 0)
        kind++;
    if (argc != 6 || kind == end)
        return 2;
    unsigned runs = 0;
    unsigned to = (unsigned)atoi(argv[3]);
    failures_met = mmap(NULL, sizeof *failures_met, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned n = (unsigned)atoi(argv[2]); n <= to; n += (unsigned)atoi(argv[4])) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            run(kind->calls, n, (uint32_t)strtoul(argv[5], NULL, 0));
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "%s, call %u: status %#x\n", kind->name, n, (unsigned)status);
            return 1;
        }
        runs++;
    }
    printf("%u processes, in %u of them a %s call failed\n", runs, *failures_met, kind->name);
    return *failures_met > 0 ? 0 : 1;
}
