/* Purpose: the heap in a sandbox of system calls that was closed after the first malloc, and where
 *          calls that it can do without are refused.
 *
 * Protects: after its start the heap makes no system call that glibc's malloc does not make, so
 * that programs which have been sandboxed for glibc live (field case A13); and none whose refusal
 * it would not survive. Threads exist before the filter and work under it.
 *
 * sandbox glibc    all calls but glibc malloc's own and the plainest end the process
 * sandbox strict   all calls but slabmalloc's end it
 * sandbox limited  glibc's, in a process whose address space is limited, so that ranges are small
 *                  and more of them are made under the filter
 * sandbox denied ERROR  madvise, mremap and all that is not needed fail so, from the start on */
#include "hostile.h"

#include <sys/resource.h>

enum { THREADS = 3, OPERATIONS = 8000 / SLOWNESS };

/* What a program with a heap needs, whatever the heap is. */
static const long plain_calls[] = {SYS_read,          SYS_write,        SYS_close, SYS_exit,
                                   SYS_exit_group,    SYS_rt_sigreturn, SYS_fstat, SYS_lseek,
                                   SYS_clock_gettime, SYS_sched_yield};
/* glibc's malloc (malloc.c, arena.c, sysmalloc; futex for its locks). */
static const long glibc_calls[] = {SYS_mmap,   SYS_munmap, SYS_mprotect, SYS_madvise,
                                   SYS_mremap, SYS_brk,    SYS_futex};
/* slabmalloc's, once the first block has been allocated. */
static const long own_calls[] = {SYS_mmap,    SYS_munmap, SYS_mprotect,
                                 SYS_madvise, SYS_mremap, SYS_futex};
/* What other allocators have been killed for, and what nothing here needs. */
static const long unneeded_calls[] = {
    SYS_madvise,   SYS_mremap, SYS_sched_getaffinity, SYS_getrandom, SYS_sysinfo,
    SYS_prlimit64, SYS_getcpu, SYS_membarrier,        SYS_brk,       SYS_sched_setaffinity};

#define ALLOW(filter, calls)                                                                       \
    for (size_t i_ = 0; i_ < sizeof(calls) / sizeof *(calls); i_++)                                \
    filter_answer(filter, (calls)[i_], SECCOMP_RET_ALLOW)

static pthread_barrier_t ready, start, end, never;

static void *run(void *argument) {
    pthread_barrier_wait(&ready); /* what libc does when a thread starts is over */
    pthread_barrier_wait(&start);
    workout((uintptr_t)argument, OPERATIONS);
    pthread_barrier_wait(&end);
    pthread_barrier_wait(&never); /* what glibc does when a thread ends is not the heap's */
    return NULL;
}

/* The filter is closed between the threads' start and their work, their first calls of the heap
 * included. */
static void work_under(struct filter *filter) {
    CHECK(pthread_barrier_init(&ready, NULL, THREADS + 1) == 0, "barrier");
    CHECK(pthread_barrier_init(&start, NULL, THREADS + 1) == 0, "barrier");
    CHECK(pthread_barrier_init(&never, NULL, THREADS + 1) == 0, "barrier");
    CHECK(pthread_barrier_init(&end, NULL, THREADS + 1) == 0, "barrier");
    for (size_t i = 0; i < THREADS; i++)
        thread_start(run, (void *)i);
    pthread_barrier_wait(&ready);
    free(malloc(10));
    filter_install(filter, SECCOMP_RET_KILL_PROCESS);
    pthread_barrier_wait(&start);
    workout(THREADS, OPERATIONS);
    pthread_barrier_wait(&end);
}

/* More slabs than one range of a process with little address space holds. */
static void fill_ranges(void) {
    static void *blocks[150000];
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        blocks[i] = malloc(1000);
        CHECK(blocks[i] != NULL, "block %zu", i);
        memset(blocks[i], 1, 1000);
    }
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
}

static void sandboxed(bool strict) {
    static struct filter filter;
    filter_begin(&filter);
    if (strict) {
        ALLOW(&filter, own_calls);
        filter_answer(&filter, SYS_write, SECCOMP_RET_ALLOW);
        filter_answer(&filter, SYS_exit_group, SECCOMP_RET_ALLOW);
    } else {
        ALLOW(&filter, plain_calls);
        ALLOW(&filter, glibc_calls);
    }
    work_under(&filter);
}

static void refused(unsigned error) {
    static struct filter filter;
    filter_begin(&filter);
    for (size_t i = 0; i < sizeof unneeded_calls / sizeof *unneeded_calls; i++)
        filter_answer(&filter, unneeded_calls[i], SECCOMP_RET_ERRNO | error);
    filter_install(&filter, SECCOMP_RET_ALLOW);
}

/* Executes the program again, with one argument more, so that the heap starts under what was set.
 */
static void again(char **argv, int argc) {
    char *arguments[6] = {NULL};
    for (int i = 0; i < argc && i < 4; i++)
        arguments[i] = argv[i];
    arguments[argc] = (char *)"again";
    execv("/proc/self/exe", arguments);
    CHECK(false, "execv: %s", strerror(errno));
}

static void *thread_work(void *argument) {
    workout((uintptr_t)argument, OPERATIONS);
    return NULL;
}

static void work_refused(void) {
    pthread_t threads[THREADS];
    errno = 0;
    CHECK(syscall(SYS_madvise, NULL, 0, MADV_NORMAL) == -1 && errno != 0,
          "the filter does nothing");
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(thread_work, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    zero_check_all();
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    bool second = strcmp(argv[argc - 1], "again") == 0;
    if (strcmp(how, "denied") == 0 && argc > 2) {
        if (!second) {
            refused(strcmp(argv[2], "ENOSYS") == 0 ? ENOSYS : EPERM);
            again(argv, argc);
        }
        work_refused();
    } else if (strcmp(how, "limited") == 0) {
        struct rlimit limit = {512 * MIB, 512 * MIB};
        if (!second) {
            CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit");
            again(argv, argc);
        }
        sandboxed(false);
        fill_ranges();
    } else {
        CHECK(strcmp(how, "glibc") == 0 || strcmp(how, "strict") == 0, "which sandbox?");
        sandboxed(strcmp(how, "strict") == 0);
    }
    workout_end();
    _exit(0);
}
