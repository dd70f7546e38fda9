/* Protects: whichever function of the API a process or a thread calls first, with whichever
 * pointer, works; and so it does when eight threads make their first call at one moment (field
 * case 2);
 * and when a thread makes it while another one forks, whose child then makes its own.
 *
 * Run without arguments, the program runs itself once for each case: only an exec makes a process
 * whose heap has not been called yet. */
#include "check.h"

#include <spawn.h>

enum { THREADS = 8, BLOCK_BYTES = 40, RACES = 20, FORKS = 40 };

extern char **environ;

/* What another thread had before the first call; NULL in a fresh process. */
static struct block *others;

static void *last; /* so that no call is optimised away */

static void first_malloc(void) { last = malloc(1); }
static void first_malloc_zero(void) { last = malloc(0); }
static void first_malloc_small(void) { last = malloc(5000); }
static void first_malloc_large(void) { last = malloc(3 * MIB); }
static void first_malloc_huge(void) { last = malloc(1025 * MIB); }
static void first_calloc(void) { last = calloc(7, 9); }
static void first_calloc_large(void) { last = calloc(1, 3 * MIB); }
static void first_memalign(void) { last = memalign(2 * MIB, 2 * MIB); }
static void first_aligned_alloc(void) { last = aligned_alloc(64, 100); }
static void first_valloc(void) { last = valloc(100); }
static void first_pvalloc(void) { last = pvalloc(100); }

static void first_posix_memalign(void) {
    int error = posix_memalign(&last, 4096, 100);
    CHECK(error == 0, "posix_memalign: %d", error);
}

/* Each of these takes the other thread's block if there is one. */
static void first_realloc(void) {
    uint64_t state = random_seed(1);
    if (others != NULL)
        others = block_resize(&state, others, 3000);
    else
        last = realloc(NULL, 10);
}

static void first_reallocarray(void) {
    last = reallocarray(others, 30, 10);
    others = NULL;
}

static void first_free(void) {
    free(others);
    others = NULL;
}

static void first_free_sized(void) {
    slm_free_sized(others, sizeof *others + BLOCK_BYTES);
    others = NULL;
}

static void first_usable_size(void) {
    size_t bytes = malloc_usable_size(others);
    CHECK(others == NULL ? bytes == 0 : bytes >= sizeof *others + BLOCK_BYTES, "%zu", bytes);
}

static void first_too_large(void) {
    errno = 0;
    void *pointer = malloc((size_t)PTRDIFF_MAX);
    CHECK(pointer == NULL && errno == ENOMEM, "%p, errno %d", pointer, errno);
}

static void first_trim(void) { malloc_trim(0); }
static void first_mallopt(void) { CHECK(mallopt(M_MMAP_MAX, 4) == 1, "mallopt"); }
static void first_mallinfo(void) { CHECK(mallinfo2().hblks == 0, "hblks"); }

static void first_stats(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    CHECK(stats.large.live == 0, "%zu LARGE blocks", stats.large.live);
}

static void (*const calls[])(void) = {
    first_malloc,      first_malloc_zero,    first_malloc_small, first_malloc_large,
    first_malloc_huge, first_calloc,         first_calloc_large, first_memalign,
    first_aligned_alloc, first_valloc,       first_pvalloc,      first_posix_memalign,
    first_realloc,     first_reallocarray,   first_free,         first_free_sized,
    first_usable_size, first_too_large,      first_trim,         first_mallopt,
    first_mallinfo,    first_stats,
};
enum { CALLS = sizeof calls / sizeof calls[0] };

/* The heap must do all its work after the first call. */
static void work(void) {
    uint64_t state = random_seed(2);
    free(last);
    for (int i = 0; i < 200; i++)
        block_delete(block_resize(&state, block_new(&state, random_size(&state)), 700));
}

static void *thread_run(void *argument) {
    (*(void (*const *)(void))argument)();
    work();
    return NULL;
}

static void one_call(size_t number, bool in_thread) {
    uint64_t state = random_seed(3);
    if (in_thread) {
        others = block_new(&state, BLOCK_BYTES);
        thread_join(thread_start(thread_run, (void *)&calls[number]));
    } else {
        calls[number]();
        work();
    }
    if (others != NULL)
        block_delete(others);
}

/* Eight threads wait for one another and then call at once, each another function. */
static pthread_barrier_t barrier;

static void *race_run(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    pthread_barrier_wait(&barrier);
    struct block *block = block_new(&state, random_size(&state));
    for (int i = 0; i < 100; i++)
        block = block_resize(&state, block, random_size(&state));
    return block;
}

static void race(size_t number) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(race_run, (void *)(uintptr_t)(number * THREADS + i));
    for (size_t i = 0; i < THREADS; i++)
        block_delete(thread_join(threads[i]));
}

/* This thread forks while another one makes the first call, a little later for each number. */
static void fork_beside(size_t number) {
    uint64_t state = random_seed(number);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread = thread_start(race_run, NULL);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < number * 100; i++)
        __asm__ volatile("" ::: "memory");
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        alarm(20);
        work();
        block_delete(block_new(&state, random_size(&state)));
        _exit(0);
    }
    child_wait(child, "a child, forked beside the first call,");
    block_delete(thread_join(thread));
}

static void run_self(char *program, const char *kind, size_t number) {
    char digits[24], what[64];
    pid_t child;
    snprintf(digits, sizeof digits, "%zu", number);
    snprintf(what, sizeof what, "first_call %s %zu", kind, number);
    char *arguments[] = {program, (char *)kind, digits, NULL};
    int error = posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ);
    CHECK(error == 0, "posix_spawn: %s", strerror(error));
    child_wait(child, what);
}

int main(int argc, char **argv) {
    if (argc == 3) {
        size_t number = strtoul(argv[2], NULL, 10);
        alarm(30);
        if (strcmp(argv[1], "race") == 0)
            race(number);
        else if (strcmp(argv[1], "fork") == 0)
            fork_beside(number);
        else
            one_call(number, strcmp(argv[1], "thread") == 0);
        return 0;
    }
    for (size_t i = 0; i < CALLS; i++) {
        run_self(argv[0], "process", i);
        run_self(argv[0], "thread", i);
    }
    for (size_t i = 0; i < RACES; i++)
        run_self(argv[0], "race", i);
    for (size_t i = 0; i < FORKS; i++)
        run_self(argv[0], "fork", i);
    return 0;
}
