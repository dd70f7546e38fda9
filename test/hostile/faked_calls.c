/* Purpose: system calls that lie or fail.
 *
 * Protects: calloc gives zeros in every size class and LARGE, after blocks have been dirtied,
 * freed and given back, and the heap keeps working, where madvise answers "done" and does nothing,
 * or fails; and where munmap, mremap or mprotect fail from some point on (field cases 13 and 18,
 * D9, E2, E8).
 *
 * faked_calls CALL ERROR|NOTHING start|late: `late`: the filter comes after memory has been given
 * back honestly. */
#include "hostile.h"

enum { OPERATIONS = 8000 / SLOWNESS };

static const struct {
    const char *name;
    long number;
} calls[] = {{"madvise", SYS_madvise},
             {"munmap", SYS_munmap},
             {"mremap", SYS_mremap},
             {"mprotect", SYS_mprotect}};

static const struct {
    const char *name;
    unsigned error;
} errors[] = {{"NOTHING", 0}, {"EINVAL", EINVAL}, {"ENOMEM", ENOMEM}, {"EPERM", EPERM}};

static void install(const char *name, const char *error_name) {
    static struct filter filter;
    long number = -1;
    int error = -1;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, name) == 0)
            number = calls[i].number;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(errors[i].name, error_name) == 0)
            error = (int)errors[i].error;
    CHECK(number >= 0 && error >= 0, "unknown call %s or error %s", name, error_name);

    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *probe =
        mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(probe != MAP_FAILED, "mmap");
    *probe = 1;
    filter_begin(&filter);
    filter_answer(&filter, number, SECCOMP_RET_ERRNO | (unsigned)error);
    filter_install(&filter, SECCOMP_RET_ALLOW);
    /* The last argument is madvise's advice, mprotect's protection, mremap's new size. */
    long last = number == SYS_mremap ? (long)page : number == SYS_madvise ? MADV_DONTNEED : 0;
    errno = 0;
    long result = syscall(number, probe, page, last);
    CHECK(errno == error && result == (error == 0 ? 0 : -1) && *(volatile char *)probe == 1,
          "the filter does not do what it should: %ld, errno %d", result, errno);
}

static pthread_barrier_t filtered;

/* Started before the filter: pthread_create makes such calls itself. */
static void *run(void *argument) {
    pthread_barrier_wait(&filtered);
    workout((uintptr_t)argument, OPERATIONS);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 4, "usage: faked_calls CALL ERROR|NOTHING start|late");
    if (strcmp(argv[3], "late") == 0) {
        zero_check_all();
        workout(1, OPERATIONS);
    }
    free(malloc(100));
    CHECK(pthread_barrier_init(&filtered, NULL, 2) == 0, "barrier");
    pthread_t thread = thread_start(run, (void *)2);
    install(argv[1], argv[2]);
    zero_check_all();
    pthread_barrier_wait(&filtered);
    workout(3, OPERATIONS);
    thread_join(thread);
    workout_end();
    zero_check_all();
    return 0;
}
