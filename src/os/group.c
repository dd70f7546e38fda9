/* Purpose: group.h. */
#include "os/group.h"

#include <stdbool.h>

#include "base/format.h"
#include "base/syscall.h"
#include "os/file.h"

enum { PATH_BYTES = 1024, LIST_BYTES = 4096 };

static const char root[] = "/sys/fs/cgroup";

/* The file's start, as a string of at most `bytes` - 1; false if there is nothing to read. */
static bool read_file(const char *path, char *buffer, size_t bytes) {
    int file = file_open(path, O_RDONLY, 0);
    if (file < 0)
        return false;
    long length = raw_syscall(SYS_read, file, (long)buffer, (long)bytes - 1, 0, 0, 0);
    file_close(file);
    if (syscall_failed(length) || length == 0)
        return false;
    buffer[length] = 0;
    return true;
}

/* "max" is none; so is what version 1 writes for it, a number near 2^63. */
static size_t read_limit(const char *path) {
    char digits[32];
    size_t value = 0;
    if (!read_file(path, digits, sizeof digits) || digits[0] < '0' || digits[0] > '9')
        return SIZE_MAX;
    for (const char *c = digits; *c >= '0' && *c <= '9'; c++)
        if (__builtin_mul_overflow(value, (size_t)10, &value) ||
            __builtin_add_overflow(value, (size_t)(*c - '0'), &value))
            return SIZE_MAX;
    return value < (size_t)1 << 60 ? value : SIZE_MAX;
}

/* The group's path in a line of /proc/self/cgroup that has `marker`: what follows it to the line's
 * end, which is cut off. NULL: no such line. */
static char *path_after(char *list, const char *marker) {
    size_t length = 0;
    while (marker[length] != 0)
        length++;
    for (char *line = list; *line != 0;) {
        char *end = line;
        while (*end != 0 && *end != '\n')
            end++;
        for (char *at = line; at + length <= end; at++) {
            size_t same = 0;
            while (same < length && at[same] == marker[same])
                same++;
            if (same < length)
                continue;
            *end = 0;
            return at + length;
        }
        line = *end != 0 ? end + 1 : end;
    }
    return NULL;
}

/* From the group up to the root. In a container the path may be of outside: then only the root is
 * there, which is the container's own group. */
static size_t least_upwards(const char *hierarchy, char *group, const char *file) {
    size_t least = SIZE_MAX;
    size_t length = 0;
    while (group[length] != 0)
        length++;
    for (;;) {
        TEXT(path, PATH_BYTES);
        text_format(&path, "%s%s%s/%s", root, hierarchy, group, file);
        path.bytes[path.used < path.size ? path.used : path.size - 1] = 0;
        size_t limit = read_limit(path.bytes);
        least = limit < least ? limit : least;
        if (length == 0)
            return least;
        while (length > 0 && group[--length] != '/')
            ;
        group[length] = 0;
    }
}

size_t group_memory_limit(void) {
    static const char list_path[] = "/proc/self/cgroup";
    char list[LIST_BYTES];
    size_t least = SIZE_MAX;
    char *group;
    if (read_file(list_path, list, sizeof list) && (group = path_after(list, "0::")) != NULL)
        least = least_upwards("", group, "memory.max");
    if (read_file(list_path, list, sizeof list) && (group = path_after(list, "memory:")) != NULL) {
        size_t old = least_upwards("/memory", group, "memory.limit_in_bytes");
        least = old < least ? old : least;
    }
    return least;
}
