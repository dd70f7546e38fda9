/* The library that dlopen_churn.c loads and unloads: a thread-local array that every thread's first
 * access allocates, and a constructor and a destructor that each start a thread which allocates,
 * and wait for its end, while the loader's lock is held. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static __thread char array[3000];
static void *from_thread; /* what the constructor's thread left */

char *tls_array(void);
char *tls_array(void) { return array; }

int tls_array_constructed(void);
int tls_array_constructed(void) { return from_thread != NULL && strcmp(from_thread, "kept") == 0; }

static void *run(void *unused) {
    (void)unused;
    array[5] = 1;
    for (size_t i = 0; i < 200; i++)
        free(malloc(i * 37));
    char *block = malloc(300);
    return block != NULL ? strcpy(block, "kept") : NULL;
}

static void *run_in_thread(void) {
    pthread_t thread;
    void *block;
    if (pthread_create(&thread, NULL, run, NULL) != 0 || pthread_join(thread, &block) != 0)
        abort();
    return block;
}

static __attribute__((constructor)) void start(void) { from_thread = run_in_thread(); }

static __attribute__((destructor)) void end(void) {
    free(run_in_thread());
    free(from_thread);
}
