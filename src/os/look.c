/* Purpose: look.h on Linux.
 * Owns:    nothing.
 * Source:  mincore(2), process_vm_readv(2), pipe(2); write(2): EFAULT for memory that is not there.
 */
#include "os/look.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include "base/syscall.h"
#include "os/os.h"

int os_look_resident(uintptr_t address, size_t pages, unsigned char *present) {
    long result = raw_syscall(SYS_mincore, (long)address, (long)(pages * os_page_bytes),
                              (long)present, 0, 0, 0);
    if (syscall_failed(result)) {
        memset(present, 0, pages);
        return result == -ENOMEM ? 0 : (int)-result;
    }
    for (size_t i = 0; i < pages; i++)
        present[i] &= 1; /* the other bits are reserved */
    return 0;
}

void os_peek_begin(struct os_peek *peek) { *peek = (struct os_peek){false, {-1, -1}}; }

void os_peek_end(struct os_peek *peek) {
    for (int i = 0; i < 2; i++)
        if (peek->pipe[i] >= 0)
            raw_syscall(SYS_close, peek->pipe[i], 0, 0, 0, 0, 0);
}

/* A pipe holds a page; what is written to it is read at once, so it never blocks. */
static size_t through_pipe(struct os_peek *peek, void *to, uintptr_t address, size_t bytes) {
    if (peek->pipe[0] < 0 && syscall_failed(raw_syscall(SYS_pipe2, (long)peek->pipe,
                                                        O_CLOEXEC | O_NONBLOCK, 0, 0, 0, 0)))
        return 0;
    long written = raw_syscall(SYS_write, peek->pipe[1], (long)address, (long)bytes, 0, 0, 0);
    if (written <= 0)
        return 0;
    long count = raw_syscall(SYS_read, peek->pipe[0], (long)to, written, 0, 0, 0);
    return count > 0 ? (size_t)count : 0;
}

size_t os_peek(struct os_peek *peek, void *to, uintptr_t address, size_t bytes) {
    struct iovec here = {to, bytes};
    struct iovec there = {(void *)address, bytes};
    if (!peek->refused) {
        long count = raw_syscall(SYS_process_vm_readv, (long)os_process_id(), (long)&here, 1,
                                 (long)&there, 1, 0);
        if (!syscall_failed(count))
            return (size_t)count;
        if (count == -EFAULT)
            return 0;
        peek->refused = true;
    }
    return through_pipe(peek, to, address, bytes);
}
