/* Purpose: what the programs of perf/memory share: what of the process is resident, the allocator's
 *          own call that gives memory back, and tables that are no part of the heap.
 *
 * A figure is printed as `name value`; a sample of the course of memory as `at X resident R live
 * L`, where X is seconds or the share of the work done. Nothing here allocates as it measures. */
#ifndef PERF_MEMORY_H
#define PERF_MEMORY_H

#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"

#define MIB ((size_t)1 << 20)

/* --- tables beside the heap ------------------------------------------------------------------- */

static size_t own_bytes;

/* Zeroed, resident, and left out of resident_bytes(). */
static inline void *own_table(size_t bytes) {
    bytes = (bytes + 4095) & ~(size_t)4095;
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED)
        fail("mmap");
    own_bytes += bytes;
    return table;
}

/* --- what is resident ------------------------------------------------------------------------- */

/* The kernel's figure of private memory, exact (/proc/self/smaps_rollup); what waits to be freed
 * lazily counts, as it does for whoever looks at the process. */
static inline size_t anonymous_bytes(void) {
    static char text[4096];
    int file = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : 0;
    if (length <= 0)
        fail("/proc/self/smaps_rollup");
    close(file);
    text[length] = 0;
    const char *found = strstr(text, "\nAnonymous:");
    return found ? strtoull(found + 11, NULL, 10) << 10 : 0;
}

static size_t bytes_at_start;

static inline void begin_measuring(void) { bytes_at_start = anonymous_bytes() - own_bytes; }

/* By how much the process has grown since begin_measuring, but for its own tables. */
static inline size_t resident_bytes(void) {
    size_t now = anonymous_bytes() - own_bytes;
    return now > bytes_at_start ? now - bytes_at_start : 0;
}

static inline size_t lines_of_maps(void) {
    static char text[65536];
    size_t lines = 0;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    for (ssize_t length; file >= 0 && (length = read(file, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < length; i++)
            lines += text[i] == '\n';
    close(file);
    return lines;
}

/* --- giving back ------------------------------------------------------------------------------ */

/* jemalloc's number for all arenas. */
#define EVERY_ARENA "arena.4096.purge"

/* Whatever the allocator at hand offers: its own call, else malloc_trim. */
static inline void give_back(void) {
    bool (*purge)(void) = (bool (*)(void))dlsym(RTLD_DEFAULT, "slm_purge");
    void (*collect)(bool) = (void (*)(bool))dlsym(RTLD_DEFAULT, "mi_collect");
    int (*control)(const char *, void *, size_t *, void *, size_t) =
        (int (*)(const char *, void *, size_t *, void *, size_t))dlsym(RTLD_DEFAULT, "mallctl");
    void (*release)(void) =
        (void (*)(void))dlsym(RTLD_DEFAULT, "MallocExtension_ReleaseFreeMemory");
    if (purge) {
        purge();
    } else if (collect) {
        collect(true);
    } else if (control) {
        control("thread.tcache.flush", NULL, NULL, NULL, 0);
        control(EVERY_ARENA, NULL, NULL, NULL, 0);
    } else if (release) {
        release();
    } else {
        malloc_trim(0);
    }
}

/* --- the course of memory --------------------------------------------------------------------- */

enum { SAMPLES_MAX = 1024 };

static struct sample {
    double at;
    size_t resident, live;
} samples[SAMPLES_MAX];
static size_t sample_count;

static inline size_t take_sample(double at, size_t live) {
    size_t resident = resident_bytes();
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = (struct sample){at, resident, live};
    return resident;
}

static inline void print_samples(void) {
    for (size_t i = 0; i < sample_count; i++)
        printf("at %.4f resident %zu live %zu\n", samples[i].at, samples[i].resident,
               samples[i].live);
}

static inline void print_figure(const char *name, size_t value) {
    printf("%s %zu\n", name, value);
}

#endif
