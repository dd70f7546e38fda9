/* Purpose: main of the fuzz targets where libFuzzer is not: every file of the corpus, then inputs
 * made from it by a generator with a fixed seed, so that every run of a build is the same.
 *
 *   TARGET [-runs=N] [-seed=S] [-max_len=BYTES] FILE|FOLDER...
 *
 * The options are libFuzzer's. An input that ends the process is left in ./TARGET.crash. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

enum { FILES_MAX = 1000, LENGTH_MAX = 1 << 16, EDITS_MAX = 8 };

static struct {
    uint8_t *bytes;
    size_t size;
} corpus[FILES_MAX];
static size_t corpus_count;

static const char *target;
static char where[256], crash_path[256];
static uint8_t buffer[LENGTH_MAX];
static const uint8_t *running;
static size_t running_size;

static void give_up(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", target);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(2);
}

/* Only what a signal handler may call. */
static void leave_input(int number) {
    static const char text[] = "; the input is in the file that ends in .crash\n";
    int file = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool left = file >= 0 && write(file, running, running_size) == (ssize_t)running_size;
    left = write(2, where, strlen(where)) > 0 && left;
    if (!left || write(2, text, sizeof text - 1) < 0)
        _exit(3);
    signal(number, SIG_DFL);
    raise(number);
}

static void run_one(const uint8_t *bytes, size_t size) {
    running = bytes;
    running_size = size;
    LLVMFuzzerTestOneInput(bytes, size);
}

/* --- the corpus ---- */

static void read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        give_up("%s: %s", path, strerror(errno));
    size_t size = fread(buffer, 1, sizeof buffer, file);
    fclose(file);
    uint8_t *bytes = malloc(size != 0 ? size : 1);
    if (bytes == NULL || corpus_count == FILES_MAX)
        give_up("too much in the corpus");
    memcpy(bytes, buffer, size);
    corpus[corpus_count].bytes = bytes;
    corpus[corpus_count++].size = size;
    snprintf(where, sizeof where, "%s: in the file %s", target, path);
    run_one(bytes, size);
}

static void read_folder(const char *path) {
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0 && errno == ENOTDIR) {
        read_file(path);
        return;
    }
    if (count < 0)
        give_up("%s: %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            read_file(name);
        free(entries[i]);
    }
    free(entries);
}

/* --- inputs of our own ---- */

static size_t start_from_corpus(uint64_t *seed, size_t length_max) {
    size_t chosen = random_below(seed, corpus_count);
    size_t size = corpus[chosen].size < length_max ? corpus[chosen].size : length_max;
    memcpy(buffer, corpus[chosen].bytes, size);
    return size;
}

static size_t start_from_nothing(uint64_t *seed, size_t length_max) {
    size_t size = random_below(seed, length_max) + 1;
    for (size_t i = 0; i < size; i++)
        buffer[i] = (uint8_t)(random_next(seed) >> 32);
    return size;
}

/* Overwrites, removes, or puts in a piece of another file of the corpus. */
static size_t edit(uint64_t *seed, size_t size, size_t length_max) {
    size_t at = random_below(seed, size + 1);
    size_t other = random_below(seed, corpus_count);
    switch (random_below(seed, 4)) {
    case 0:
        if (at < size)
            buffer[at] ^= (uint8_t)(1 << random_below(seed, 8));
        return size;
    case 1:
        if (at < size)
            buffer[at] = (uint8_t)(random_next(seed) >> 32);
        return size;
    case 2: {
        size_t length = random_below(seed, size - at + 1) % 16;
        memmove(buffer + at, buffer + at + length, size - at - length);
        return size - length;
    }
    default: {
        size_t from = random_below(seed, corpus[other].size + 1);
        size_t length = random_below(seed, corpus[other].size - from + 1);
        if (size + length > length_max)
            return size;
        memmove(buffer + at + length, buffer + at, size - at);
        memcpy(buffer + at, corpus[other].bytes + from, length);
        return size + length;
    }
    }
}

static void make_and_run(uint64_t *seed, unsigned long runs, size_t length_max) {
    for (unsigned long run = 1; run <= runs; run++) {
        size_t size;
        if (random_below(seed, 4) == 0) {
            size = start_from_nothing(seed, length_max);
        } else {
            size = start_from_corpus(seed, length_max);
            for (size_t edits = 1 + random_below(seed, EDITS_MAX); edits > 0; edits--)
                size = edit(seed, size, length_max);
        }
        snprintf(where, sizeof where, "%s: in input %lu", target, run);
        run_one(buffer, size);
    }
}

int main(int argc, char **argv) {
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    unsigned long runs = 0, seed = 1, length_max = 512;
    target = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    snprintf(crash_path, sizeof crash_path, "%s.crash", target);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], leave_input);
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "-runs=%lu", &runs) == 1 || sscanf(argv[i], "-seed=%lu", &seed) == 1 ||
            sscanf(argv[i], "-max_len=%lu", &length_max) == 1)
            continue;
        if (argv[i][0] == '-')
            give_up("unknown option %s", argv[i]);
        read_folder(argv[i]);
    }
    if (corpus_count == 0 || length_max == 0 || length_max > LENGTH_MAX)
        give_up("no corpus, or lengths that can't be");
    uint64_t state = (seed + 1) * 0x9e3779b97f4a7c15u;
    make_and_run(&state, runs, length_max);
    printf("%s: %zu files, %lu inputs of seed %lu: nothing wrong\n", target, corpus_count, runs,
           seed);
    return 0;
}
