/* Purpose: what perf/count measures: calls of malloc and free in four patterns, and some others
 *          that programs make as often, each called by a function of its own, by which the
 *          profiler can tell them apart.
 *
 *   calls SIZE PATTERN     PATTERN: pair, in_order, reverse, shuffled or others
 *
 * A pattern is run once to warm up, then once between calls of `measure_begin` and `measure_end`,
 * at which callgrind clears its counters and writes them out. All are called through volatile
 * pointers: the compiler can neither drop a pair nor go through the lazy binder. */
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 4000, BATCH = 1000, BATCHES = 8, FEW = 16, MANY_MAX_BYTES = 32768, ALIGNMENT = 64 };

static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile release)(void *) = free;
static int (*volatile allocate_aligned)(void **, size_t, size_t) = posix_memalign;
static void *(*volatile resize)(void *, size_t) = realloc;
static size_t (*volatile ask_size)(void *) = malloc_usable_size;

/* C++'s new and delete with the size, where a library has them. */
static void *(*volatile new_block)(size_t);
static void (*volatile delete_block)(void *, size_t);

static void *blocks[BATCH];
static unsigned order[BATCH];

__attribute__((noinline)) void measure_begin(void);
__attribute__((noinline)) void measure_end(void);
void measure_begin(void) { __asm__ volatile(""); }
void measure_end(void) { __asm__ volatile("nop"); }

/* The caller that callgrind sees. */
__attribute__((noinline)) void measured(size_t size, int is_pair);
void measured(size_t size, int is_pair) {
    if (is_pair) {
        for (int i = 0; i < PAIRS; i++)
            release(allocate(size));
        return;
    }
    for (int batch = 0; batch < BATCHES; batch++) {
        for (int i = 0; i < BATCH; i++)
            blocks[i] = allocate(size);
        for (int i = 0; i < BATCH; i++)
            release(blocks[order[i]]);
    }
}

__attribute__((noinline)) void measured_aligned(size_t size, int count);
void measured_aligned(size_t size, int count) {
    for (int i = 0; i < count; i++)
        if (allocate_aligned(&blocks[i], ALIGNMENT, size) != 0)
            abort();
}

/* To a size that needs no other place. */
__attribute__((noinline)) void measured_realloc(size_t size, int count);
void measured_realloc(size_t size, int count) {
    for (int i = 0; i < count; i++)
        blocks[i] = resize(blocks[i], size);
}

__attribute__((noinline)) void measured_usable(size_t size, int count);
void measured_usable(size_t size, int count) {
    for (int i = 0; i < count; i++)
        if (ask_size(blocks[i]) < size)
            abort();
}

__attribute__((noinline)) void measured_new(size_t size, int count);
void measured_new(size_t size, int count) {
    for (int i = 0; i < count; i++)
        blocks[i] = new_block(size);
}

__attribute__((noinline)) void measured_delete(size_t size, int count);
void measured_delete(size_t size, int count) {
    for (int i = 0; i < count; i++)
        delete_block(blocks[i], size);
}

static void call_others(size_t size) {
    int count = size <= MANY_MAX_BYTES ? BATCH : FEW;
    measured_aligned(size, count);
    measured_usable(size, count);
    measured_realloc(size - 1, count);
    for (int i = 0; i < count; i++)
        release(blocks[i]);
    if (new_block != NULL && delete_block != NULL) {
        measured_new(size, count);
        measured_delete(size, count);
    }
}

static void call(size_t size, const char *pattern) {
    if (strcmp(pattern, "others") == 0)
        call_others(size);
    else
        measured(size, strcmp(pattern, "pair") == 0);
}

/* Fisher and Yates, with a fixed seed (xorshift, Marsaglia 2003). */
static void shuffle(void) {
    unsigned state = 2463534242u;
    for (unsigned i = BATCH - 1; i > 0; i--) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        unsigned j = state % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

int main(int count, char **arguments) {
    if (count != 3)
        return 2;
    size_t size = strtoul(arguments[1], NULL, 10);
    int is_reverse = strcmp(arguments[2], "reverse") == 0;
    for (unsigned i = 0; i < BATCH; i++)
        order[i] = is_reverse ? BATCH - 1 - i : i;
    if (strcmp(arguments[2], "shuffled") == 0)
        shuffle();

    new_block = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "_Znwm");
    delete_block = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "_ZdlPvm");

    call(size, arguments[2]);
    measure_begin();
    call(size, arguments[2]);
    measure_end();
    return 0;
}
