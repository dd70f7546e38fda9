/* Purpose: what a core dump of a process with a small heap takes.
 *
 * Protects: the reserved address space is not in it (field case E4): the file is little longer than
 * the memory that was in use, holes counted, and written while a user waits. The kernel's dump, and
 * what a debugger would take from /proc: readable private memory.
 *
 * core_dump kernel|readable */
#include "hostile.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { BLOCKS = 100000 / (SLOWNESS > 4 ? 4 : SLOWNESS) };

static char directory[] = "/tmp/slabmalloc-core-XXXXXX";

static void fill(void) {
    uint64_t state = random_seed(7);
    for (size_t i = 0; i < BLOCKS; i++)
        block_new(&state, random_below(&state, 400));
    block_new(&state, 300000);
}

static size_t remove_files(void) {
    size_t bytes = 0;
    DIR *files = opendir(directory);
    CHECK(files != NULL, "%s", directory);
    for (struct dirent *entry; (entry = readdir(files)) != NULL;) {
        struct stat facts;
        if (fstatat(dirfd(files), entry->d_name, &facts, 0) != 0 || !S_ISREG(facts.st_mode))
            continue;
        bytes += (size_t)facts.st_size;
        unlinkat(dirfd(files), entry->d_name, 0);
    }
    closedir(files);
    rmdir(directory);
    return bytes;
}

static void by_kernel(void) {
    char pattern[256] = {0};
    int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
    if (fd < 0 || read(fd, pattern, sizeof pattern - 1) <= 0)
        SKIP("the core pattern cannot be read");
    close(fd);
    if (pattern[0] == '|' || pattern[0] == '@' || strchr(pattern, '/') != NULL)
        SKIP("core dumps do not go to the working directory: %s", pattern);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_CORE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < 1024 * MIB || setrlimit(RLIMIT_CORE, &limit) != 0)
        SKIP("core dumps are limited to %zu bytes", (size_t)limit.rlim_max);
    CHECK(mkdtemp(directory) != NULL && chdir(directory) == 0, "%s", strerror(errno));
    int status, results[2];
    size_t used = 0;
    CHECK(pipe(results) == 0, "pipe");
    pid_t child = child_fork();
    if (child == 0) {
        fill();
        used = rss_bytes();
        CHECK(write(results[1], &used, sizeof used) == sizeof used, "write");
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status), "status %#x", status);
    CHECK(WTERMSIG(status) == SIGSEGV, "signal %d", WTERMSIG(status));
    CHECK(read(results[0], &used, sizeof used) == sizeof used, "read");
    size_t bytes = remove_files();
    if (!WCOREDUMP(status) || bytes == 0)
        SKIP("the system wrote no core dump");
    printf("%zu KiB in use, a dump of %zu KiB\n", used >> 10, bytes >> 10);
    CHECK(bytes <= used + used / 5 + 16 * MIB, "in use %zu, the dump %zu", used, bytes);
}

/* Readable private memory without a file, by /proc/self/maps. */
static void as_debuggers_do(void) {
    size_t readable = 0;
    fill();
    size_t used = rss_bytes();
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL, "maps");
    char line[512], access[5], name[256];
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        name[0] = 0;
        CHECK(sscanf(line, "%lx-%lx %4s %*s %*s %*s %255s", &from, &to, access, name) >= 3, "%s",
              line);
        if (access[0] == 'r' && name[0] == 0)
            readable += to - from;
    }
    fclose(maps);
    printf("%zu KiB in use, %zu KiB readable\n", used >> 10, readable >> 10);
    CHECK(readable <= used * 2 + 512 * MIB, "in use %zu, readable %zu", used, readable);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc == 2 && strcmp(argv[1], "readable") == 0)
        as_debuggers_do();
    else
        by_kernel();
    return 0;
}
