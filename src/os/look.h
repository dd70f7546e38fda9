/* Purpose: looking at memory without touching it: which pages are there, and what is in them.
 * Owns:    nothing.
 * Locking: none. Async-signal-safe; errno is never touched; no page is made present by a look. */
#ifndef SLM_OS_LOOK_H
#define SLM_OS_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sets pages[i] to 1 for each page from `address` on (a multiple of the page size) that is in
 * memory, else to 0. A page that was only read, and so is the system's one page of zeros, counts;
 * one that was swapped out does not. If some of it is not mapped (any more), all are 0. Returns 0,
 * or the error number with which the system refused to tell. */
int os_look_resident(uintptr_t address, size_t pages, unsigned char *present);

/* What copies memory that another thread may be unmapping: */
struct os_peek {
    bool refused; /* process_vm_readv is not to be had here, */
    int pipe[2];  /* so through a pipe, if it is not -1 */
};

void os_peek_begin(struct os_peek *peek);

/* Copies up to `bytes` bytes (at most 4096) from `address`; returns how many could be read. */
size_t os_peek(struct os_peek *peek, void *to, uintptr_t address, size_t bytes);

void os_peek_end(struct os_peek *peek);

#endif
