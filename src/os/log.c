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

static void write_record(struct log_ring *ring, uint64_t position, uint64_t time_ns,
                         const struct log_block *block) {
    struct log_record *record = &ring->records[position & (ring->capacity - 1)];
    uint32_t lap = (uint32_t)(position >> ring->shift) & 0xff;
    uint32_t what = (uint32_t)block->kind | block->how << 8 | block->cls << 16 | lap << 24;
    store_relaxed(&record->what, LOG_NONE); /* seen before any of the rest */
    store_release(&record->time_ns, time_ns);
    store_release(&record->address, block->address);
    store_release(&record->bytes, block->bytes);
    store_release(&record->thread, os_thread_number());
    store_release(&record->what, what);
}

bool log_read(const struct log_ring *ring, uint64_t position, struct log_record *record) {
    const struct log_record *there = &ring->records[position & (ring->capacity - 1)];
    record->what = load_acquire(&there->what);
    record->time_ns = load_acquire(&there->time_ns);
    record->address = load_acquire(&there->address);
    record->bytes = load_acquire(&there->bytes);
    record->thread = load_acquire(&there->thread);
    return log_kind_of(record) != LOG_NONE && load_relaxed(&there->what) == record->what &&
           record->what >> 24 == ((position >> ring->shift) & 0xff);
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
    uint64_t position = take_positions(header, from != NULL ? 2 : 1);
    if (UNLIKELY(position + AHEAD > load_relaxed(&ring->ready)) &&
        !has_room_after_all(ring, position + AHEAD))
        return;
    if (from != NULL)
        write_record(ring, position++, now, from);
    write_record(ring, position, now, block);
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
    uint64_t position = take_positions(header, 1);
    if (LIKELY(position < load_relaxed(&ring->ready)))
        write_record(ring, position, now, block);
}
