/* Purpose: the log of events: what the program asked of the heap, and the heap of the system, as
 *          records of 32 bytes in a ring. docs/log.md has the format.
 * Owns:    the ring: a file that is mapped and shared, so that nothing is lost with the process, or
 *          memory of which lines of text are made.
 * Locking: none. A position in the ring is taken by one atomic addition, and the record there is
 *          claimed, filled in and finished by its last word. Nobody writes over anybody, though
 *          others fill all of the ring meanwhile: who comes to a record that is being written, or
 *          was written by a later one, passes it over and takes another position.
 *
 * The layers below record, and know no more than numbers; what they mean (check/log.c) and how they
 * are told (check/log_lines.c) is known above. While nothing is logged, the price is the test of
 * `log_active`, on slow ways only: calls come here from check/ and around system calls.
 *
 * Two kinds of callers. Those that hold no lock of ours (log_call, and of log_memory those where
 * os.h says so) read the clock, and provide for room: the file is sparse, and its pages are made
 * present ahead of use by a system call that fails where the disk is full, instead of the SIGBUS of
 * an access. Those that may hold one do neither: they take the time of the event before.
 *
 * A forked child finds no ring: what names it lies in a page that the kernel clears for children.
 * It opens its own when it first has an event. */
#ifndef SLM_OS_LOG_H
#define SLM_OS_LOG_H

#include "base/atomic.h"
#include "os/os.h"

enum log_kind {
    LOG_NONE, /* no record: `what` is 0, or lap and the flags below */
    LOG_ALLOCATE,
    LOG_FREE,
    LOG_REALLOC_FROM, /* the first half, which is no event of its own */
    LOG_REALLOC,
    LOG_MAP,
    LOG_UNMAP,
    LOG_PURGE,
    LOG_SLAB,
    LOG_KINDS
};

/* Bits in `what`, of LOG_NONE. LOG_PASSED: the position of this lap has no event. Both: the record
 * is still that of an earlier lap, being written. */
enum { LOG_BUSY = 0x100, LOG_PASSED = 0x200 };

/* `how` of a record: of blocks, enum call; else one of these. */
enum { LOG_MAP_MEMORY, LOG_MAP_RESERVE, LOG_MAP_COMMIT, LOG_MAP_REMAP };
enum { LOG_UNMAP_MEMORY, LOG_UNMAP_DECOMMIT = 2, LOG_UNMAP_REMAP };
enum { LOG_PURGE_PAGES, LOG_PURGE_DISCARD };
enum { LOG_SLAB_TAKEN, LOG_SLAB_RELEASED };

/* `cls` of a record: a size class, or one of these. */
enum { LOG_CLASS_EMPTY = 253, LOG_CLASS_LARGE = 254, LOG_CLASS_NONE = 255 };

struct log_record {
    uint64_t time_ns; /* CLOCK_MONOTONIC */
    uint64_t address;
    uint64_t bytes;
    uint32_t thread; /* gettid(2) */
    uint32_t what;   /* kind, how, cls, lap: a byte each, lowest first; written last */
};

_Static_assert(sizeof(struct log_record) == 32, "a power of two");

enum { LOG_CLASSES_MAX = 96, LOG_CALLS_MAX = 32, LOG_NAME_BYTES = 32, LOG_PROGRAM_BYTES = 128 };

struct log_header {
    char magic[8]; /* LOG_MAGIC */
    uint32_t version;
    uint32_t header_bytes; /* where the records begin */
    uint32_t record_bytes;
    uint32_t page_bytes;
    uint64_t capacity; /* records; a power of two */
    uint64_t next;     /* how many positions were taken; shared by all threads */
    uint64_t start_monotonic_ns;
    uint64_t start_realtime_ns;
    uint32_t process;
    uint32_t parent;
    uint64_t process_start; /* field 22 of /proc/PID/stat; 0: not known */
    uint32_t stopped;       /* the error number for which logging stopped */
    uint32_t tiny_classes;
    uint32_t classes;
    uint32_t calls;
    uint64_t dropped; /* events that got no position */
    uint32_t kinds;   /* a bit for each kind that is logged */
    uint32_t thread;
    uint64_t least_bytes, most_bytes;
    uint64_t unused;
    char program[LOG_PROGRAM_BYTES];
    uint32_t slot_bytes[LOG_CLASSES_MAX];
    char call_names[LOG_CALLS_MAX][LOG_NAME_BYTES];
};

#define LOG_MAGIC "SLMLOG1\n"
enum { LOG_VERSION = 2, LOG_HEADER_BYTES = 4096 };

_Static_assert(sizeof(struct log_header) == 640 + LOG_CALLS_MAX * LOG_NAME_BYTES &&
                   sizeof(struct log_header) <= LOG_HEADER_BYTES,
               "as documented");

/* What is logged; may change at any time. */
struct log_filter {
    uint32_t kinds;  /* a bit for each kind */
    uint32_t thread; /* 0: all */
    uint64_t least_bytes, most_bytes; /* of blocks */
};

/* The ring in use; all zero in a forked child, where the kernel clears it. */
struct log_ring {
    struct log_header *header; /* NULL: none; written last */
    struct log_record *records;
    uint64_t capacity;
    uint64_t ready; /* positions below it have memory; UINT64_MAX: all */
    uint32_t shift; /* of the capacity */
    uintptr_t teller; /* the thread that makes lines of them; 0: none */
    uint64_t told;    /* positions of which lines were made */
};

extern uint32_t log_active HIDDEN;
extern struct log_filter log_filter HIDDEN;
extern struct log_ring *log_ring HIDDEN;
extern uint64_t log_last_ns HIDDEN; /* the time of the latest event that read the clock */

static inline bool log_is_on(void) { return UNLIKELY(load_relaxed(&log_active) != 0); }

/* --- log_file.c: opening ---------------------------------------------------------------------- */

/* Why a log can't be opened, beside error numbers. */
enum { LOG_IS_NO_FILE = -1, LOG_IS_OTHERS = -2 };

/* Begins to log, into a file of at most so many bytes of records, or, if `path` is NULL, into
 * memory. `about` gives the header's part on classes and calls. The path is copied; "%p" in it
 * stands for the process id. 0, an error number or one of the above. */
int log_start(const char *path, uint64_t bytes, const struct log_header *about);

/* In a forked child, which has no log yet. False: it gets none. */
bool log_open_again(void);

/* In a forked child. */
void log_after_fork(void);

/* --- log.c: recording ------------------------------------------------------------------------- */

/* A call of the program about a block; `from` NULL, or the first half of a realloc, whose fields
 * beside these four are filled in. With no lock held. */
struct log_block {
    enum log_kind kind;
    unsigned how;
    unsigned cls;
    uintptr_t address;
    size_t bytes;
};
void log_call(const struct log_block *from, const struct log_block *block);

/* What becomes of memory. `has_locks`: the caller may hold some. */
void log_memory(const struct log_block *block, bool has_locks);

/* Makes pages of the file present and writable for positions up to that one; that takes disk space.
 * 0, or an error number. */
uint32_t log_make_room(struct log_ring *ring, uint64_t upto);

/* The error number for which logging has stopped, once; else 0. */
uint32_t log_take_complaint(void);

/* Of a position that was taken: whether its record may be written. If not, it is passed over. */
bool log_claim(struct log_ring *ring, uint64_t position);

/* Ends what was claimed, by kind, how and cls of `what`, or by LOG_PASSED. */
void log_finish(struct log_ring *ring, uint64_t position, uint32_t what);

/* The record of a position; false: it is not there (yet, or any more). */
bool log_read(const struct log_ring *ring, uint64_t position, struct log_record *record);

/* Whether there will be none. */
bool log_is_passed(const struct log_ring *ring, uint64_t position);

static inline unsigned log_kind_of(const struct log_record *record) { return record->what & 0xff; }
static inline unsigned log_how_of(const struct log_record *record) {
    return record->what >> 8 & 0xff;
}
static inline unsigned log_class_of(const struct log_record *record) {
    return record->what >> 16 & 0xff;
}

#endif
