/* Purpose: a program of the ordinary kind, for checking tools (AddressSanitizer, Valgrind): blocks
 *          of all zones, threads, libc's own allocations; all of them freed. It is not linked with
 *          the library, or is, as the test has it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *run(void *argument) {
    for (size_t i = 1; i < 1000; i++) {
        char *block = malloc(i * 7 % 5000 + 1);
        block[0] = 1;
        block = realloc(block, i * 13 % 200000 + 1);
        free(block);
    }
    return argument;
}

int main(void) {
    pthread_t threads[2];
    void *aligned = NULL;
    char *text = strdup("a text"), *line = NULL;
    for (size_t i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run, text) != 0)
            return 2;
    run(NULL);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    if (posix_memalign(&aligned, 256, 3000) != 0 || (size_t)aligned % 256 != 0)
        return 3;
    memset(aligned, 1, 3000);
    free(aligned);
    char *zeros = calloc(1000, 1000);
    for (size_t i = 0; i < 1000000; i += 999)
        if (zeros[i] != 0)
            return 4;
    free(zeros);
    if (asprintf(&line, "%s, formatted", text) < 0 || strcmp(line, "a text, formatted") != 0)
        return 5;
    free(line);
    free(text);
    printf("all is well\n");
    return 0;
}
