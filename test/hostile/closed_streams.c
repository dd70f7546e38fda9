/* Purpose: a fault in a process that has closed its standard streams.
 *
 * Protects: a double free ends the process by SIGABRT, whether or not there is a standard error to
 * tell it on; and what the program has written to a file of its own, which got the number of the
 * closed standard error, stays as it was: at most one whole line follows it (field cases 10, C6).
 *
 * closed_streams closed    0, 1 and 2 are closed
 * closed_streams file      2 is a file of the program's
 * closed_streams full      2 is /dev/full
 * closed_streams pipe      2 is a pipe that nobody reads */
#include "hostile.h"

static const char data[] = "precious data of the program\n";

static void fault(void) {
    void *pointer = malloc(100);
    void *volatile again = pointer;
    free(pointer);
    free(again);
    _exit(1);
}

static void close_all(void) {
    close(0);
    close(1);
    close(2);
}

static void with_closed(void *unused) {
    (void)unused;
    close_all();
    fault();
}

static void with_file(void *path) {
    int fd;
    close_all();
    while ((fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0 && fd < 2)
        ;
    if (fd != 2 || write(2, data, sizeof data - 1) != sizeof data - 1)
        _exit(2);
    fault();
}

static void with_full(void *unused) {
    (void)unused;
    close_all();
    while (open("/dev/full", O_RDWR) < 2)
        ;
    fault();
}

static void with_pipe(void *unused) {
    int ends[2];
    (void)unused;
    if (pipe(ends) != 0 || dup2(ends[1], 2) != 2)
        _exit(2);
    close(ends[0]);
    fault();
}

static void check_file(const char *path) {
    static const char said[] = "slabmalloc: double free: free(";
    char text[1024];
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0, "open");
    ssize_t n = read(fd, text, sizeof text - 1);
    CHECK(n >= (ssize_t)sizeof data - 1, "%zd bytes are left", n);
    text[n] = 0;
    close(fd);
    unlink(path);
    CHECK(memcmp(text, data, sizeof data - 1) == 0, "the program's data are damaged: %s", text);
    const char *rest = text + sizeof data - 1;
    printf("%s\n", *rest != 0 ? "the line is behind the program's data" : "no line was written");
    CHECK(*rest == 0 ||
              (strncmp(rest, said, sizeof said - 1) == 0 && strchr(rest, '\n') == text + n - 1),
          "more than a line is behind the program's data: %s", rest);
}

int main(int argc, char **argv) {
    char text[1024], path[] = "/tmp/slabmalloc-closed-XXXXXX";
    const char *how = argc > 1 ? argv[1] : "";
    void (*act)(void *) = strcmp(how, "file") == 0   ? with_file
                          : strcmp(how, "full") == 0 ? with_full
                          : strcmp(how, "pipe") == 0 ? with_pipe
                                                     : with_closed;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (act == with_file) {
        int fd = mkstemp(path);
        CHECK(fd >= 0, "mkstemp: %s", strerror(errno));
        close(fd);
    }
    int status = child_collect(act, path, text, sizeof text);
    CHECK(aborted(status), "status %#x", (unsigned)status);
    CHECK(text[0] == 0, "it wrote: %s", text);
    if (act == with_file)
        check_file(path);
    return 0;
}
