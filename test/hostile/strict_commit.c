/* Purpose: the heap where the system promises no more memory than it has.
 *
 * Protects: under vm.overcommit_memory = 2 the heap starts, its reservation is not charged, and it
 * works; what cannot be promised is refused with ENOMEM, and what is given back is no longer
 * charged (field cases 19, E3).
 *
 * strict_commit start: under the system's present setting, if that is 2.
 * strict_commit switch: sets it for some seconds, for the whole system, which needs root and
 * SLABMALLOC_TEST_OVERCOMMIT=1 in the environment. A guardian process restores it, however the test
 * ends. */
#include "hostile.h"

enum { OPERATIONS = 8000 / SLOWNESS };

static const char setting[] = "/proc/sys/vm/overcommit_memory";

#define ROOM_MIN (1024 * MIB)

static int read_setting(void) {
    char text[8] = {0};
    int fd = open(setting, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return -1;
    close(fd);
    return text[0] - '0';
}

static bool write_setting(int value) {
    char digit = (char)('0' + value);
    int fd = open(setting, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, &digit, 1) == 1;
    if (fd >= 0)
        close(fd);
    return written;
}

static size_t meminfo(const char *name) {
    static char text[8192];
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0, "/proc/meminfo");
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *line = strstr(text, name);
    return line == NULL ? 0 : strtoul(line + strlen(name), NULL, 10) << 10;
}

static size_t room(void) {
    size_t limit = meminfo("CommitLimit:"), used = meminfo("Committed_AS:");
    return limit > used ? limit - used : 0;
}

/* Outlives the test: a pipe tells it of the end, whatever that was. */
static void start_guardian(int value) {
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0, "pipe");
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child > 0) {
        close(ends[0]); /* the other end closes with the process: it is never executed over */
        fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        return;
    }
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    setsid();
    close(ends[1]);
    while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
        ;
    _exit(write_setting(value) ? 0 : 1);
}

/* Executed under the setting, so that the heap starts under it. `before`: what was charged then. */
static void work(size_t before) {
    workout(1, OPERATIONS);
    workout_end();
    zero_check_all();
    errno = 0;
    void *too_much = malloc(room() + meminfo("MemTotal:"));
    CHECK(too_much == NULL && errno == ENOMEM, "more than can be promised: %p, errno %d", too_much,
          errno);
    for (int round = 0; round < 4; round++) {
        void *block = malloc(ROOM_MIN / 2);
        CHECK(block != NULL, "half a gibibyte");
        free(block);
        malloc_trim(0);
    }
    /* Others' charges move too: what is looked for is the reservation, two tebibytes of it. */
    size_t after = meminfo("Committed_AS:");
    CHECK(after < before + ROOM_MIN, "%zu are charged, before %zu", after, before);
}

static void run_again(void) {
    char before[32];
    snprintf(before, sizeof before, "%zu", meminfo("Committed_AS:"));
    pid_t child = child_fork();
    if (child == 0) {
        execl("/proc/self/exe", "strict_commit", "work", before, (char *)NULL);
        _exit(1);
    }
    child_wait(child, "the test under strict accounting");
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    int present = read_setting();
    if (strcmp(how, "work") == 0 && argc == 3) {
        CHECK(present == 2, "the setting is %d", present);
        work(strtoul(argv[2], NULL, 10));
        return 0;
    }
    if (present == 2) {
        run_again();
        return 0;
    }
    if (strcmp(how, "switch") != 0 || getenv("SLABMALLOC_TEST_OVERCOMMIT") == NULL)
        SKIP("overcommit_memory is %d, and SLABMALLOC_TEST_OVERCOMMIT=1 does not allow to change "
             "it for the whole system",
             present);
    if (present < 0 || room() < 2 * ROOM_MIN)
        SKIP("too little is left to promise: %zu bytes", room());
    start_guardian(present);
    if (!write_setting(2))
        SKIP("%s cannot be written: %s", setting, strerror(errno));
    run_again();
    CHECK(write_setting(present) && read_setting() == present, "the setting is not restored");
    return 0;
}
