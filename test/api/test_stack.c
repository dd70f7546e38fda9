/* Purpose: how much stack the calls of the heap need.
 *
 * Protects: each call, on its slowest ways too (first call of a thread, a new slab, a new mapping,
 * moved mappings, purges, frees of other threads' blocks), needs at most 2 KiB of stack, and those
 * that give figures 5 KiB, so that threads with tiny stacks and handlers on alternate stacks may
 * allocate (field case B7). Measured in threads on stacks that were painted before: what is no
 * longer paint has been used. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api.h"
#include "slabmalloc/slabmalloc.h"

/* Without optimisation, frames are larger. */
#ifndef STACK_FACTOR
#define STACK_FACTOR 1
#endif

enum { CALL_BYTES = 2048 * STACK_FACTOR, LOOK_BYTES = 6144 * STACK_FACTOR };
enum { STACK_BYTES = 256 << 10, PAINT = 0xc7, BLOCKS = 3000 };

static void *kept[BLOCKS];

static void nothing(void) {}

static void first_call(void) { kept[0] = malloc(100); }
static void first_free(void) { free(kept[0]); }

static void grow_tiny(void) {
    for (int i = 0; i < BLOCKS; i++)
        kept[i] = malloc(1000);
}

static void grow_small(void) {
    for (int i = 0; i < 100; i++)
        kept[i] = calloc(1, 100000);
}

/* Of a thread that has ended: adopted, emptied, given back. */
static void free_kept(void) {
    for (int i = 0; i < BLOCKS; i++) {
        free(kept[i]);
        kept[i] = NULL;
    }
}

static void large(void) {
    for (size_t size = 200000; size < (size_t)1 << 28; size *= 3) {
        char *block = malloc(size);
        block = hidden(realloc(block, size * 3));
        block = hidden(realloc(block, size / 2));
        free(block);
        free(hidden(memalign((size_t)1 << 21, size)));
    }
}

static void realloc_all(void) {
    void *block = NULL;
    for (size_t size = 1; size < (size_t)1 << 22; size += size / 2 + 1)
        block = hidden(realloc(block, size));
    for (size_t size = (size_t)1 << 22; size > 0; size /= 3)
        block = hidden(realloc(block, size));
    free(block);
}

static void trim(void) { malloc_trim(0); }

static void refused(void) {
    cr_assert_null(malloc(hidden_size((size_t)1 << 62)));
    cr_assert_null(calloc(hidden_size((size_t)1 << 60), 4));
}

static void look(void) {
    volatile size_t bytes = mallinfo2().uordblks + malloc_usable_size(kept[1]);
    (void)bytes;
}

static const struct call {
    const char *name;
    void (*run)(void);
    size_t most;
} calls[] = {
    {"first call", first_call, CALL_BYTES},
    {"first free", first_free, CALL_BYTES},
    {"TINY slabs", grow_tiny, CALL_BYTES},
    {"free of another thread's", free_kept, CALL_BYTES},
    {"SMALL slabs", grow_small, CALL_BYTES},
    {"usable size, mallinfo2", look, LOOK_BYTES},
    {"free of SMALL", free_kept, CALL_BYTES},
    {"LARGE", large, CALL_BYTES},
    {"realloc", realloc_all, CALL_BYTES},
    {"malloc_trim", trim, CALL_BYTES},
    {"refused", refused, CALL_BYTES},
};

/* The top of what is measured, and nothing of the thread's own start and end. */
static uintptr_t top;

static void *run(void *argument) {
    char here;
    top = (uintptr_t)&here;
    ((const struct call *)argument)->run();
    return NULL;
}

static size_t stack_used(const struct call *call) {
    pthread_t thread;
    pthread_attr_t attributes;
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(stack, MAP_FAILED);
    memset(stack, PAINT, STACK_BYTES);
    pthread_attr_init(&attributes);
    cr_assert_eq(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
    cr_assert_eq(pthread_create(&thread, &attributes, run, (void *)call), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    size_t lowest = 0;
    while ((unsigned char)stack[lowest] == PAINT)
        lowest++;
    size_t used = top - (uintptr_t)(stack + lowest);
    munmap(stack, STACK_BYTES);
    return used;
}

Test(stack, of_every_call_is_small, .timeout = 60) {
    cr_assert(is_ours("malloc"));
    static const struct call idle = {"nothing", nothing, 0};
    /* Also what libc does when a thread ends, through our destructors too. */
    size_t own = stack_used(&idle);
    printf("stack of a thread that does nothing: %zu\n", own);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        size_t used = stack_used(&calls[i]);
        printf("%s: %zu\n", calls[i].name, used);
        fflush(stdout);
        cr_assert_leq(used, calls[i].most, "%s: %zu bytes of stack", calls[i].name, used);
    }
}

/* The measure itself must see what is used. */
static void use_much(void) {
    volatile char array[10000];
    for (size_t i = 0; i < sizeof array; i++)
        array[i] = 1;
}

Test(stack, is_measured) {
    static const struct call much = {"much", use_much, 0};
    size_t used = stack_used(&much);
    cr_assert(used >= 10000 && used < 20000, "%zu", used);
}
