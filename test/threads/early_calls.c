/* Protects: calls of the heap before main, in a program that gets it by LD_PRELOAD: from the
 * first constructor, which also changes the environment a thousand times, and, with
 * CALL_IN_RESOLVER, from the resolver of an indirect function, while the program is being relocated
 * (field cases 3, A6).
 *
 * Not linked with the library: run with it preloaded, and perhaps with early_wrappers.c or under
 * an auditor. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *from_resolver, *from_constructor;

static int answer(void) { return 42; }

/* The program is linked with -z now: malloc is bound before the resolver runs. The loader sets
 * thread-local variables to their first values only after that. */
static __attribute__((used)) int (*resolve(void))(void) {
#if CALL_IN_RESOLVER
    char *block = malloc(100);
    memset(block, 'r', 100);
    from_resolver = block;
#endif
    return answer;
}

int indirect(void) __attribute__((ifunc("resolve")));

static __attribute__((constructor(101))) void first_constructor(void) {
    char value[200];
    from_constructor = malloc(5000);
    memset(from_constructor, 'c', 5000);
    for (int i = 0; i < 1000; i++) {
        snprintf(value, sizeof value, "%0*d", 1 + i % 190, i);
        if (setenv(i % 3 == 0 ? "EARLY_CALLS" : value, value, 1) != 0)
            abort();
    }
}

static void *run(void *unused) {
    (void)unused;
    return malloc(77);
}

static int is_filled(const char *block, char byte, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (block[i] != byte)
            return 0;
    return 1;
}

int main(void) {
    pthread_t thread;
    void *block;
    if (indirect() != 42 || !is_filled(from_constructor, 'c', 5000) ||
        (CALL_IN_RESOLVER && !is_filled(from_resolver, 'r', 100))) {
        fprintf(stderr, "early_calls: an early block is damaged\n");
        return 1;
    }
    free(from_resolver);
    free(from_constructor);
    for (size_t i = 0; i < 10000; i++)
        free(realloc(malloc(i), i * 20));
    pthread_create(&thread, NULL, run, NULL);
    pthread_join(thread, &block);
    free(block);
    const char *last = getenv("EARLY_CALLS");
    if (last == NULL || atoi(last) != 999)
        return 1;
    /* Is it there at all? */
    extern void *slm_malloc(size_t) __attribute__((weak));
    if (slm_malloc == NULL) {
        fprintf(stderr, "early_calls: run without the library\n");
        return 1;
    }
    return 0;
}
