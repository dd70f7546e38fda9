/* Purpose: gives memory back in a process in which nobody calls the allocator: one thread, which
 *          exists only where there is something to give back.
 * Owns:    the thread.
 * Locking: none of ours is held when it is started, nor when it is waited for.
 *
 * The option `background` says when: off, the default, for a sandbox may end a process that makes a
 * thread, and there is no asking whether it would (field case A13); lazy: in a process that has
 * threads already and a heap of BACKGROUND_MIN_BYTES; on: from the start. The thread sleeps until
 * something becomes free (one futex call, once), looks every half purge_delay while there is
 * something to come, and sleeps again. An idle process is not woken, and steady churn pays nothing.
 *
 * Why a thread of pthread_create, not a bare clone: setuid and its kin have to reach every thread
 * of the process, and only those that glibc knows are reached; thread_id() and libc's helpers need
 * a control block. Why not in a process without threads: glibc's stdio and C++'s shared_ptr are
 * faster until there is a second one, unshare(CLONE_NEWUSER) works, sandboxes may forbid clone.
 *
 * It is started from allocations only, never from a free: glibc frees with the lock of its stack
 * cache held, which pthread_create takes. And only by threads that have no signal blocked, for a
 * signal handler has. It ends when no other thread is left that ever allocated, so that main may
 * end by pthread_exit; a forked child has none until it grows. */
#ifndef SLM_HEAP_BACKGROUND_H
#define SLM_HEAP_BACKGROUND_H

#include <stdbool.h>

/* In an allocation on a slow way, with no lock held, after the heap has grown. */
void background_consider(void);

/* As the option says now: starts the thread, or has it end. Not from within the allocator. */
void background_apply_option(void);

/* Another thread has ended. */
void background_thread_ended(void);

/* In a forked child, which has no such thread. */
void background_after_fork(void);

/* Before the code may be unloaded: ends the thread, waiting a fifth of a second at most. */
void background_stop(void);

/* Whether there is one, for reports and tests. */
bool background_runs(void);

#endif
