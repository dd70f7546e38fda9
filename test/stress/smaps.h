/* Purpose: what the system says of this process's memory, from /proc/self; nothing in here
 * allocates. */
#ifndef SLM_TEST_STRESS_SMAPS_H
#define SLM_TEST_STRESS_SMAPS_H

#include <sys/mman.h>

#include "stress.h"

/* Calls `visit` for each line of a file, without its newline; false if it can't be opened. */
static inline bool for_each_line(const char *path, void (*visit)(const char *line, void *context),
                                 void *context) {
    char text[4096];
    size_t used = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while ((n = read(fd, text + used, sizeof text - 1 - used)) > 0) {
        used += (size_t)n;
        text[used] = '\0';
        char *line = text;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            visit(line, context);
        }
        used = strlen(line);
        memmove(text, line, used);
    }
    close(fd);
    return true;
}

struct field_sum {
    const char *name; /* "Private_Dirty:" */
    size_t bytes;
    size_t lines;
};

static inline void add_field(const char *line, void *context) {
    struct field_sum *sum = context;
    unsigned long kib;
    if (strncmp(line, sum->name, strlen(sum->name)) == 0 &&
        sscanf(line + strlen(sum->name), "%lu", &kib) == 1) {
        sum->bytes += kib << 10;
        sum->lines++;
    }
}

/* A figure of all mappings together, such as "Private_Dirty:"; skips the test if there is none. */
static inline size_t smaps_total(const char *name) {
    struct field_sum sum = {name, 0, 0};
    if (!for_each_line("/proc/self/smaps_rollup", add_field, &sum) &&
        !for_each_line("/proc/self/smaps", add_field, &sum))
        SKIP("no /proc/self/smaps");
    if (sum.lines == 0)
        SKIP("/proc/self/smaps has no %s", name);
    return sum.bytes;
}

struct charge {
    size_t mapping; /* bytes of the one being read */
    size_t total, all;
    bool has_flags;
};

static inline void add_charge(const char *line, void *context) {
    struct charge *charge = context;
    unsigned long kib;
    if (sscanf(line, "Size: %lu", &kib) == 1) {
        charge->mapping = kib << 10;
        charge->all += charge->mapping;
    } else if (strncmp(line, "VmFlags:", 8) == 0) {
        charge->has_flags = true;
        if (strstr(line, " ac") != NULL)
            charge->total += charge->mapping;
    }
}

/* Bytes of the mappings that the system accounts for (VmFlags "ac"): this process's part of
 * Committed_AS. `*all`: bytes of all mappings. */
static inline size_t commit_charge(size_t *all) {
    struct charge charge = {0, 0, 0, false};
    if (!for_each_line("/proc/self/smaps", add_charge, &charge))
        SKIP("no /proc/self/smaps");
    if (!charge.has_flags)
        SKIP("/proc/self/smaps has no VmFlags");
    *all = charge.all;
    return charge.total;
}

/* A pointer table outside of the heap. */
static inline void *map_table(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    return memory;
}

#endif
