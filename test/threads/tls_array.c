/* The library that dlopen_churn.c loads and unloads: a thread-local array that every thread's first
 * access allocates, and a constructor that starts a thread which allocates. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static __thread char array[3000];

char *tls_array(void);
char *tls_array(void) { return array; }

static void *run(void *unused) {
    (void)unused;
    array[5] = 1;
    return malloc(300);
}

static __attribute__((constructor)) void start(void) {
    pthread_t thread;
    void *block;
    if (pthread_create(&thread, NULL, run, NULL) != 0 || pthread_join(thread, &block) != 0)
        abort();
    free(block);
}
