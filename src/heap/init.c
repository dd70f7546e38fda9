/* Purpose: from nothing to a heap, and from a new thread to one with a cache.
 * Owns:    the state of initialisation, the thread-specific key.
 * Locking: the first thread initialises, others wait for it.
 *
 * No constructor is needed: a process starts with zone_map all zero and every thread with
 * cache_boot, so that the first call of either kind takes the slow way and ends here. The helpers
 * of libc that allocate themselves (pthread_atfork, pthread_setspecific) are called when the calling
 * thread can allocate already (field case A4). */
#include <limits.h>
#include <pthread.h>

#include "heap/heap.h"
#include "os/os.h"
#include "slab/zone.h"

enum { UNINITIALISED, RUNNING, AWAITED, DONE };

static uint32_t init_state;
static struct lock shared_lock;
static pthread_key_t exit_key;
static bool exit_key_made;
static uint32_t fork_registered;

/* Others' destructors may allocate in any round, so the last round is ours. (The thread sanitizer
 * takes its own state of the thread down in the last one: no atomic works after that.) */
#ifdef SLM_TSAN
enum { EXIT_ROUND = PTHREAD_DESTRUCTOR_ITERATIONS - 1 };
#else
enum { EXIT_ROUND = PTHREAD_DESTRUCTOR_ITERATIONS };
#endif

/* The destructor of exit_key. */
static void thread_exits(void *value) {
    struct cache *cache = value;
    if (cache != cache_self)
        return;
    if (++cache->exit_rounds < EXIT_ROUND &&
        pthread_setspecific(exit_key, cache) == 0)
        return;
    cache_destroy(cache);
}

/* Another thread initialises: waits for its end; true if it succeeded. */
static bool wait_for_other(void) {
    uint32_t state = RUNNING;
    if (!cas_acq_rel(&init_state, &state, AWAITED) && state != AWAITED)
        return state == DONE;
    while (load_acquire(&init_state) == AWAITED)
        os_wait(&init_state, AWAITED);
    return load_acquire(&init_state) == DONE;
}

static bool initialise(void) {
    uint32_t expected = UNINITIALISED;
    if (load_acquire(&init_state) == DONE)
        return true;
    if (!cas_acquire(&init_state, &expected, RUNNING))
        return wait_for_other();
    os_init();
    bool ok = zone_init();
    if (ok)
        exit_key_made = pthread_key_create(&exit_key, thread_exits) == 0;
    /* After a failure for want of memory the next call may try again. */
    if (exchange_acq_rel(&init_state, ok ? DONE : UNINITIALISED) == AWAITED)
        os_wake(&init_state, INT32_MAX);
    return ok;
}

static void register_fork_once(void) {
    uint32_t expected = 0;
    if (load_relaxed(&fork_registered) == 0 && cas_acquire(&fork_registered, &expected, 1))
        heap_register_fork();
}

/* NULL: this thread can have no cache of its own. */
static struct cache *first_call(void) {
    struct cache *cache = exit_key_made ? cache_create() : NULL;
    if (cache == NULL) {
        if (!exit_key_made)
            cache_self = &cache_dead; /* nobody would tell us of the thread's end */
        return NULL;
    }
    if (pthread_setspecific(exit_key, cache) != 0) {
        cache_destroy(cache);
        return NULL;
    }
    register_fork_once();
    return cache;
}

struct cache *heap_borrow_cache(void) {
    struct cache *cache = cache_self;
    if (LIKELY(cache_is_live(cache)))
        return cache;
    if (!initialise())
        return NULL;
    if (cache == &cache_boot) {
        cache = first_call();
        if (cache != NULL)
            return cache;
    }
    lock_acquire(&shared_lock, RANK_SHARED_CACHE);
    return &cache_shared;
}

void heap_return_cache(struct cache *cache) {
    if (UNLIKELY(cache == &cache_shared))
        lock_release(&shared_lock, RANK_SHARED_CACHE);
}

struct lock *heap_shared_lock(void) { return &shared_lock; }
