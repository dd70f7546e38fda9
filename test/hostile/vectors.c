/* Purpose: the first call of a function with vector arguments, bound lazily by a resolver that
 *          allocates.
 *
 * Protects: arguments in floating-point and vector registers survive a binding in the middle of
 * which the heap works (field case A17). Linked with -z lazy; run with the library preloaded. */
#include <stdio.h>
#include <stdlib.h>

typedef float vector_128 __attribute__((vector_size(16)));
typedef float vector_256 __attribute__((vector_size(32)));

int vectors_resolved(void);
double vectors_128(double first, vector_128 vector, double last);
__attribute__((target("avx"))) double vectors_256(double first, vector_256 vector, double last);

static __attribute__((noinline, target("avx"))) double call_256(void) {
    return vectors_256(3, (vector_256){1, 2, 3, 4, 5, 6, 7, 8}, 5);
}

static int check(const char *name, double sum, double expected, int resolved) {
    if (sum == expected && resolved == 1)
        return 0;
    fprintf(stderr, "%s: %f, not %f; %d bindings\n", name, sum, expected, resolved);
    return 1;
}

int main(void) {
    extern void *slm_malloc(size_t) __attribute__((weak));
    if (slm_malloc == NULL) {
        fprintf(stderr, "run with the library preloaded\n");
        return 1;
    }
    int before = vectors_resolved(); /* 0, or this is not bound lazily */
    double sum = vectors_128(3, (vector_128){1, 2, 3, 4}, 5);
    int failures = before + check("128 bits", sum, 3005 + 30, vectors_resolved() - before);
    before = vectors_resolved();
    if (!__builtin_cpu_supports("avx")) {
        printf("skipped: this processor has no vectors of 256 bits\n");
        return failures > 0 ? 1 : 77;
    }
    sum = call_256();
    failures += check("256 bits", sum, 3005 + 204, vectors_resolved() - before);
    return failures > 0;
}
