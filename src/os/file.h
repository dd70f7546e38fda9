/* Purpose: opening and closing files by bare system calls: no errno, no wrapper of another library.
 * Owns:    nothing. */
#ifndef SLM_OS_FILE_H
#define SLM_OS_FILE_H

#include <fcntl.h>

#include "base/syscall.h"

/* A descriptor that is closed on exec, or a negated error number. `mode`: of a file that is made.
 * Source: open(2). */
static inline int file_open(const char *path, int flags, unsigned mode) {
    return (int)raw_syscall(SYS_openat, AT_FDCWD, (long)path, flags | O_CLOEXEC, mode, 0, 0);
}

static inline void file_close(int fd) { raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0); }

#endif
