/* In coverage builds only: a process that aborts, or a forked child that leaves by _exit, hands its
 * counts in as well. Many tests are such processes. */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void __gcov_dump(void);

static void hand_in_and_die(int number) {
    __gcov_dump();
    signal(number, SIG_DFL);
    raise(number);
}

static __attribute__((constructor)) void take_aborts(void) { signal(SIGABRT, hand_in_and_die); }

__attribute__((visibility("default"), noreturn)) void _exit(int status) {
    __gcov_dump();
    for (;;)
        syscall(SYS_exit_group, status);
}
