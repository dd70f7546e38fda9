# shellcheck shell=bash
# Protects: memcheck putting its malloc in the place of ours, and ours running inside valgrind's address space, where a
# large reservation is refused and threads take turns (--tool=none, or user malloc not intercepted).
# needs: valgrind:valgrind gcc:gcc
# timeout: 120

cat >program.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *churn(void *arg) {
    char *blocks[200] = {0};
    unsigned x = (unsigned)(size_t)arg + 1, sum = 0;
    for (int i = 0; i < 20000; i++) {
        x = x * 1103515245 + 12345;
        unsigned k = x / 65536 % 200, size = x / 256 % (i % 100 ? 500 : 300000) + 1;
        if (blocks[k]) sum += (unsigned char)blocks[k][0];
        if (i % 5 == 0) {
            blocks[k] = realloc(blocks[k], size);
        } else {
            free(blocks[k]);
            blocks[k] = i % 2 ? malloc(size) : calloc(1, size);
        }
        blocks[k][0] = (char)i;
        blocks[k][size - 1] = (char)i;
    }
    for (int k = 0; k < 200; k++) free(blocks[k]);
    return (void *)(size_t)sum;
}
int main(void) {
    pthread_t threads[3];
    for (size_t t = 0; t < 3; t++) pthread_create(&threads[t], NULL, churn, (void *)t);
    for (size_t t = 0; t < 3; t++) {
        void *sum;
        pthread_join(threads[t], &sum);
        printf("thread %zu: %zu\n", t, (size_t)sum);
    }
    void *aligned;
    if (posix_memalign(&aligned, 4096, 10000)) return 1;
    printf("aligned %d\n", (int)((size_t)aligned % 4096));
    free(aligned);
    return 0;
}
END
gcc -g -O1 -pthread program.c -o program

preload
PROOF_EXE='*/memcheck-*' proof valgrind -q cat
PROOF_EXE='*/none-*' proof valgrind --tool=none -q cat
valgrind -q --error-exitcode=9 --leak-check=full ./program
valgrind -q --tool=none ./program
valgrind -q --tool=none sort -k 2 program.c
valgrind -q --soname-synonyms=somalloc=nouserintercepts --undef-value-errors=no ./program
