/* Purpose: functions with vector arguments for vectors.c. Each is chosen by a resolver that
 *          allocates, and so uses vector registers, while the caller's arguments are in them. */
#include <stdlib.h>
#include <string.h>

typedef float vector_128 __attribute__((vector_size(16)));
typedef float vector_256 __attribute__((vector_size(32)));

static int resolved;

static void busy(void) {
    for (size_t i = 1; i < 50; i++) {
        char *block = calloc(1, i * 1000);
        memset(block, (int)i, i * 1000);
        char *copy = realloc(block, i * 9000);
        free(copy);
    }
    resolved++;
}

int vectors_resolved(void) { return resolved; }

__attribute__((target("avx"))) static double sum_256(double first, vector_256 vector, double last) {
    double sum = first * 1000 + last;
    for (int i = 0; i < 8; i++)
        sum += (double)vector[i] * (i + 1);
    return sum;
}

static double sum_128(double first, vector_128 vector, double last) {
    double sum = first * 1000 + last;
    for (int i = 0; i < 4; i++)
        sum += (double)vector[i] * (i + 1);
    return sum;
}

static __attribute__((used)) double (*resolve_256(void))(double, vector_256, double) {
    busy();
    return sum_256;
}

static __attribute__((used)) double (*resolve_128(void))(double, vector_128, double) {
    busy();
    return sum_128;
}

__attribute__((target("avx"))) double vectors_256(double first, vector_256 vector, double last)
    __attribute__((ifunc("resolve_256")));
double vectors_128(double first, vector_128 vector, double last)
    __attribute__((ifunc("resolve_128")));
