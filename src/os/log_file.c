/* Purpose: log.h: where the ring comes from.
 * Owns:    what a log is opened with, for children too; the mapping.
 *
 * No descriptor stays open: daemons close all there are, and sandboxes allow no new ones. The whole
 * ring is mapped at once.
 *
 * The name without a process id belongs to the process that the user started. A file PATH.PID is
 * made first, and gets the name PATH when it is complete, unless a living process logs there: a
 * program that ours has started has the same options. Forked children stay with PATH.PID. A file
 * that was there before is never written into: it is replaced, if it is a log or empty, and whoever
 * still has it mapped keeps it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/bits.h"
#include "base/format.h"
#include "base/syscall.h"
#include "os/log.h"
#include "os/file.h"
#include "os/metadata.h"

enum { CAPACITY_MIN = 2048, MEMORY_CAPACITY = 8192, PATH_BYTES = 4608, ADDRESS_LIMIT_PART = 8 };

static struct {
    char path[PATH_BYTES]; /* absolute, as it was given; empty: memory */
    bool has_process_id;   /* the path does */
    char own[PATH_BYTES], shared[PATH_BYTES]; /* of whoever opens: not on a thread's small stack */
    uint64_t capacity;
    struct log_header about;
    void *mapping;
    size_t mapped_bytes;
    uint32_t is_opening;
} opened;

static long system_call(long number, long a, long b, long c, long d) {
    return raw_syscall(number, a, b, c, d, 0, 0);
}

static int open_file(const char *path, int flags) {
    return file_open(path, flags | O_NOFOLLOW, 0600);
}

static void remove_file(const char *path) {
    system_call(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0);
}

/* --- names ------------------------------------------------------------------------------------ */

/* What "%p" stands for is put in, or, `adds_id`, added after a point. Ended by 0. */
static bool expand(struct text *text, bool adds_id) {
    unsigned process = os_process_id();
    text_expand(text, opened.path, "p", &process);
    if (adds_id)
        text_format(text, ".%u", process);
    text_format(text, "%c", 0);
    return text->bytes[text->used - 1] == 0;
}

/* The present directory may be another one when a child opens its own. */
static int keep_path(const char *path) {
    size_t used = 0;
    if (path[0] != '/') {
        long length = system_call(SYS_getcwd, (long)opened.path, PATH_BYTES / 2, 0, 0);
        if (syscall_failed(length))
            return (int)-length;
        if (opened.path[0] != '/')
            return ENOENT;
        used = (size_t)length - 1;
        opened.path[used++] = '/';
    }
    size_t length = strlen(path);
    if (length >= PATH_BYTES - used)
        return ENAMETOOLONG;
    memcpy(opened.path + used, path, length + 1);
    opened.has_process_id = strstr(path, "%p") != NULL;
    return 0;
}

/* --- other processes -------------------------------------------------------------------------- */

/* When a process was started, in ticks of the system's clock; 0: it is gone, or /proc is not there.
 * The fields follow the program's name in parentheses, which may itself contain any. */
static uint64_t start_of_process(uint32_t process) {
    enum { STATE_FIELD = 3, START_FIELD = 22 };
    char stat[512];
    TEXT(path, 32);
    text_format(&path, "/proc/%u/stat%c", process, 0);
    int fd = open_file(path.bytes, O_RDONLY);
    long length = fd >= 0 ? system_call(SYS_read, fd, (long)stat, sizeof stat - 1, 0) : -1;
    if (fd >= 0)
        file_close(fd);
    if (length <= 0)
        return 0;
    stat[length] = 0;
    const char *at = strrchr(stat, ')');
    if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return 0;
    at += 2;
    for (unsigned field = STATE_FIELD; field < START_FIELD && *at != 0; at++)
        field += *at == ' ';
    uint64_t start = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        start = start * 10 + (unsigned)(*at - '0');
    return start;
}

/* Whether the process that began a log, not this one, still runs. */
static bool is_in_use(const struct log_header *header) {
    if (header->process == os_process_id())
        return false; /* what this process was before exec */
    if (start_of_process(os_process_id()) != 0)
        return header->process_start != 0 &&
               start_of_process(header->process) == header->process_start;
    long result = system_call(SYS_kill, header->process, 0, 0, 0);
    return result == 0 || result == -EPERM;
}

/* --- files ------------------------------------------------------------------------------------ */

/* Whether a file of that name may be made: 0: there is none; EEXIST: there is one to be replaced;
 * EBUSY: another process logs there; else why not. */
static int examine(const char *path) {
    struct log_header header = {.version = 0};
    struct stat stat;
    int fd = open_file(path, O_RDONLY | O_NONBLOCK);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd == -ELOOP ? LOG_IS_NO_FILE : -fd;
    bool is_file = !syscall_failed(system_call(SYS_fstat, fd, (long)&stat, 0, 0)) &&
                   S_ISREG(stat.st_mode);
    long length = is_file ? system_call(SYS_read, fd, (long)&header, sizeof header, 0) : 0;
    file_close(fd);
    if (!is_file)
        return LOG_IS_NO_FILE;
    if (length == 0)
        return EEXIST;
    if (length < (long)sizeof header || memcmp(header.magic, LOG_MAGIC, sizeof header.magic) != 0)
        return LOG_IS_OTHERS;
    return is_in_use(&header) ? EBUSY : EEXIST;
}

/* Gives a complete file the name without a process id. */
static int rename_complete(const char *own, const char *path) {
    enum { TRIES = 4 };
    int found = 0;
    for (unsigned tries = 0; tries < TRIES; tries++) {
        found = examine(path);
        if (found == EBUSY)
            return 0;
        if (found != 0 && found != EEXIST)
            return found;
        long result = raw_syscall(SYS_renameat2, AT_FDCWD, (long)own, AT_FDCWD, (long)path,
                                  found == 0 ? RENAME_NOREPLACE : 0, 0);
        if (result == -EINVAL || result == -ENOSYS) /* not every file system knows the flag */
            result = raw_syscall(SYS_renameat2, AT_FDCWD, (long)own, AT_FDCWD, (long)path, 0, 0);
        if (!syscall_failed(result))
            return 0;
        found = (int)-result;
    }
    return found;
}

static uint64_t file_size_limit(void) {
    struct {
        uint64_t current;
        uint64_t maximum;
    } limit;
    long result = system_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit);
    return syscall_failed(result) ? UINT64_MAX : limit.current;
}

static size_t bytes_of(uint64_t capacity) {
    return round_up(LOG_HEADER_BYTES + capacity * sizeof(struct log_record), os_page_bytes);
}

/* Makes memory for the header present, and where the kernel can't do that (before Linux 5.14) takes
 * disk space for all of the file. */
static int make_present(int fd, void *header, size_t bytes, bool *all) {
    uint32_t error = os_populate(header, round_up(LOG_HEADER_BYTES, os_page_bytes));
    *all = error == EINVAL;
    if (!*all)
        return (int)error;
    long result = system_call(SYS_fallocate, fd, 0, 0, (long)bytes);
    return syscall_failed(result) ? (int)-result : 0;
}

/* Sizes and maps the file, as large as is wanted and allowed. */
static int map_file(int fd, uint64_t *capacity, bool *all) {
    uint64_t file_limit = file_size_limit();
    uint64_t address_limit = os_address_limit() / ADDRESS_LIMIT_PART;
    int error = EFBIG;
    for (; *capacity >= CAPACITY_MIN; *capacity /= 2) {
        size_t bytes = bytes_of(*capacity);
        if (bytes > file_limit || bytes > address_limit)
            continue;
        long result = system_call(SYS_ftruncate, fd, (long)bytes, 0, 0);
        if (syscall_failed(result))
            return (int)-result;
        error = ENOMEM;
        void *mapping = os_map_file(fd, bytes);
        if (mapping == NULL)
            continue;
        opened.mapping = mapping;
        opened.mapped_bytes = bytes;
        return make_present(fd, mapping, bytes, all);
    }
    return error;
}

/* --- rings ------------------------------------------------------------------------------------ */

static void unmap_file(void) {
    if (opened.path[0] == 0 || opened.mapping == NULL)
        return;
    system_call(SYS_munmap, (long)opened.mapping, (long)opened.mapped_bytes, 0, 0);
    opened.mapping = NULL;
}

static uint64_t read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void fill_header(struct log_header *header, uint64_t capacity) {
    *header = opened.about;
    header->version = LOG_VERSION;
    header->header_bytes = LOG_HEADER_BYTES;
    header->record_bytes = sizeof(struct log_record);
    header->page_bytes = (uint32_t)os_page_bytes;
    header->capacity = capacity;
    header->start_monotonic_ns = read_clock(CLOCK_MONOTONIC);
    header->start_realtime_ns = read_clock(CLOCK_REALTIME);
    header->process = os_process_id();
    header->parent = (uint32_t)system_call(SYS_getppid, 0, 0, 0, 0);
    header->process_start = start_of_process(header->process);
    header->kinds = load_relaxed(&log_filter.kinds);
    header->thread = load_relaxed(&log_filter.thread);
    header->least_bytes = load_relaxed(&log_filter.least_bytes);
    header->most_bytes = load_relaxed(&log_filter.most_bytes);
    system_call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/exe", (long)header->program,
                LOG_PROGRAM_BYTES - 1);
    memcpy(header->magic, LOG_MAGIC, sizeof header->magic);
    store_relaxed(&log_last_ns, header->start_monotonic_ns);
}

/* From here on others may record. */
static int publish(struct log_ring *ring, uint64_t capacity, uint64_t ready) {
    struct log_header *header = opened.mapping;
    ring->records = (struct log_record *)((uintptr_t)opened.mapping + LOG_HEADER_BYTES);
    ring->capacity = capacity;
    ring->shift = bit_highest(capacity);
    ring->ready = ready;
    int error = (int)log_make_room(ring, 1);
    if (error == 0)
        store_release(&ring->header, header);
    return error;
}

/* A forked child uses its copy again. */
static int open_memory(struct log_ring *ring) {
    if (opened.mapping == NULL)
        opened.mapping = metadata_alloc(bytes_of(MEMORY_CAPACITY));
    if (opened.mapping == NULL)
        return ENOMEM;
    memset(opened.mapping, 0, bytes_of(MEMORY_CAPACITY));
    fill_header(opened.mapping, MEMORY_CAPACITY);
    return publish(ring, MEMORY_CAPACITY, UINT64_MAX);
}

static int fill_file(int fd, struct log_ring *ring, const char *own, const char *path) {
    uint64_t capacity = opened.capacity;
    bool all = false;
    int error = map_file(fd, &capacity, &all);
    if (error != 0)
        return error;
    fill_header(opened.mapping, capacity);
    error = path != NULL ? rename_complete(own, path) : 0;
    return error != 0 ? error : publish(ring, capacity, all ? UINT64_MAX : 0);
}

static int open_ring(struct log_ring *ring, bool is_child) {
    bool is_shared_name = !is_child && !opened.has_process_id;
    struct text own = {opened.own, 0, PATH_BYTES};
    struct text path = {opened.shared, 0, PATH_BYTES};
    if (opened.path[0] == 0)
        return open_memory(ring);
    if (!expand(&own, !opened.has_process_id) || !expand(&path, false))
        return ENAMETOOLONG;
    int found = is_shared_name ? examine(path.bytes) : 0;
    if (found == 0 || found == EEXIST || found == EBUSY)
        found = examine(own.bytes);
    if (found != 0 && found != EEXIST)
        return found;
    if (found == EEXIST)
        remove_file(own.bytes);
    int fd = open_file(own.bytes, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return -fd;
    int error = fill_file(fd, ring, own.bytes, is_shared_name ? path.bytes : NULL);
    file_close(fd);
    if (error != 0) {
        unmap_file();
        remove_file(own.bytes);
    }
    return error;
}

int log_start(const char *path, uint64_t bytes, const struct log_header *about) {
    int error = path != NULL ? keep_path(path) : 0;
    opened.about = *about;
    opened.capacity = (uint64_t)1 << bit_highest(bytes / sizeof(struct log_record));
    struct log_ring *ring = os_map(os_page_bytes);
    if (error == 0 && ring == NULL)
        error = ENOMEM;
    if (error == 0)
        error = open_ring(ring, false);
    if (error != 0)
        return error;
    /* Where the kernel can't, log_after_fork does it, for all forks but libc's own system call. */
    system_call(SYS_madvise, (long)ring, (long)os_page_bytes, MADV_WIPEONFORK, 0);
    log_ring = ring;
    store_release(&log_active, 1);
    return 0;
}

bool log_open_again(void) {
    uint32_t nobody = 0;
    if (!cas_acquire(&opened.is_opening, &nobody, 1))
        return false;
    if (load_acquire(&log_ring->header) == NULL) {
        os_forget_thread_number(); /* of a fork that no handler has heard of */
        unmap_file();
        if (open_ring(log_ring, true) != 0)
            store_release(&log_active, 0); /* quietly: who knows what standard error is by now */
    }
    store_release(&opened.is_opening, 0);
    return log_is_on();
}

void log_after_fork(void) {
    if (!log_is_on())
        return;
    *log_ring = (struct log_ring){0};
    store_relaxed(&opened.is_opening, 0);
}
