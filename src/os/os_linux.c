/* Purpose: os.h on Linux.
 * Owns:    the page size, the fault-injection schedule, the cached number of each thread.
 * Source:  mmap(2), madvise(2), mremap(2), futex(2), getauxval(3). */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "base/syscall.h"
#include "os/log.h"
#include "os/os.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#ifndef SLM_MREMAP_MAYMOVE
#define SLM_MREMAP_MAYMOVE 1 /* MREMAP_MAYMOVE, which <sys/mman.h> hides behind _GNU_SOURCE */
#define SLM_MREMAP_FIXED 2   /* MREMAP_FIXED */
#endif

/* The largest page there may be. */
#if defined(__x86_64__)
enum { PROBE_BYTES = 4096 };
#else
enum { PROBE_BYTES = 65536 };
#endif

size_t os_page_bytes = 4096;

static struct {
    uint32_t calls;
    uint32_t skip;
    uint32_t count;
    uint32_t injected;
} faults;

void os_inject(unsigned calls, uint32_t skip, uint32_t count) {
    store_relaxed(&faults.calls, 0);
    store_relaxed(&faults.skip, skip);
    store_relaxed(&faults.count, count);
    store_relaxed(&faults.injected, 0);
    store_release(&faults.calls, calls);
}

uint32_t os_injected(void) { return load_relaxed(&faults.injected); }

/* In the torture build the calls whose failure must not show fail every now and then. */
enum { TORTURE_CALLS = OS_UNMAP | OS_PURGE | OS_REMAP, TORTURE_PERIOD = 5 };

static bool fails_in_torture(enum os_call call) {
    static uint32_t calls;
    return SLM_TORTURE && (call & TORTURE_CALLS) != 0 &&
           fetch_add_relaxed(&calls, 1) % TORTURE_PERIOD == TORTURE_PERIOD - 1;
}

static AT_START bool fails_by_schedule(enum os_call call) {
    if (LIKELY((load_acquire(&faults.calls) & call) == 0))
        return fails_in_torture(call);
    if ((int32_t)fetch_sub_relaxed(&faults.skip, 1) > 0)
        return false;
    if ((int32_t)fetch_sub_relaxed(&faults.count, 1) <= 0) {
        store_relaxed(&faults.calls, 0);
        return false;
    }
    fetch_add_relaxed(&faults.injected, 1);
    return true;
}

extern void *__curbrk __attribute__((weak)); /* glibc's: the break as it knows it */
static uintptr_t break_at_start;

AT_START void os_init(void) {
    unsigned long page_bytes = getauxval(AT_PAGESZ);
    if (is_power_of_two(page_bytes))
        os_page_bytes = page_bytes;
    if (break_at_start == 0)
        store_relaxed(&break_at_start, (uintptr_t)raw_syscall(SYS_brk, 0, 0, 0, 0, 0, 0));
}

bool os_is_libc_heap(uintptr_t address) {
    uintptr_t start = load_relaxed(&break_at_start);
    return &__curbrk != NULL && start != 0 && address >= start &&
           address < (uintptr_t)load_relaxed(&__curbrk);
}

#ifdef SLM_TSAN
/* The thread sanitizer must learn of a mapping, or it takes what a thread's stack at the same
 * address saw before for accesses to it. */
static long system_mmap(void *address, size_t bytes, int protection, int flags, int fd) {
    int saved = errno;
    void *result = mmap(address, bytes, protection, flags, fd, 0);
    int error = errno;
    errno = saved;
    return result == MAP_FAILED ? -error : (long)result;
}

/* So it must of what a mapping grows by: never in place, which it would not see. */
static long system_mremap(void *address, size_t old_bytes, size_t new_bytes, bool may_move) {
    if (new_bytes <= old_bytes)
        return raw_syscall(SYS_mremap, (long)address, (long)old_bytes, (long)new_bytes, 0, 0, 0);
    if (!may_move)
        return -ENOMEM;
    long target =
        system_mmap(NULL, new_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (syscall_failed(target))
        return target;
    long result = raw_syscall(SYS_mremap, (long)address, (long)old_bytes, (long)new_bytes,
                              SLM_MREMAP_MAYMOVE | SLM_MREMAP_FIXED, target, 0);
    if (syscall_failed(result))
        raw_syscall(SYS_munmap, target, (long)new_bytes, 0, 0, 0, 0);
    return result;
}
#else
static long system_mmap(void *address, size_t bytes, int protection, int flags, int fd) {
    return raw_syscall(SYS_mmap, (long)address, (long)bytes, protection, flags, fd, 0);
}

static long system_mremap(void *address, size_t old_bytes, size_t new_bytes, bool may_move) {
    return raw_syscall(SYS_mremap, (long)address, (long)old_bytes, (long)new_bytes,
                       may_move ? SLM_MREMAP_MAYMOVE : 0, 0, 0);
}
#endif

/* Has an event of the log recorded; none while nothing is logged. */
static COLD void log_now(enum log_kind kind, unsigned how, const void *address, size_t bytes,
                         bool has_locks) {
    struct log_block block = {kind, how, LOG_CLASS_NONE, (uintptr_t)address, bytes};
    log_memory(&block, has_locks);
}

static inline void note(enum log_kind kind, unsigned how, const void *address, size_t bytes) {
    if (log_is_on())
        log_now(kind, how, address, bytes, true);
}

/* Where no caller holds a lock. */
static inline void note_free(enum log_kind kind, unsigned how, const void *address, size_t bytes) {
    if (log_is_on())
        log_now(kind, how, address, bytes, false);
}

static void *map(size_t bytes, int protection, int flags, unsigned how) {
    long result = system_mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1);
    if (syscall_failed(result))
        return NULL;
    note(LOG_MAP, how, (void *)result, bytes);
    return (void *)result;
}

AT_START void *os_reserve(size_t bytes) {
    if (fails_by_schedule(OS_RESERVE))
        return NULL;
    return map(bytes, PROT_NONE, MAP_NORESERVE, LOG_MAP_RESERVE);
}

AT_START void *os_map(size_t bytes) {
    if (fails_by_schedule(OS_MAP))
        return NULL;
    /* Accounted like glibc's own: what the system could never back is refused, not killed later. */
    return map(bytes, PROT_READ | PROT_WRITE, 0, LOG_MAP_MEMORY);
}

void *os_map_file(int fd, size_t bytes) {
    long result = system_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    return syscall_failed(result) ? NULL : (void *)result;
}

AT_START bool os_commit(void *address, size_t bytes) {
    if (fails_by_schedule(OS_COMMIT) ||
        syscall_failed(raw_syscall(SYS_mprotect, (long)address, (long)bytes,
                                   PROT_READ | PROT_WRITE, 0, 0, 0)))
        return false;
    note(LOG_MAP, LOG_MAP_COMMIT, address, bytes);
    return true;
}

AT_START bool os_decommit(void *address, size_t bytes) {
    if (fails_by_schedule(OS_UNMAP))
        return false;
    note(LOG_UNMAP, LOG_UNMAP_DECOMMIT, address, bytes);
    return !syscall_failed(system_mmap(address, bytes, PROT_NONE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                                       -1));
}

/* Told before it is done: what is unmapped may be mapped by another thread at once. */
bool os_unmap(void *address, size_t bytes) {
    if (fails_by_schedule(OS_UNMAP))
        return false;
    note_free(LOG_UNMAP, LOG_UNMAP_MEMORY, address, bytes);
    return !syscall_failed(raw_syscall(SYS_munmap, (long)address, (long)bytes, 0, 0, 0, 0));
}

static bool drop(void *address, size_t bytes) {
    return !syscall_failed(
        raw_syscall(SYS_madvise, (long)address, (long)bytes, MADV_DONTNEED, 0, 0, 0));
}

/* Emulators have answered "done" and done nothing, and so may a filter that comes later (field case
 * D9): after each purge, or a few, it is tried out on a page of our own. A filter never goes away
 * again, so an honest answer now was one before. Threads may disturb one another here; the lie that
 * one then sees was none, and costs a memset. */
static bool drop_is_honest(void) {
    static unsigned char tried[PROBE_BYTES] __attribute__((aligned(PROBE_BYTES)));
    if (os_page_bytes > PROBE_BYTES)
        return false;
    store_relaxed(&tried[0], 1);
    return drop(tried, os_page_bytes) && load_relaxed(&tried[0]) == 0;
}

uint32_t os_populate(void *address, size_t bytes) {
    long result =
        raw_syscall(SYS_madvise, (long)address, (long)bytes, MADV_POPULATE_WRITE, 0, 0, 0);
    if (!syscall_failed(result))
        return 0;
    return result == -EFAULT ? ENOSPC : (uint32_t)-result;
}

AT_START void os_advise_huge(void *address, size_t bytes, bool wanted) {
    raw_syscall(SYS_madvise, (long)address, (long)bytes, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE,
                0, 0, 0);
}

bool os_discard(void *address, size_t bytes) {
    if (fails_by_schedule(OS_PURGE) || !drop(address, bytes))
        return false;
    note_free(LOG_PURGE, LOG_PURGE_DISCARD, address, bytes);
    return true;
}

void os_purge_runs(struct os_run *runs, unsigned count) {
    bool any = false;
    for (unsigned i = 0; i < count; i++) {
        void *address = (void *)runs[i].address;
        runs[i].is_zero = !fails_by_schedule(OS_PURGE) && drop(address, runs[i].bytes);
        any = any || runs[i].is_zero;
        if (runs[i].is_zero)
            note_free(LOG_PURGE, LOG_PURGE_PAGES, address, runs[i].bytes);
    }
    if (any && UNLIKELY(!drop_is_honest()))
        for (unsigned i = 0; i < count; i++)
            runs[i].is_zero = false;
}

bool os_purge(void *address, size_t bytes) {
    struct os_run run = {(uintptr_t)address, bytes, false};
    os_purge_runs(&run, 1);
    return run.is_zero;
}

void *os_remap(void *address, size_t old_bytes, size_t new_bytes, bool may_move) {
    if (fails_by_schedule(OS_REMAP))
        return NULL;
    long result = system_mremap(address, old_bytes, new_bytes, may_move);
    if (syscall_failed(result))
        return NULL;
    note_free(LOG_UNMAP, LOG_UNMAP_REMAP, address, old_bytes);
    note_free(LOG_MAP, LOG_MAP_REMAP, (void *)result, new_bytes);
    return (void *)result;
}

uint64_t os_clock_ms(void) {
    struct timespec now;
    /* libc's: answered by the vDSO without entering the kernel; it cannot fail for this clock. */
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

AT_START uint64_t os_address_limit(void) {
    struct {
        uint64_t current;
        uint64_t maximum;
    } limit;
    long result = raw_syscall(SYS_prlimit64, 0, RLIMIT_AS, 0, (long)&limit, 0, 0);
    return syscall_failed(result) ? UINT64_MAX : limit.current;
}

AT_START bool os_is_emulated(void) {
    int saved = errno; /* getauxval says by it that there is none */
    bool has_vdso = getauxval(AT_SYSINFO_EHDR) != 0;
    errno = saved;
    return !has_vdso;
}

void os_wait(uint32_t *word, uint32_t value) {
    raw_syscall(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, value, 0, 0, 0);
}

void os_wait_for(uint32_t *word, uint32_t value, unsigned milliseconds) {
    struct timespec time = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
    raw_syscall(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, value, (long)&time, 0, 0);
}

void os_wake(uint32_t *word, int waiters) {
    raw_syscall(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, waiters, 0, 0, 0);
}

AT_START uint32_t os_process_id(void) {
    return (uint32_t)raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

void os_start_random(uint64_t words[2]) {
    const void *random = (const void *)getauxval(AT_RANDOM); /* aligned to nothing */
    memset(words, 0, 2 * sizeof *words);
    if (random != NULL)
        memcpy(words, random, 2 * sizeof *words);
}

static __thread uint32_t thread_number __attribute__((tls_model("initial-exec")));

uint32_t os_thread_number(void) {
    if (thread_number == 0)
        thread_number = (uint32_t)raw_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);
    return thread_number;
}

void os_forget_thread_number(void) { thread_number = 0; }
