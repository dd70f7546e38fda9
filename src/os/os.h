/* Purpose: the contract with the operating system: address space, memory, clock, limits.
 *          Everything above this header is free of system calls.
 * Owns:    the page size and the fault-injection schedule.
 * Locking: none; no caller may hold a lock of ours across os_unmap, os_purge or os_remap
 *          (reserve, map, commit and decommit are allowed under a zone's lock: they are rare).
 *
 * Conditions that hold for all: sizes and addresses are multiples of the page size; errno is
 * never touched; a failure is reported as NULL or false and leaves everything as it was. */
#ifndef SLM_OS_OS_H
#define SLM_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* Page size in bytes, from the auxiliary vector; 4096 until os_init. */
extern size_t os_page_bytes;

void os_init(void);

/* Address space without memory: any access faults, nothing is charged. NULL on failure. */
void *os_reserve(size_t bytes);

/* Zeroed memory, charged when touched. NULL on failure. */
void *os_map(size_t bytes);

/* The first bytes of a file, shared with it. NULL on failure. */
void *os_map_file(int fd, size_t bytes);

/* Makes reserved pages writable (charged where the system accounts strictly). The pages keep their
 * contents. */
bool os_commit(void *address, size_t bytes);

/* Back to what os_reserve gave: memory, contents and charge are given up, the addresses stay. */
bool os_decommit(void *address, size_t bytes);

/* Gives mapped pages back, address space and all. May fail where the system has run out of
 * mappings (max_map_count): the pages then stay mapped and keep their contents. */
bool os_unmap(void *address, size_t bytes);

/* Gives the memory of private pages back and keeps them mapped. True: they read as zero from now
 * on. False: nothing may be assumed of their contents (locked pages, an emulator). */
bool os_purge(void *address, size_t bytes);

/* The same for several, which is cheaper; the answers in is_zero. */
struct os_run {
    uintptr_t address;
    size_t bytes;
    bool is_zero;
};
void os_purge_runs(struct os_run *runs, unsigned count);

/* The same for pages whose contents nobody will ask for: one system call instead of two. */
bool os_discard(void *address, size_t bytes);

/* Asks the system to use huge pages there, or never to. It need not listen. */
void os_advise_huge(void *address, size_t bytes, bool wanted);

/* Takes memory, and of a file's mapping disk space, for all of it, so that no later write to it can
 * fail: 0, or an error; ENOSPC: there is none; EINVAL: the system can't (before Linux 5.14). */
uint32_t os_populate(void *address, size_t bytes);

/* Resizes a mapping, moving it if `may_move`. NULL: impossible, the old mapping is as it was. */
void *os_remap(void *address, size_t old_bytes, size_t new_bytes, bool may_move);

/* Milliseconds of a clock that never jumps back; coarse (a few ms) and cheap. It is libc's, which
 * another library may have wrapped: not to be called with a lock held. */
uint64_t os_clock_ms(void);

/* Bytes of address space that this process may use (RLIMIT_AS), or UINT64_MAX. */
uint64_t os_address_limit(void);

/* Whether an emulator of user programs seems to run this one, as qemu-user 7.2 does: there is no
 * vDSO (vdso(7)), which Linux gives to each program unless it was booted without. */
bool os_is_emulated(void);

/* Whether the address lies in the part of the break (brk(2)) that libc has taken since os_init:
 * only its own malloc does that. Makes no system call. */
bool os_is_libc_heap(uintptr_t address);

/* Sleep while *word == value, until os_wake; may return early. */
void os_wait(uint32_t *word, uint32_t value);
void os_wait_for(uint32_t *word, uint32_t value, unsigned milliseconds);
void os_wake(uint32_t *word, int waiters);

/* Another one in a forked child. */
uint32_t os_process_id(void);

/* What the kernel has drawn for this process at its start, or 0: no system call, which a sandbox
 * may forbid. */
void os_start_random(uint64_t words[2]);

/* gettid(2) of the calling thread, asked for once; to be forgotten in a forked child. */
uint32_t os_thread_number(void);
void os_forget_thread_number(void);

/* --- fault injection, for tests ------------------------------------------------------------ */

enum os_call {
    OS_RESERVE = 1 << 0,
    OS_MAP = 1 << 1,
    OS_COMMIT = 1 << 2,
    OS_UNMAP = 1 << 3,
    OS_PURGE = 1 << 4,
    OS_REMAP = 1 << 5,
};

/* From now on, of the calls named in `calls`, let `skip` pass, then fail `count`, then pass again.
 * `calls` = 0 switches injection off. */
void os_inject(unsigned calls, uint32_t skip, uint32_t count);

/* How many calls were made to fail since the last os_inject. */
uint32_t os_injected(void);

#endif
