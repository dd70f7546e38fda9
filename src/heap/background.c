/* Purpose: background.h.
 * Owns:    the thread and its state. */
#include "heap/background.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "base/syscall.h"
#include "check/check.h"
#include "core/options.h"
#include "heap/heap.h"
#include "heap/limits.h"
#include "large/large.h"
#include "os/watch.h"
#include "slab/zone.h"

/* NONE -> STARTING -> RUNNING -> ENDED (stopped from outside, to be joined) or NONE (by itself) */
enum state { NONE, STARTING, RUNNING, STOPPING, ENDED, REFUSED };

enum {
    STACK_BYTES = 256 << 10, /* of addresses; programs with large static TLS need it there */
    PERIOD_MIN_MS = 50,
    PERIOD_MAX_MS = 10000,
    IDLE_LOOKS = 3, /* after the last work: lend.c compares two looks */
    STOP_WAITS = 20,
    STOP_WAIT_MS = 10,
};

static struct {
    uint32_t state; /* enum state; a futex */
    uint32_t nap;   /* what timed sleeps wait on: 1 ends them */
    uint32_t process;
    pthread_t thread;
} background;

/* glibc's: whether the process has ever had one thread only. */
extern char __libc_single_threaded __attribute__((weak));

static bool has_threads(void) {
    return &__libc_single_threaded == NULL || load_relaxed(&__libc_single_threaded) == 0;
}

static bool set_state(enum state from, enum state to) {
    uint32_t expected = from;
    return cas_acq_rel(&background.state, &expected, (uint32_t)to);
}

bool background_runs(void) {
    uint32_t state = load_acquire(&background.state);
    return state == STARTING || state == RUNNING;
}

/* --- the thread ------------------------------------------------------------------------------- */

static size_t dirty_slabs(void) {
    return load_seq_cst(&zones[ZONE_TINY].dirty) + load_seq_cst(&zones[ZONE_SMALL].dirty);
}

static bool something_waits(void) {
    struct large_stats large;
    large_stats(&large);
    return dirty_slabs() > 0 || large.cached_bytes > 0;
}

static void count_other(struct cache *cache, void *context) {
    size_t *others = context;
    if (!cache_is_borrowed(cache) && cache != cache_self &&
        load_relaxed(&cache->state) == CACHE_LIVE)
        *others += 1;
}

/* No other thread is left that ever allocated. */
static bool is_alone(void) {
    size_t others = 0;
    cache_walk(count_other, &others);
    return others == 0;
}

static bool should_end(void) {
    return load_acquire(&background.state) == STOPPING ||
           option_get(OPTION_background) == BACKGROUND_OFF || is_alone();
}

static unsigned period_ms(void) {
    uint64_t half = option_get(OPTION_purge_delay) / 2;
    if (half < PERIOD_MIN_MS)
        return PERIOD_MIN_MS;
    return half > PERIOD_MAX_MS ? PERIOD_MAX_MS : (unsigned)half;
}

static bool is_allowed(void) { return option_get(OPTION_purge_delay) != OPTION_UNLIMITED; }

/* Gives back what was free for long. `quiet`: nothing has become free since the last time, so slabs
 * without an owner are not about to be used either. */
static void look(struct cache *self, bool quiet) {
    uint64_t before_ms = option_purge_before(os_clock_ms());
    cache_drain(self);
    cache_look(self);
    cache_purge_lent(self, false);
    if (quiet)
        cache_purge_shelves(self);
    large_purge_expired(before_ms);
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++)
        zone_purge_expired((enum zone_kind)kind, before_ms);
}

/* Until something becomes free. What did so just before is seen by the second look at the heap. */
static void sleep_until_woken(void) {
    exchange_seq_cst(&watch.asleep, 1);
    zone_look_soon();
    while (load_seq_cst(&watch.asleep) != 0) {
        if ((is_allowed() && something_waits()) || should_end())
            break;
        os_wait(&watch.asleep, 1);
    }
    exchange_seq_cst(&watch.asleep, 0);
}

static void work(struct cache *self) {
    unsigned looks = IDLE_LOOKS;
    while (!should_end()) {
        if (!is_allowed() || (looks == 0 && !something_waits())) {
            sleep_until_woken();
            looks = IDLE_LOOKS;
        } else {
            os_wait_for(&background.nap, 0, period_ms());
            looks = something_waits() ? IDLE_LOOKS : looks - 1;
            look(self, looks == 0);
        }
    }
}

static void *run(void *unused) {
    raw_syscall(SYS_prctl, PR_SET_NAME, (long)"slabmalloc", 0, 0, 0, 0);
    struct cache *cache = heap_borrow_cache();
    set_state(STARTING, RUNNING);
    if (cache == &cache_shared)
        heap_return_cache(cache); /* there is no memory for another: nor for this thread */
    else if (cache != NULL)
        work(cache);
    if (cache_is_live(cache_self))
        cache_destroy(cache_self);
    if (set_state(RUNNING, NONE)) {
        pthread_detach(pthread_self());
    } else {
        store_release(&background.state, ENDED);
        os_wake(&background.state, INT_MAX);
    }
    return unused;
}

/* --- starting and stopping -------------------------------------------------------------------- */

static bool is_in_handler(void) {
    uint64_t blocked = UINT64_MAX;
    long result = raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)&blocked, sizeof blocked, 0,
                              0);
    return syscall_failed(result) || blocked != 0;
}

static int create(void) {
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return error;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* which the new thread has from the start */
    error = pthread_create(&background.thread, &attributes, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static AT_START void start(void) {
    int saved = errno;
    if (!set_state(NONE, STARTING))
        return;
    store_relaxed(&background.process, os_process_id());
    store_relaxed(&background.nap, 0);
    if (create() != 0)
        store_release(&background.state, REFUSED); /* a sandbox, or no memory: not tried again */
    errno = saved;
}

void background_consider(void) {
    if (load_relaxed(&background.state) != NONE || !cache_is_live(cache_self) ||
        load_relaxed(&check_active) || !heap_is_set_up())
        return;
    bool wanted = option_get(OPTION_background) == BACKGROUND_ON ||
                  (option_get(OPTION_background) == BACKGROUND_LAZY && has_threads());
    if (wanted && load_relaxed(&account.held) >= BACKGROUND_MIN_BYTES && !is_in_handler())
        start();
}

void background_apply_option(void) {
    if (option_get(OPTION_background) == BACKGROUND_ON && !load_relaxed(&check_active)) {
        heap_set_up();
        start();
    }
    watch_note_growth();
    background_thread_ended();
}

void background_thread_ended(void) {
    watch_note_free(); /* if it naps, it soon looks anyway */
}

void background_after_fork(void) {
    store_relaxed(&background.state, NONE);
    store_relaxed(&watch.asleep, 0);
    store_relaxed(&watch.grown, 1); /* a large heap was inherited */
}

/* Not from a child of vfork, nor from the thread itself, which runs exit if it is the last one.
 * Somebody may exit from a handler that interrupted what holds a lock: hence the bound. */
AT_START void background_stop(void) {
    if (load_relaxed(&background.process) != os_process_id() || !set_state(RUNNING, STOPPING))
        return;
    if (pthread_equal(pthread_self(), background.thread))
        return;
    store_relaxed(&background.nap, 1);
    watch_wake();
    os_wake(&background.nap, 1);
    for (unsigned i = 0; i < STOP_WAITS && load_acquire(&background.state) != ENDED; i++)
        os_wait_for(&background.state, STOPPING, STOP_WAIT_MS);
    if (load_acquire(&background.state) == ENDED) {
        pthread_join(background.thread, NULL);
        store_release(&background.state, NONE);
    }
}
