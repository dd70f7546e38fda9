/* Purpose: fatal.h. abort() is libc's: it alone knows how to restore the default action of
 *          SIGABRT safely; it takes no lock that a malloc of ours could hold. */
#include "base/fatal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/syscall.h"

AT_START int text_write(const struct text *text, int fd) {
    size_t done = 0;
    while (done < text->used) {
        long n = raw_syscall(SYS_write, fd, (long)(text->bytes + done), (long)(text->used - done),
                             0, 0, 0);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? (int)-n : ENOSPC;
        done += (size_t)n;
    }
    return 0;
}

#define SIGNAL_BIT(signal) ((uint64_t)1 << ((signal) - 1))

static uint64_t block_sigpipe(void) {
    uint64_t mask = SIGNAL_BIT(SIGPIPE);
    uint64_t before = 0;
    raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, (long)&before, sizeof mask, 0, 0);
    return before;
}

int text_write_unread(const struct text *text, int fd) {
    uint64_t mask = SIGNAL_BIT(SIGPIPE);
    uint64_t pending = 0;
    struct timespec no_time = {0};
    uint64_t before = block_sigpipe();
    raw_syscall(SYS_rt_sigpending, (long)&pending, sizeof pending, 0, 0, 0, 0);
    int error = text_write(text, fd);
    if ((pending & mask) == 0) /* what is pending now is ours to swallow */
        raw_syscall(SYS_rt_sigtimedwait, (long)&mask, 0, (long)&no_time, sizeof mask, 0, 0);
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof before, 0, 0);
    return error;
}

void report_line(const struct text *line) { text_write_unread(line, 2); }

void fatal_line(const struct text *line) {
    block_sigpipe();
    text_write(line, 2);
    abort();
}

void fatal_assert(const char *condition, const char *file, int line) {
    TEXT(text, 320);
    text_format(&text, "slabmalloc: broken invariant: %s (%s:%d)\n", condition, file, line);
    fatal_line(&text);
}
