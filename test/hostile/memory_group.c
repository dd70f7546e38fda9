/* Purpose: the heap in a control group with little memory.
 *
 * Protects: under memory.max of 64 MiB the heap starts, and a working set of half of that lives for
 * long, because freed memory is reused and given back (field case 19). Needs a cgroup v2 hierarchy
 * with the memory controller, below the process's own group, that it may make groups in. */
#include "hostile.h"

#include <sys/stat.h>

enum { OPERATIONS = 50000 / SLOWNESS };

static char group[4096 + 64];

/* "0::/path" in /proc/self/cgroup, below where cgroup2 is mounted. False: there is none. */
static bool find_group(void) {
    char text[4096] = {0}, mount[1024], type[64];
    char line[4096];
    bool found = false;
    FILE *mounts = fopen("/proc/self/mounts", "r");
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    if (mounts == NULL || fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return false;
    close(fd);
    while (!found && fgets(line, sizeof line, mounts) != NULL)
        found = sscanf(line, "%*s %1023s %63s", mount, type) == 2 && strcmp(type, "cgroup2") == 0;
    fclose(mounts);
    char *path = strstr(text, "0::/");
    if (!found || path == NULL)
        return false;
    path += 3;
    path[strcspn(path, "\n")] = 0;
    snprintf(group, sizeof group, "%s%s/slabmalloc-%d", mount, path, (int)getpid());
    return true;
}

static bool write_file(const char *name, const char *value) {
    char path[sizeof group + 32];
    snprintf(path, sizeof path, "%s/%s", group, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t written = fd >= 0 ? write(fd, value, strlen(value)) : -1;
    if (fd >= 0)
        close(fd);
    return written == (ssize_t)strlen(value);
}

static void work(void) {
    for (int round = 0; round < 20; round++) {
        static char *blocks[32];
        for (size_t i = 0; i < 32; i++) {
            size_t bytes = MIB - 100000 + (size_t)round * 4096;
            blocks[i] = malloc(bytes);
            CHECK(blocks[i] != NULL, "malloc");
            memset(blocks[i], 1, bytes);
        }
        for (size_t i = 0; i < 32; i++)
            free(blocks[i]);
    }
    malloc_trim(0);
    workout(1, OPERATIONS);
    workout_end();
}

static void leave(const char *why) {
    int error = errno;
    rmdir(group);
    SKIP("%s: %s", why, strerror(error));
}

int main(int argc, char **argv) {
    char number[32];
    if (argc == 2 && strcmp(argv[1], "work") == 0) {
        work();
        return 0;
    }
    if (!find_group())
        SKIP("no cgroup v2 hierarchy is mounted");
    if (mkdir(group, 0755) != 0)
        SKIP("no group can be made in %s: %s", group, strerror(errno));
    if (!write_file("memory.max", "67108864"))
        leave("the group has no memory controller");
    write_file("memory.swap.max", "0");
    pid_t child = child_fork();
    if (child == 0) {
        snprintf(number, sizeof number, "%d", (int)getpid());
        if (!write_file("cgroup.procs", number))
            _exit(SKIPPED);
        execl("/proc/self/exe", argv[0], "work", (char *)NULL);
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    rmdir(group);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        SKIP("no process can be put into the group");
    CHECK(status == 0, "status %#x", (unsigned)status);
    return 0;
}
