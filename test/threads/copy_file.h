/* What dlopen_churn.c and stress/dso_pile.c share: the loader loads one file once, so that many
 * libraries are many copies. */
#ifndef SLM_TEST_THREADS_COPY_FILE_H
#define SLM_TEST_THREADS_COPY_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

/* Makes the file `to`, which does not exist yet. */
static inline void copy_file(const char *from, const char *to) {
    struct stat status;
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    CHECK(in >= 0 && out >= 0 && fstat(in, &status) == 0, "%s, %s: %s", from, to,
          strerror(errno));
    CHECK(sendfile(out, in, NULL, (size_t)status.st_size) == status.st_size, "sendfile");
    close(in);
    close(out);
}

#endif
