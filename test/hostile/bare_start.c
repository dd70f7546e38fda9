/* Purpose: a program that starts with next to nothing: no /proc, no files, no environment.
 *
 * Protects: the heap needs no file and no environment, to start or to work (field cases A5, A6):
 * linked statically and executed in an empty root directory, or where every open fails, with a NULL
 * environment; linked with the shared library, with a NULL environment.
 *
 * bare_start empty_root|no_open|no_environment: executes itself under the condition. */
#include "hostile.h"

extern char **environ;

enum { OPERATIONS = 8000 / SLOWNESS };

static void *run(void *argument) {
    workout((uintptr_t)argument, OPERATIONS);
    return NULL;
}

static void work(const char *how) {
    CHECK(environ == NULL || environ[0] == NULL, "there is an environment");
    CHECK(strcmp(how, "no_environment") == 0 || open("/proc/self/maps", O_RDONLY) < 0,
          "there is /proc");
    pthread_t thread = thread_start(run, (void *)1);
    workout(2, OPERATIONS);
    thread_join(thread);
    pid_t child = child_fork();
    if (child == 0) {
        workout(3, 1000);
        _exit(0);
    }
    child_wait(child, "a child");
    workout_end();
    zero_check_all();
}

static void forbid_open(void) {
    static struct filter filter;
    static const long calls[] = {
#ifdef SYS_open
        SYS_open,   SYS_access,    SYS_readlink,
#endif
        SYS_openat, SYS_faccessat, SYS_readlinkat, SYS_newfstatat, SYS_openat2};
    filter_begin(&filter);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        filter_answer(&filter, calls[i], SECCOMP_RET_ERRNO | ENOENT);
    filter_install(&filter, SECCOMP_RET_ALLOW);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    if (argc == 3) {
        work(how);
        return 0;
    }
    char directory[] = "/tmp/slabmalloc-empty-XXXXXX";
    char *arguments[] = {argv[0], argv[1], (char *)"again", NULL};
    int self = open("/proc/self/exe", O_RDONLY);
    CHECK(argc == 2 && self >= 0, "usage: bare_start empty_root|no_open|no_environment");
    if (strcmp(how, "empty_root") == 0) {
        CHECK(mkdtemp(directory) != NULL && chdir(directory) == 0, "%s", strerror(errno));
        rmdir(directory); /* as the working directory it stays, for ever empty */
        if (chroot(".") != 0)
            SKIP("chroot: %s", strerror(errno));
    } else if (strcmp(how, "no_open") == 0) {
        forbid_open();
    }
    /* As execveat does it, without a file name. */
    syscall(SYS_execveat, self, "", arguments, NULL, 0x1000 /* AT_EMPTY_PATH */);
    CHECK(false, "execveat: %s", strerror(errno));
}
