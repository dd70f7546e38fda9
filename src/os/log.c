/* Purpose: log.h: recording. */
#include "os/log.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "base/bits.h"
#include "base/syscall.h"
#include "os/lock.h"

/* Room is made for as many records as there are, within these bounds, and for so many before it is
 * needed: for those that may not make it. */
enum { BATCH_MIN = 1024, BATCH_MAX = 32768, AHEAD = 512 };

static struct log_ring no_ring;

uint32_t log_active;
struct log_filter log_filter;
struct log_ring *log_ring = &no_ring;
uint64_t log_last_ns;

static uint32_t complaint;

/* Has the reason told by log_take_complaint. */
static void stop(uint32_t error) {
    struct log_header *header = load_acquire(&log_ring->header);
    if (exchange_acq_rel(&log_active, 0) == 0)
        return;
    if (header != NULL)
        store_relaxed(&header->stopped, error);
    store_release(&complaint, error);
}

uint32_t log_take_complaint(void) {
    return LIKELY(load_relaxed(&complaint) == 0) ? 0 : exchange_acq_rel(&complaint, 0);
}

/* libc's clock, answered by the vDSO without entering the kernel. */
static uint64_t read_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    store_relaxed(&log_last_ns, ns);
    return ns;
}

/* --- room ------------------------------------------------------------------------------------- */

static uint64_t next_batch(const struct log_ring *ring, uint64_t ready) {
    uint64_t batch = ready < BATCH_MIN ? BATCH_MIN : ready > BATCH_MAX ? BATCH_MAX : ready;
    return ready + batch < ring->capacity ? ready + batch : ring->capacity;
}

/* Threads may do the same at once. */
uint32_t log_make_room(struct log_ring *ring, uint64_t upto) {
    uint64_t ready = load_acquire(&ring->ready);
    while (ready < upto) {
        uintptr_t from = round_down((uintptr_t)&ring->records[ready], os_page_bytes);
        uint64_t next = next_batch(ring, ready);
        uintptr_t end = round_up((uintptr_t)&ring->records[next], os_page_bytes);
        uint32_t error = os_populate((void *)from, end - from);
        if (error == EINTR || error == EAGAIN)
            continue;
        if (error != 0)
            return error;
        if (next == ring->capacity)
            next = UINT64_MAX;
        if (cas_acq_rel(&ring->ready, &ready, next))
            ready = next;
    }
    return 0;
}

static COLD bool has_room_after_all(struct log_ring *ring, uint64_t upto) {
    uint32_t error = log_make_room(ring, upto);
    if (error != 0)
        stop(error);
    return error == 0;
}

/* --- records ---------------------------------------------------------------------------------- */

/* Takes `count` positions. A thread that is alone needs no atomic instruction: at worst it writes
 * over what a signal handler in between has logged. */
static uint64_t take_positions(struct log_header *header, unsigned count) {
    if (!lock_is_alone())
        return fetch_add_relaxed(&header->next, count);
    uint64_t position = load_relaxed(&header->next);
    store_relaxed(&header->next, position + count);
    return position;
}

static struct log_record *record_at(const struct log_ring *ring, uint64_t position) {
    return &ring->records[position & (ring->capacity - 1)];
}

static uint32_t lap_of(const struct log_ring *ring, uint64_t position) {
    return (uint32_t)(position >> ring->shift) << 24;
}

static bool is_of_lap(uint32_t what, uint32_t lap) { return ((what ^ lap) >> 24) == 0; }

/* Records of 128 laps before are taken for newer ones: by who was stopped for so long. */
static bool is_newer(uint32_t what, uint32_t lap) {
    return (int32_t)((what & ~0xffffffU) - lap) > 0;
}

static bool is_busy(uint32_t what) { return (what & (0xff | LOG_BUSY)) == LOG_BUSY; }

static bool replace(uint32_t *what, uint32_t *seen, uint32_t with) {
    if (!lock_is_alone())
        return cas_acq_rel(what, seen, with);
    uint32_t before = *seen;
    *seen = load_relaxed(what);
    if (*seen == before)
        store_release(what, with);
    return *seen == before;
}

bool log_claim(struct log_ring *ring, uint64_t position) {
    uint32_t *what = &record_at(ring, position)->what;
    uint32_t lap = lap_of(ring, position), seen = load_relaxed(what);
    while (seen == LOG_NONE || !is_newer(seen, lap)) {
        bool busy = is_busy(seen);
        if (replace(what, &seen, lap | LOG_BUSY | (busy ? LOG_PASSED : 0)))
            return !busy;
    }
    return false;
}

void log_finish(struct log_ring *ring, uint64_t position, uint32_t what) {
    struct log_record *record = record_at(ring, position);
    uint32_t lap = lap_of(ring, position), seen = lap | LOG_BUSY;
    while (!replace(&record->what, &seen, lap | what)) {
        lap = seen & ~0xffffffU;
        what = LOG_PASSED;
    }
}

static void fill(struct log_ring *ring, uint64_t position, uint64_t time_ns,
                 const struct log_block *block) {
    struct log_record *record = record_at(ring, position);
    store_release(&record->time_ns, time_ns); /* seen after the claim */
    store_release(&record->address, block->address);
    store_release(&record->bytes, block->bytes);
    store_release(&record->thread, os_thread_number());
    log_finish(ring, position, (uint32_t)block->kind | block->how << 8 | block->cls << 16);
}

/* False: not there, but at positions to be taken anew. */
static bool write_records(struct log_ring *ring, uint64_t position, uint64_t time_ns,
                          const struct log_block *from, const struct log_block *block) {
    if (!log_claim(ring, position))
        return false;
    if (from != NULL && !log_claim(ring, position + 1)) {
        log_finish(ring, position, LOG_PASSED);
        return false;
    }
    if (from != NULL)
        fill(ring, position++, time_ns, from);
    fill(ring, position, time_ns, block);
    return true;
}

bool log_read(const struct log_ring *ring, uint64_t position, struct log_record *record) {
    const struct log_record *there = record_at(ring, position);
    record->what = load_acquire(&there->what);
    record->time_ns = load_acquire(&there->time_ns);
    record->address = load_acquire(&there->address);
    record->bytes = load_acquire(&there->bytes);
    record->thread = load_acquire(&there->thread);
    return log_kind_of(record) != LOG_NONE && load_relaxed(&there->what) == record->what &&
           is_of_lap(record->what, lap_of(ring, position));
}

bool log_is_passed(const struct log_ring *ring, uint64_t position) {
    uint32_t what = load_acquire(&record_at(ring, position)->what);
    return (what & (0xff | LOG_PASSED)) == LOG_PASSED && is_of_lap(what, lap_of(ring, position));
}

static bool wants(const struct log_block *block) {
    if (!(load_relaxed(&log_filter.kinds) >> block->kind & 1))
        return false;
    uint32_t thread = load_relaxed(&log_filter.thread);
    return thread == 0 || thread == os_thread_number();
}

static bool wants_bytes(size_t bytes) {
    return bytes >= load_relaxed(&log_filter.least_bytes) &&
           bytes <= load_relaxed(&log_filter.most_bytes);
}

/* The ring's header, or NULL: this is a forked child's first event. */
static struct log_header *open_header(void) {
    struct log_header *header = load_acquire(&log_ring->header);
    if (UNLIKELY(header == NULL) && log_open_again())
        header = load_acquire(&log_ring->header);
    return header;
}

void log_call(const struct log_block *from, const struct log_block *block) {
    if (!wants(block) || !(wants_bytes(block->bytes) || (from != NULL && wants_bytes(from->bytes))))
        return;
    struct log_header *header = open_header();
    struct log_ring *ring = log_ring;
    if (UNLIKELY(header == NULL))
        return;
    uint64_t now = read_clock();
    uint64_t position;
    do {
        position = take_positions(header, from != NULL ? 2 : 1);
        if (UNLIKELY(position + AHEAD > load_relaxed(&ring->ready)) &&
            !has_room_after_all(ring, position + AHEAD))
            return;
    } while (UNLIKELY(!write_records(ring, position, now, from, block)));
}

void log_memory(const struct log_block *block, bool has_locks) {
    struct log_ring *ring = log_ring;
    struct log_header *header = load_acquire(&ring->header);
    if (!wants(block) || header == NULL)
        return;
    uint64_t now = has_locks ? load_relaxed(&log_last_ns) : read_clock();
    if (UNLIKELY(load_relaxed(&header->next) + AHEAD / 2 > load_relaxed(&ring->ready))) {
        fetch_add_relaxed(&header->dropped, 1); /* many at once: the next call makes room */
        return;
    }
    uint64_t position;
    do {
        position = take_positions(header, 1);
    } while (position < load_relaxed(&ring->ready) &&
             UNLIKELY(!write_records(ring, position, now, NULL, block)));
}
