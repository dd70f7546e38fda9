/* Protects: threads that log at once, in builds where nothing starts that by itself (the
 * sanitizers'): a ring that is overwritten many times keeps whole records, each thread's in order;
 * lines on standard error are whole, in order, and each event has one, though a thread is stopped
 * in the middle of a record while others log thousands; one never finished is told as lost.
 * Usage: log_races file|lines|late|never */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/check.h"
#include "core/options.h"
#include "heap/heap.h"
#include "os/log.h"
#include "slabmalloc/slabmalloc.h"

enum { THREADS = 4, IN_FILE = 20000, IN_LINES = 2000, BYTES_MIN = 100 };
enum { LATE_BYTES = 1, LATE_US = 100000 };
enum late { NOT_LATE, LATE, NEVER };

static size_t calls_each;

static void fail(const char *what, size_t at) {
    printf("%s: %zu\n", what, at);
    exit(1);
}

/* The size counts the rounds, the class tells the thread. */
static size_t bytes_of(size_t thread, size_t round) {
    return ((size_t)BYTES_MIN << thread) + round % ((size_t)BYTES_MIN << thread);
}

static void *run(void *number) {
    for (size_t i = 0; i < calls_each; i++) {
        void *volatile block = slm_malloc(bytes_of((size_t)number, i));
        slm_free(block);
    }
    return NULL;
}

static void run_threads(void) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void start(const char *options) {
    TEXT(complaints, 256);
    options_parse(options, &complaints);
    heap_set_up();
    heap_start_checks();
    if (complaints.used != 0 || !log_is_on())
        fail("nothing is logged", complaints.used);
}

static size_t thread_of(size_t bytes) {
    size_t thread = 0;
    while (bytes >= (size_t)BYTES_MIN << (thread + 1))
        thread++;
    return thread;
}

/* --- the file --------------------------------------------------------------------------------- */

/* Of each thread the last events, one after the other, up to the last of all. */
static void look_at_records(void) {
    const struct log_ring *ring = log_ring;
    uint64_t next = ring->header->next;
    size_t calls[THREADS] = {0}, seen[THREADS] = {0};
    if (next < (uint64_t)2 * THREADS * IN_FILE)
        fail("not all are counted", next);
    for (uint64_t position = next; position-- > next - ring->capacity;) {
        struct log_record record;
        if (log_is_passed(ring, position))
            continue; /* its event has a later one */
        if (!log_read(ring, position, &record))
            fail("a record is not whole", position);
        size_t thread = thread_of(record.bytes);
        size_t round = calls_each - 1 - calls[thread] / 2;
        enum log_kind kind = calls[thread] % 2 == 0 ? LOG_FREE : LOG_ALLOCATE;
        if (record.bytes != bytes_of(thread, round) || log_kind_of(&record) != kind)
            fail("an event is out of order", position);
        if (seen[thread] != 0 && seen[thread] != record.thread)
            fail("an event is another thread's", position);
        seen[thread] = record.thread;
        calls[thread]++;
    }
}

static void try_file(void) {
    char folder[] = "/tmp/slabmalloc-log-XXXXXX", path[64], options[160];
    if (mkdtemp(folder) == NULL)
        fail("no folder", 0);
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(options, sizeof options, "log=%s,log_size=64K,log_kinds=allocate+free", path);
    calls_each = IN_FILE;
    start(options);
    run_threads();
    look_at_records();
    unlink(path);
    rmdir(folder);
}

/* --- lines ------------------------------------------------------------------------------------ */

static bool is_call(size_t call, size_t thread, size_t bytes, const char *kind) {
    return bytes == bytes_of(thread, call / 2) &&
           strcmp(kind, call % 2 != 0 ? "free" : "allocate") == 0;
}

/* How many are told as lost; each event of the threads has its line. */
static size_t look_at_lines(const char *text, size_t length, enum late late) {
    size_t lines = 0, calls[THREADS] = {0}, lost = 0;
    for (const char *at = text; at < text + length;) {
        size_t more;
        int used = 0;
        if (sscanf(at, "slabmalloc: log: %zu event%*[s ]lost%n", &more, &used) == 1 && used > 0) {
            lost += more;
            at += used + 1;
            continue;
        }
        double seconds;
        unsigned thread_number;
        char kind[16], address[32];
        size_t bytes;
        int found = sscanf(at, "%lf %u %15s %31s %zu %*s %*s%n", &seconds, &thread_number, kind,
                           address, &bytes, &used);
        if (found != 5 || at[used] != '\n')
            fail("a line is not whole", lines);
        if (bytes != LATE_BYTES) {
            size_t thread = thread_of(bytes);
            if (!is_call(calls[thread], thread, bytes, kind))
                fail("a line is out of order", lines);
            calls[thread]++;
        }
        at += used + 1;
        lines++;
    }
    size_t wanted = (size_t)2 * THREADS * IN_LINES + (late == LATE);
    if (lines != wanted)
        fail("this many lines", lines);
    return lost;
}

/* A thread that is stopped in the middle of a record, until the others can't but wait for it. */
static void *write_late(void *position) {
    uint64_t at = *(uint64_t *)position;
    while (load_relaxed(&log_ring->header->next) - at <= log_ring->capacity / 2)
        usleep(1000);
    usleep(LATE_US);
    store_relaxed(&log_ring->records[at & (log_ring->capacity - 1)].bytes, LATE_BYTES);
    log_finish(log_ring, at, LOG_ALLOCATE | CALL_MALLOC << 8 | LOG_CLASS_NONE << 16);
    return NULL;
}

static void try_lines(enum late late) {
    int file = memfd_create("lines", 0);
    uint64_t position;
    pthread_t writer;
    calls_each = IN_LINES;
    if (file < 0 || dup2(file, 2) != 2)
        fail("no file", 0);
    start("log=stderr,log_kinds=allocate+free");
    if (late != NOT_LATE) {
        position = fetch_add_relaxed(&log_ring->header->next, 1);
        if (!log_claim(log_ring, position))
            fail("a position is taken", position);
    }
    if (late == LATE && pthread_create(&writer, NULL, write_late, &position) != 0)
        fail("no thread", 0);
    run_threads();
    if (late == LATE)
        pthread_join(writer, NULL);
    size_t length = (size_t)lseek(file, 0, SEEK_END);
    char *text = mmap(NULL, length + 1, PROT_READ, MAP_PRIVATE, file, 0);
    if (text == MAP_FAILED)
        fail("no lines", length);
    size_t lost = look_at_lines(text, length, late);
    if (lost != (late == NEVER))
        fail("told as lost", lost);
}

int main(int argc, char **argv) {
    alarm(100);
    if (argc == 2 && strcmp(argv[1], "file") == 0)
        try_file();
    else if (argc == 2 && strcmp(argv[1], "lines") == 0)
        try_lines(NOT_LATE);
    else if (argc == 2 && strcmp(argv[1], "late") == 0)
        try_lines(LATE);
    else if (argc == 2 && strcmp(argv[1], "never") == 0)
        try_lines(NEVER);
    else
        fail("usage: log_races file|lines|late|never", 0);
    return 0;
}
