/* Purpose: fatal.h. abort() is libc's: it alone knows how to restore the default action of
 *          SIGABRT safely; it takes no lock that a malloc of ours could hold. */
#include "base/fatal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/syscall.h"

void text_write(const struct text *text, int fd) {
    size_t done = 0;
    while (done < text->used) {
        long n = raw_syscall(SYS_write, fd, (long)(text->bytes + done), (long)(text->used - done),
                             0, 0, 0);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

void fatal_line(const struct text *line) {
    /* Standard error may be a pipe that nobody reads: that must not be the cause of death. */
    uint64_t mask = (uint64_t)1 << (SIGPIPE - 1);
    raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&mask, 0, sizeof mask, 0, 0);
    text_write(line, 2);
    abort();
}

void fatal_assert(const char *condition, const char *file, int line) {
    TEXT(text, 320);
    text_format(&text, "slabmalloc: broken invariant: %s (%s:%d)\n", condition, file, line);
    fatal_line(&text);
}
