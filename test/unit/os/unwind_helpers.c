/* Purpose: unwind_helpers.h. UNWIND_SCENES is the name of the table, UNWIND_HOW its `how`. */
#include "unwind_helpers.h"

#include <alloca.h>
#include <stdlib.h>

#define OWN __attribute__((noinline)) static

/* Behind a call: so it is none in the place of a return. */
static inline void come_back(const volatile void *keep) {
    __asm__ volatile("" : : "r"(keep) : "memory");
}

static volatile unsigned long sink;

/* --- one shape each, recursive ---------------------------------------------------------------- */

OWN void simple(unsigned depth, unwind_then *then, void *data) {
    if (depth == 0)
        then(data);
    else
        simple(depth - 1, then, data);
    come_back(data);
}

OWN void variable(unsigned depth, unwind_then *then, void *data) {
    unsigned length = depth % 7 * 40 + 1;
    volatile char bytes[length];
    bytes[0] = 1;
    bytes[length - 1] = 2;
    if (depth == 0)
        then(data);
    else
        variable(depth - 1, then, data);
    come_back(bytes);
}

OWN void allocating(unsigned depth, unwind_then *then, void *data) {
    volatile char *bytes = alloca(depth % 5 * 100 + 8);
    bytes[0] = 1;
    if (depth == 0)
        then(data);
    else
        allocating(depth - 1, then, data);
    come_back(bytes);
}

OWN void aligned(unsigned depth, unwind_then *then, void *data) {
    _Alignas(64) volatile char bytes[64];
    bytes[depth % 64] = 1;
    if (depth == 0)
        then(data);
    else
        aligned(depth - 1, then, data);
    come_back(bytes);
}

/* Its arguments are on its caller's stack: an aligned frame needs a second pointer to find them. */
OWN unsigned long aligned_with_arguments(unsigned long a, unsigned long b, unsigned long c,
                                         unsigned long d, unsigned long e, unsigned long f,
                                         unsigned long depth, unwind_then *then, void *data) {
    _Alignas(128) volatile unsigned long words[16];
    volatile char *bytes = alloca(depth % 5 * 100 + 8);
    bytes[0] = 1;
    words[0] = a + b + c;
    words[1] = d + e + f;
    if (depth == 0)
        then(data);
    else
        words[2] = aligned_with_arguments(b, c, d, e, f, a, depth - 1, then, data);
    come_back(words);
    return words[0] + words[1] + depth;
}

OWN void aligned_and_variable(unsigned depth, unwind_then *then, void *data) {
    sink += aligned_with_arguments(1, 2, 3, 4, 5, 6, depth, then, data);
}

/* More than there are registers that a call keeps. */
OWN void many_registers(unsigned depth, unwind_then *then, void *data) {
    unsigned long a = sink, b = sink, c = sink, d = sink, e = sink, f = sink, g = sink, h = sink;
    if (depth == 0)
        then(data);
    else
        many_registers(depth - 1, then, data);
    sink = a ^ b;
    sink = c ^ d;
    sink = e ^ f;
    sink = g ^ h;
    come_back(data);
}

/* 200 KB each: no deeper than four. */
OWN void large(unsigned depth, unwind_then *then, void *data) {
    volatile char bytes[200000];
    bytes[0] = bytes[sizeof bytes - 1] = 1;
    if (depth % 4 == 0)
        then(data);
    else
        large(depth - 1, then, data);
    come_back(bytes);
}

/* --- calls that leave no frame ---------------------------------------------------------------- */

OWN void tail_called(unsigned depth, unwind_then *then, void *data) {
    if (depth == 0)
        then(data);
    else
        simple(depth - 1, then, data);
    come_back(data);
}

OWN void tail_calling(unsigned depth, unwind_then *then, void *data) {
    sink++;
    tail_called(depth, then, data);
}

OWN void through_tail_calls(unsigned depth, unwind_then *then, void *data) {
    tail_calling(depth, then, data);
    come_back(data);
}

/* --- called back by libc, which has no frame pointers ----------------------------------------- */

static struct {
    unsigned depth;
    unwind_then *then;
    void *data;
} call;

OWN int compare(const void *a, const void *b) {
    if (call.then != NULL) {
        unwind_then *then = call.then;
        call.then = NULL; /* once */
        simple(call.depth, then, call.data);
    }
    return *(const int *)a - *(const int *)b;
}

OWN void sorting(unsigned depth, unwind_then *then, void *data) {
    int numbers[40];
    for (int i = 0; i < 40; i++)
        numbers[i] = i * 7 % 40;
    call.depth = depth;
    call.then = then;
    call.data = data;
    qsort(numbers, 40, sizeof *numbers, compare);
    come_back(numbers);
}

OWN void searching(unsigned depth, unwind_then *then, void *data) {
    int numbers[] = {1, 2, 3, 4, 5}, wanted = 4;
    call.depth = depth;
    call.then = then;
    call.data = data;
    come_back(bsearch(&wanted, numbers, 5, sizeof *numbers, compare));
}

/* --- all of them ------------------------------------------------------------------------------ */

struct rest {
    unsigned depth;
    unwind_then *then;
    void *data;
};

static void mix(void *data);

OWN void mixed(unsigned depth, unwind_then *then, void *data) {
    static unwind_scene *const shapes[] = {simple,  variable,       allocating,
                                           aligned, many_registers, through_tail_calls,
                                           sorting, searching,      aligned_and_variable};
    struct rest rest = {depth - 1, then, data};
    if (depth == 0)
        then(data);
    else
        shapes[depth % (sizeof shapes / sizeof *shapes)](depth % 3, mix, &rest);
    come_back(&rest);
}

static void mix(void *data) {
    struct rest *rest = data;
    mixed(rest->depth, rest->then, rest->data);
    come_back(data);
}

const struct unwind_scenes UNWIND_SCENES = {
    UNWIND_HOW,
    {{"simple", simple},
     {"variable", variable},
     {"allocating", allocating},
     {"aligned", aligned},
     {"aligned_and_variable", aligned_and_variable},
     {"many_registers", many_registers},
     {"large", large},
     {"through_tail_calls", through_tail_calls},
     {"sorting", sorting},
     {"searching", searching},
     {"mixed", mixed},
     {NULL, NULL}},
};
