/* Purpose: from nothing to a heap, and from a new thread to one with a cache.
 * Owns:    the state of initialisation, the thread-specific key.
 * Locking: the first thread initialises, others wait for it until the fork handlers are registered:
 *          before that, a fork would not wait for their locks.
 *
 * No constructor is needed: a process starts with zone_map all zero and every thread with
 * cache_boot, so that the first call of either kind takes the slow way and ends here. The helpers
 * of libc that allocate themselves, or that another library may have wrapped (pthread_key_create,
 * pthread_setspecific, __register_atfork), are called when the calling thread can allocate already
 * (field case A4). */
#include <pthread.h>

#include "heap/background.h"
#include "heap/checked.h"
#include "heap/heap.h"
#include "heap/limits.h"
#include "os/os.h"
#include "os/watch.h"
#include "slab/zone.h"

/* Otherwise init_state is thread_id() of the thread that initialises, with REGISTERS while it
 * registers the fork handlers and can allocate already: the functions that it calls may. */
enum { NOT_STARTED = 0, DONE = 1, REGISTERS = 2 };

enum { WAIT_MS = 10, WAITS_MAX = 20 };

enum { KEY_NONE, KEY_MAKING, KEY_MADE, KEY_REFUSED };

static uintptr_t init_state;
static uint32_t init_awaited;
static uint32_t init_process;
struct lock heap_shared_lock;
static pthread_key_t exit_key;
static uint32_t key_state;

/* A cache is given up in the second round of destructors, or later: the first, in which most
 * destructors run, finds it in place; the third and fourth are left for threads that first call us
 * in a destructor. What runs after that borrows the shared cache. */
enum { EXIT_ROUND = 2 };

/* The destructor of exit_key. */
static void thread_exits(void *value) {
    struct cache *cache = value;
    if (cache != cache_self)
        return;
    if (++cache->exit_rounds < EXIT_ROUND && pthread_setspecific(exit_key, cache) == 0)
        return;
    cache_destroy(cache);
    background_thread_ended();
}

static void set_state(uintptr_t state) {
    exchange_acq_rel(&init_state, state);
    if (load_relaxed(&init_awaited) != 0)
        os_wake((uint32_t *)(void *)&init_state, INT32_MAX);
}

/* With init_state this thread's. */
static AT_START bool run(void) {
    store_relaxed(&init_process, os_process_id());
    os_init();
    if (!zone_init()) {
        set_state(NOT_STARTED); /* for want of memory: the next call may try again */
        return false;
    }
    set_state(thread_id() | REGISTERS);
    heap_register_fork();
    set_state(DONE);
    return true;
}

/* A fork has left the thread that initialises behind, in the parent. What it has done it may have
 * done by half; nobody has used it, but for that thread where it could allocate. */
static bool take_over(uintptr_t state) {
    if (!cas_acquire(&init_state, &state, thread_id()))
        return false;
    if (state & REGISTERS)
        heap_disown();
    return run();
}

/* Another thread initialises: waits for its end; true if it succeeded. A wait of a fifth of a
 * second is no wait for initialisation any more: its thread is gone, or waits for this one inside
 * of a registration of fork handlers that is another library's. */
static bool wait_for_other(void) {
    uintptr_t state;
    store_relaxed(&init_awaited, 1);
    for (unsigned waits = 0; (state = load_acquire(&init_state)) > DONE; waits++) {
        if (waits >= WAITS_MAX) {
            if (load_relaxed(&init_process) != os_process_id() && take_over(state))
                return true;
            if (state & REGISTERS)
                return true;
        }
        os_wait_for((uint32_t *)(void *)&init_state, (uint32_t)state, WAIT_MS);
    }
    return state == DONE;
}

static bool initialise(void) {
    uintptr_t state = load_acquire(&init_state);
    if (LIKELY(state == DONE))
        return true;
    if ((state & ~(uintptr_t)REGISTERS) == thread_id())
        return (state & REGISTERS) != 0; /* if not, in a signal handler: no memory yet */
    if (state != NOT_STARTED || !cas_acquire(&init_state, &state, thread_id()))
        return wait_for_other();
    return run();
}

/* Whether there is a key whose destructor tells of a thread's end. While it is being made, there is
 * none yet: its maker may be a wrapper of another library that allocates (field case A3). */
static uint32_t make_key_once(void) {
    uint32_t state = KEY_NONE;
    if (load_acquire(&key_state) == KEY_NONE && cas_acquire(&key_state, &state, KEY_MAKING)) {
        bool made = pthread_key_create(&exit_key, thread_exits) == 0;
        store_release(&key_state, made ? KEY_MADE : KEY_REFUSED);
    }
    return load_acquire(&key_state);
}

/* NULL: this thread can have no cache of its own, now or ever. */
static AT_START struct cache *first_call(void) {
    if (UNLIKELY(load_relaxed(&check_active))) {
        cache_self = &cache_dead; /* every call is to go the slow way */
        return NULL;
    }
    uint32_t key = make_key_once();
    if (cache_self != &cache_boot)
        return cache_is_live(cache_self) ? cache_self : NULL; /* made inside make_key_once */
    if (key == KEY_REFUSED)
        cache_self = &cache_dead; /* nobody would tell us of the thread's end */
    struct cache *cache = key == KEY_MADE ? cache_create() : NULL;
    if (cache != NULL && pthread_setspecific(exit_key, cache) != 0) {
        cache_destroy(cache);
        cache = NULL;
    }
    watch_note_growth(); /* by a thread more: background_consider asks for threads, too */
    return cache;
}

AT_START struct cache *heap_borrow_cache(void) {
    struct cache *cache = cache_self;
    if (LIKELY(cache_is_live(cache)))
        return cache;
    if (UNLIKELY(cache == &cache_boot)) {
        if (!initialise())
            return NULL;
        cache = first_call();
        if (cache != NULL)
            return cache;
    }
    lock_acquire_often(&heap_shared_lock, RANK_SHARED_CACHE);
    return &cache_shared;
}

AT_START void heap_return_cache(struct cache *cache) {
    if (UNLIKELY(cache == &cache_shared))
        lock_release_often(&heap_shared_lock, RANK_SHARED_CACHE);
}

static COLD void has_grown(void) {
    if (lock_is_forking()) /* perhaps by this thread, with all locks */
        return;
    store_relaxed(&watch.grown, 0);
    limits_look();
    background_consider();
}

void heap_return_grown_cache(struct cache *cache) {
    heap_return_cache(cache);
    if (UNLIKELY(load_own(&watch.grown) != 0))
        has_grown();
}

AT_START void heap_set_up(void) {
    struct cache *cache = heap_borrow_cache();
    if (cache != NULL)
        heap_return_cache(cache);
}

AT_START void heap_start_checks(void) {
    if (check_start())
        heap_join_checks();
}

void heap_join_checks(void) {
    if (UNLIKELY(cache_is_live(cache_self)))
        cache_destroy(cache_self);
}

bool heap_is_set_up(void) { return load_acquire(&init_state) == DONE; }
