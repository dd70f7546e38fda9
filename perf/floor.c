/* Purpose: how little any allocator could hold while a program runs, from below: glibc's malloc,
 *          counted. Preloaded by perf/floor, which says what the figure means.
 *
 * At new peaks of the live bytes, before large blocks are freed, and now and then: the resident
 * set, less what glibc has from the system, plus what the live blocks need at a multiple of 16
 * bytes each without a header. Whatever of glibc's memory is not live is taken for resident, so the
 * figure may be too low, never too high. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

/* A new peak: this much above the last one, and a part of it. */
enum { STEP = 1 << 16, STEP_PART = 64 };
/* A look also before a block of so many bytes is freed, and at one of so many frees. */
enum { LARGE = 1 << 18, LOOK_EVERY = 1 << 13 };

static _Atomic size_t live, next_peak = STEP;
static atomic_flag is_sampling = ATOMIC_FLAG_INIT;
static pid_t process;
static long floor_most;

static long resident(void) {
    char text[64] = "";
    long total = 0, pages = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    if (got <= 0 || sscanf(text, "%ld %ld", &total, &pages) != 2)
        return 0;
    return pages * sysconf(_SC_PAGESIZE);
}

static void record(void) {
    const char *folder = getenv("PERF_FLOOR");
    char path[4096], text[32];
    if (folder == NULL)
        return;
    snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    int length = snprintf(text, sizeof text, "%ld\n", floor_most);
    if (write(file, text, (size_t)length) != length)
        abort();
    close(file);
}

static void sample(void) {
    int saved = errno;
    if (atomic_flag_test_and_set(&is_sampling))
        return;
    if (process != getpid()) {
        process = getpid();
        floor_most = 0;
    }
    size_t now = live;
    if (now > next_peak)
        next_peak = now + now / STEP_PART + STEP;
    struct mallinfo2 info = mallinfo2();
    long least = resident() - (long)(info.arena + info.hblkhd) + (long)now;
    if (least > floor_most) {
        floor_most = least;
        record();
    }
    atomic_flag_clear(&is_sampling);
    errno = saved;
}

/* From the word before a block: its chunk's size and three flags, the second of which says that it
 * is a mapping of its own. glibc's function is not asked, for a library in between may have another
 * of that name. */
size_t malloc_usable_size(void *block) {
    enum { FLAGS = 7, IS_MAPPED = 2, HEADER = 8 };
    if (block == NULL)
        return 0;
    size_t word = ((const size_t *)block)[-1];
    return (word & ~(size_t)FLAGS) - (word & IS_MAPPED ? 2 * HEADER : HEADER);
}

/* The request may have left 15 bytes of that unused: at a multiple of 16 bytes without a header, it
 * takes 8 fewer at least. */
static size_t needed(void *block) { return malloc_usable_size(block) - 8; }

static void *count(void *block) {
    if (block != NULL && (live += needed(block)) > next_peak)
        sample();
    return block;
}

void *malloc(size_t bytes) { return count(__libc_malloc(bytes)); }
void *calloc(size_t n, size_t bytes) { return count(__libc_calloc(n, bytes)); }
void *memalign(size_t alignment, size_t bytes) { return count(__libc_memalign(alignment, bytes)); }
void *aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
void *valloc(size_t bytes) { return memalign((size_t)sysconf(_SC_PAGESIZE), bytes); }

int posix_memalign(void **result, size_t alignment, size_t bytes) {
    void *block = memalign(alignment, bytes);
    if (block == NULL)
        return ENOMEM;
    *result = block;
    return 0;
}

void free(void *block) {
    if (block == NULL)
        return;
    static _Thread_local unsigned frees;
    if (needed(block) >= LARGE || ++frees % LOOK_EVERY == 0)
        sample();
    live -= needed(block);
    __libc_free(block);
}

void *realloc(void *block, size_t bytes) {
    size_t before = block != NULL ? needed(block) : 0;
    void *resized = __libc_realloc(block, bytes);
    if (resized != NULL || bytes == 0)
        live -= before;
    return count(resized);
}

/* For programs that never reach a peak, or do so with their last block. */
__attribute__((constructor)) static void begin(void) { sample(); }
__attribute__((destructor)) static void end(void) { sample(); }
