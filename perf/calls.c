/* Purpose: what perf/count measures: calls of malloc and free in four patterns, each in a function
 *          of its own, so that the profiler can tell them apart by the caller.
 *
 *   calls SIZE PATTERN     PATTERN: pair, in_order, reverse or shuffled
 *
 * A pattern is run once to warm up, then once between calls of `measure_begin` and `measure_end`,
 * at which callgrind clears its counters and writes them out. malloc and free are called through
 * volatile pointers: the compiler can neither drop a pair nor go through the lazy binder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 4000, BATCH = 1000, BATCHES = 8 };

static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile release)(void *) = free;

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
    int is_pair = strcmp(arguments[2], "pair") == 0;
    int is_reverse = strcmp(arguments[2], "reverse") == 0;
    for (unsigned i = 0; i < BATCH; i++)
        order[i] = is_reverse ? BATCH - 1 - i : i;
    if (strcmp(arguments[2], "shuffled") == 0)
        shuffle();

    measured(size, is_pair);
    measure_begin();
    measured(size, is_pair);
    measure_end();
    return 0;
}
