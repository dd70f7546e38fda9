/* Purpose: fork: the child can allocate, whatever the parent's other threads were doing.
 * Owns:    the fork handlers.
 * Locking: prepare takes every lock but those of single caches, in rank order; parent and child
 *          give them back. A cache's lock may be held by a thread that vanishes: the child resets it,
 *          and what it guards (a queue) is rebuilt from the slabs' owner words.
 *
 * The handlers are registered at the first allocation of the process, so that `prepare` runs last and
 * the others run first of all handlers: other libraries' handlers may allocate. Still, glibc takes
 * the lock of its list of streams only after `prepare`; a thread in fflush(NULL) holds it and
 * waits for a stream whose holder, in getline, waits for us. So it is taken here first, which is
 * the order that glibc keeps with its own malloc (glibc, posix/fork.c; design.md, "fork"). */
#include <pthread.h>

#include "heap/heap.h"
#include "large/large.h"
#include "os/metadata.h"
#include "slab/depot.h"
#include "slab/zone.h"

/* Exported by glibc for this purpose; recursive. Absent elsewhere. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

static void for_each_lock(void (*act)(struct lock *lock, enum lock_rank rank)) {
    act(heap_shared_lock(), RANK_SHARED_CACHE);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        act(&depots[cls].lock, RANK_CLASS);
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        act(&zones[kind].lock, RANK_ZONE);
    act(large_lock(), RANK_LARGE);
    act(cache_registry_lock(), RANK_REGISTRY);
    act(metadata_lock(), RANK_METADATA);
}

static void acquire(struct lock *lock, enum lock_rank rank) { lock_acquire(lock, rank); }
static void release(struct lock *lock, enum lock_rank rank) { lock_release(lock, rank); }

static void prepare(void) {
    if (_IO_list_lock != NULL)
        _IO_list_lock();
    for_each_lock(acquire);
    lock_set_forking(thread_id());
}

static void in_parent(void) {
    lock_set_forking(0);
    for_each_lock(release);
    if (_IO_list_unlock != NULL)
        _IO_list_unlock();
}

static void in_child(void) {
    lock_set_forking(0);
    for_each_lock(release);
    cache_after_fork_in_child(cache_self);
    if (_IO_list_resetlock != NULL)
        _IO_list_resetlock();
}

void heap_register_fork(void) { pthread_atfork(prepare, in_parent, in_child); }
