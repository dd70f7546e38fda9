/* Purpose: fork: the child can allocate, whatever the parent's other threads were doing.
 * Owns:    the fork handlers.
 * Locking: prepare takes every lock there is, in rank order; parent and child give them back.
 *
 * The handlers are registered before anybody else's if possible (by a constructor, or at the first
 * allocation), so that `prepare` runs last and the others run first: other libraries' handlers may
 * allocate. If theirs do run while all locks are held, they are let into each as its holder.
 *
 * glibc takes the lock of its list of streams only after `prepare`; a thread in fflush(NULL) holds
 * it and waits for a stream whose holder, in getline, waits for us. So it is taken here first,
 * which is the order that glibc keeps with its own malloc (glibc, posix/fork.c; design.md, "fork").
 */
#include <pthread.h>

#include "cache/common.h"
#include "check/check.h"
#include "check/locks.h"
#include "heap/background.h"
#include "heap/heap.h"
#include "heap/limits.h"
#include "large/large.h"
#include "os/metadata.h"
#include "slab/depot.h"
#include "slab/zone.h"

/* Exported by glibc for this purpose; recursive. Absent elsewhere. */
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));
extern void _IO_list_resetlock(void) __attribute__((weak));

static void for_each_shared_lock(void (*act)(struct lock *lock, enum lock_rank rank)) {
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        act(&depots[cls].lock, RANK_CLASS);
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        act(&zones[kind].lock, RANK_ZONE);
    act(large_lock(), RANK_LARGE);
    act(metadata_lock(), RANK_METADATA);
}

static void acquire(struct lock *lock, enum lock_rank rank) { lock_acquire(lock, rank); }
static void release(struct lock *lock, enum lock_rank rank) { lock_release(lock, rank); }

void heap_lock_all(void) {
    check_lock_all();
    acquire(&heap_shared_lock, RANK_SHARED_CACHE);
    cache_acquire_all();
    for_each_shared_lock(acquire);
}

void heap_unlock_all(void) {
    for_each_shared_lock(release);
    cache_release_all();
    release(&heap_shared_lock, RANK_SHARED_CACHE);
    check_unlock_all();
}

static void prepare(void) {
    if (_IO_list_lock != NULL)
        _IO_list_lock();
    heap_lock_all();
    lock_set_forking(thread_id());
}

static void release_all(void) {
    lock_set_forking(0);
    heap_unlock_all();
}

static void in_parent(void) {
    release_all();
    if (_IO_list_unlock != NULL)
        _IO_list_unlock();
}

/* With no lock held. */
static void return_lent(void) {
    struct cache *cache = cache_is_lending() ? heap_borrow_cache() : NULL;
    if (cache == NULL)
        return;
    cache_return_lent(cache);
    heap_return_cache(cache);
}

static void in_child(void) {
    cache_mark_vanished(cache_self);
    common_after_fork();
    zone_recover_purged();
    check_after_fork();
    background_after_fork();
    limits_after_fork();
    release_all();
    common_leave_all();
    return_lent();
    if (_IO_list_resetlock != NULL)
        _IO_list_resetlock();
}

static void reset(struct lock *lock, enum lock_rank rank) {
    (void)rank;
    lock_reset(lock);
}

void heap_disown(void) {
    for_each_shared_lock(reset);
    cache_reset_locks();
    common_after_fork();
    lock_reset(&heap_shared_lock);
    check_reset_locks();
    check_after_fork();
    background_after_fork();
    cache_mark_vanished(cache_self);
    zone_recover_purged();
    limits_after_fork();
}

/* What pthread_atfork calls. glibc links a copy of pthread_atfork into every library, behind all
 * other code: the one piece there of what runs at the start (see AT_START). */
int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *library);

AT_START void heap_register_fork(void) { __register_atfork(prepare, in_parent, in_child, NULL); }
