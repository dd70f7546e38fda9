/* Purpose: the library is loaded late, for all, and closed again.
 *
 * Protects: dlopen(RTLD_GLOBAL) after libc has allocated (field case A10): what the program was
 * bound to stays so; blocks of both heaps are freed by their own free; a block of libc's given to
 * ours is told as none of ours. dlclose leaves the library in place for threads that live on and
 * exit afterwards (A11).
 *
 * Not linked with the library. late_global LIBRARY */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 1000, THREADS = 4 };

static void *(*slm_malloc)(size_t);
static void (*slm_free)(void *), (*late_free)(void *);
static pthread_barrier_t allocated, closed;

static int fail(const char *what) {
    fprintf(stderr, "late_global: %s\n", what);
    exit(1);
}

/* Has a cache of the library's when it is closed, and exits after that. */
static void *run(void *unused) {
    char *mine = slm_malloc(100), *libc = malloc(100);
    (void)unused;
    pthread_barrier_wait(&allocated);
    pthread_barrier_wait(&closed);
    memset(mine, 1, 100);
    slm_free(mine);
    free(libc);
    return slm_malloc(50);
}

static void find(void *library) {
    *(void **)&slm_malloc = dlsym(library, "slm_malloc");
    *(void **)&slm_free = dlsym(library, "slm_free");
    *(void **)&late_free = dlsym(library, "free");
    if (slm_malloc == NULL || slm_free == NULL || late_free == NULL || late_free == free)
        fail("the library's functions");
}

static void expect_told(void *foreign) {
    char text[1024] = {0};
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        fail("pipe");
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        alarm(60);
        late_free(foreign);
        _exit(0);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    waitpid(child, &status, 0);
    if (n <= 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
        strstr(text, "slabmalloc: invalid free: ") == NULL ||
        strstr(text, "never allocated here") == NULL)
        fail(text);
}

int main(int argc, char **argv) {
    static char *old[BLOCKS];
    pthread_t threads[THREADS];
    void *left;
    for (size_t i = 0; i < BLOCKS; i++)
        old[i] = i % 2 ? malloc(i * 20) : strdup("libc's");
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (library == NULL)
        fail(dlerror());
    find(library);
    pthread_barrier_init(&allocated, NULL, THREADS + 1);
    pthread_barrier_init(&closed, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run, NULL);
    pthread_barrier_wait(&allocated);
    expect_told(old[1]);
    for (size_t i = 0; i < BLOCKS; i++) {
        free(old[i]);
        free(strdup("after")); /* both ends are libc's, as before */
    }
    if (dlclose(library) != 0)
        fail(dlerror());
    pthread_barrier_wait(&closed);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &left);
        slm_free(left);
    }
    return 0;
}
