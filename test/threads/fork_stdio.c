/* Protects: fork beside stdio: one thread forks, one flushes all streams, one reads long lines from
 * a stream, so that getline allocates while it holds the stream's lock. fork must not take the
 * heap's locks and the list of streams in the other order (field case 9, C3). Not under
 * ThreadSanitizer (CMakePresets.json), whose own fork and realloc of GCC 14 do just that. */
#include "check.h"

/* What getline allocates is libc's, in builds without the override too. */
#undef free
static void libc_free(void *pointer) { free(pointer); }

enum { FORKS = 500 / (SLOWNESS > 5 ? 5 : SLOWNESS), LINES = 64, LINE_BYTES = 300000 };

static bool stop;

static void *flush_all(void *unused) {
    (void)unused;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
        fflush(NULL);
    return NULL;
}

static void write_lines(FILE *file) {
    for (size_t i = 0; i < LINES; i++) {
        for (size_t at = 0; at < LINE_BYTES / LINES * (i + 1); at++)
            putc_unlocked('a' + (int)(i % 26), file);
        putc_unlocked('\n', file);
    }
    CHECK(fflush(file) == 0, "fflush");
}

static void *read_lines(void *argument) {
    FILE *file = argument;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        rewind(file);
        for (size_t i = 0; i < LINES; i++) {
            char *line = NULL;
            size_t capacity = 0;
            ssize_t bytes = getline(&line, &capacity, file);
            CHECK(bytes == (ssize_t)(LINE_BYTES / LINES * (i + 1) + 1), "line %zu: %zd", i, bytes);
            CHECK(line[bytes - 2] == 'a' + (int)(i % 26), "line %zu: %c", i, line[bytes - 2]);
            libc_free(line);
        }
    }
    return NULL;
}

int main(void) {
    FILE *file = tmpfile();
    CHECK(file != NULL, "tmpfile: %s", strerror(errno));
    write_lines(file);
    alarm(200); /* a deadlock of the parent ends the test */
    pthread_t flusher = thread_start(flush_all, NULL);
    pthread_t reader = thread_start(read_lines, file);
    for (size_t i = 0; i < FORKS; i++) {
        pid_t child = child_fork();
        if (child == 0) {
            uint64_t state = random_seed(i);
            FILE *own = fopen("/dev/null", "w");
            CHECK(own != NULL && fprintf(own, "%zu\n", i) > 0 && fclose(own) == 0, "stdio");
            block_delete(block_new(&state, random_size(&state)));
            _exit(0);
        }
        child_wait(child, "a child made beside stdio");
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    thread_join(flusher);
    thread_join(reader);
    fclose(file);
    return 0;
}
