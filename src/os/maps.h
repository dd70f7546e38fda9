/* Purpose: the process's mappings as the kernel lists them, and which of their pages hold data.
 * Owns:    nothing.
 * Locking: none. Async-signal-safe; errno is never touched. Bare system calls: dladdr and fopen
 *          take locks of others. */
#ifndef SLM_OS_MAPS_H
#define SLM_OS_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OS_MAPPING_NAME_BYTES = 64 };

struct os_mapping {
    uintptr_t start, end;
    uintptr_t offset; /* in the file */
    bool reads, writes, is_shared;
    char name[OS_MAPPING_NAME_BYTES]; /* last part of the path, maybe cut; "": none */
};

/* Calls `visit` for each, lowest address first, until it returns false. False: there is no list to
 * be had (/proc is not mounted, or may not be read). */
bool os_maps_walk(bool (*visit)(const struct os_mapping *mapping, void *context), void *context);

/* Calls `visit` for each mapping of which `huge_bytes` lie in transparent huge pages. False: that
 * is not told. */
bool os_huge_pages_walk(void (*visit)(const struct os_mapping *mapping, size_t huge_bytes,
                                      void *context),
                        void *context);

/* What tells which pages hold data: */
struct os_page_view {
    int pagemap; /* a descriptor, or -1: mincore has to do, for which swapped out is not there */
};

void os_page_view_begin(struct os_page_view *view);
void os_page_view_end(struct os_page_view *view);

/* Sets pages[i] to 1 for each page from `address` on that has contents of this process's own, in
 * memory or swapped out: neither untouched nor merely the file's. Where that can't be told, all are
 * 1. */
void os_page_look(const struct os_page_view *view, uintptr_t address, size_t pages,
                  unsigned char *own);

#endif
