/* Protects: what a bad pointer does is the option's choice (on_error), and never a crash of ours
 * (field case A9). A million values - stack, .bss, another mapping, the break, misaligned,
 * interior, freed, non-canonical, random - go to free, realloc and malloc_usable_size, from two
 * threads at once; every one must be found, no live block may change, and the heap must be whole
 * afterwards. Usage: misuse_policy report|ignore VALUES, with SLABMALLOC_OPTIONS=on_error=...
 * set */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "slabmalloc/slabmalloc.h"

enum { BLOCKS = 4000, THREADS = 2, MAPPED = 1 << 20, LIBC_BLOCKS = 8 };

struct block {
    unsigned char *start;
    size_t bytes;
    unsigned char mark;
};

static struct block blocks[BLOCKS];
static uintptr_t freed[BLOCKS];
static size_t block_count, freed_count;
static char in_bss[4096];
static char *mapped, *on_break;
static long values_each;
static pthread_barrier_t started; /* libc allocates nothing any more */

static void fail(const char *what, uintptr_t value) {
    fprintf(stdout, "%s: %#lx\n", what, (unsigned long)value);
    exit(1);
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int by_start(const void *a, const void *b) {
    uintptr_t x = (uintptr_t)((const struct block *)a)->start;
    uintptr_t y = (uintptr_t)((const struct block *)b)->start;
    return x < y ? -1 : x > y;
}

static void make_blocks(void) {
    uint64_t state = 0x2545f4914f6cdd1d;
    for (size_t i = 0; i < BLOCKS; i++) {
        uint64_t r = next_random(&state);
        size_t bytes = r % (i % 10 < 7 ? 1024 : i % 100 < 98 ? 100000 : 2000000) + 1;
        unsigned char *p = malloc(bytes);
        if (p == NULL)
            fail("no memory", bytes);
        if (i % 4 == 0) {
            freed[freed_count++] = (uintptr_t)p;
            continue;
        }
        blocks[block_count++] = (struct block){p, bytes, (unsigned char)r};
        memset(p, (unsigned char)r, bytes);
    }
    for (size_t i = 0; i < freed_count; i++)
        free((void *)freed[i]);
    qsort(blocks, block_count, sizeof *blocks, by_start);
}

static int is_live(uintptr_t value) {
    struct block key = {(unsigned char *)value, 0, 0};
    return bsearch(&key, blocks, block_count, sizeof *blocks, by_start) != NULL;
}

/* Any value but NULL and the start of a live block. */
static uintptr_t bad_value(uint64_t *state) {
    for (;;) {
        uint64_t r = next_random(state);
        const struct block *block = &blocks[r % block_count];
        uintptr_t value = 0;
        switch (r >> 32 & 15) {
        case 0: value = (uintptr_t)&state + r % 512; break; /* this stack */
        case 1: value = (uintptr_t)in_bss + r % sizeof in_bss; break;
        case 2: value = (uintptr_t)mapped + r % MAPPED; break;
        case 3: value = (uintptr_t)on_break + r % 4096 / 16 * 16; break;
        case 4: value = (uintptr_t)block->start + 1 + r % 15; break;
        case 5: value = (uintptr_t)block->start + r % block->bytes; break;
        case 6: value = (uintptr_t)block->start - r % 4096; break;
        case 7: value = freed[r % freed_count]; break;
        case 8: value = r | (uint64_t)1 << 63; break;
        case 9: value = r >> 16; break;
        case 10: value = r >> 17 & ~(uint64_t)15; break;
        case 11: value = r >> (r & 63); break;
        case 12: value = (uintptr_t)block->start ^ (uint64_t)1 << (r >> 40 & 63); break;
        case 13: value = (uintptr_t)&bad_value + r % 64; break;
        case 14: value = -(r % 65536) - 1; break;
        default: value = (uintptr_t)block->start + (r >> 20 & 0xffffffff); break;
        }
        if (value != 0 && !is_live(value))
            return value;
    }
}

/* libc has a few blocks of its own: what it keeps of threads and streams. */
static void note_block_of_libc(uintptr_t value) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static uintptr_t known[LIBC_BLOCKS];
    size_t i = 0;
    pthread_mutex_lock(&mutex);
    while (i < LIBC_BLOCKS && known[i] != 0 && known[i] != value)
        i++;
    if (i == LIBC_BLOCKS)
        fail("usable_size finds too many blocks that are not ours", value);
    known[i] = value;
    pthread_mutex_unlock(&mutex);
}

/* Each value twice: to usable_size, and to free or realloc. */
static void *give_bad_values(void *seed) {
    uint64_t state = (uintptr_t)seed * 0x9e3779b97f4a7c15u;
    pthread_barrier_wait(&started);
    for (long i = 0; i < values_each; i++) {
        uintptr_t value = bad_value(&state);
        while (malloc_usable_size((void *)value) != 0) {
            note_block_of_libc(value);
            value = bad_value(&state);
        }
        errno = 0xBEEF;
        if (i % 2 == 0) {
            free((void *)value);
            if (errno != 0xBEEF)
                fail("free changed errno", value);
        } else if (realloc((void *)value, 100) != NULL || errno != EINVAL) {
            fail("realloc gave a block, or no EINVAL", value);
        }
    }
    return NULL;
}

static void check_blocks(void) {
    for (size_t i = 0; i < block_count; i++) {
        const struct block *b = &blocks[i];
        if (malloc_usable_size(b->start) < b->bytes)
            fail("a live block is not live any more", (uintptr_t)b->start);
        for (size_t k = 0; k < b->bytes; k++)
            if (b->start[k] != b->mark)
                fail("a live block was written to", (uintptr_t)b->start);
    }
}

/* Lines of "slabmalloc: ..." on standard error since it was put into a file. */
static long count_lines(int file) {
    FILE *stream = fdopen(file, "r");
    static char line[1024];
    long lines = 0;
    rewind(stream);
    while (fgets(line, sizeof line, stream) != NULL) {
        if (strncmp(line, "slabmalloc: ", 12) != 0 || strchr(line, '\n') == NULL)
            fail("a line that is not ours, or cut", (uintptr_t)lines);
        lines++;
    }
    return lines;
}

/* Nobody reads standard error any more: the message is lost, and nothing else. */
static void with_broken_pipe(void) {
    int ends[2];
    if (pipe(ends) != 0)
        fail("no pipe", 0);
    dup2(ends[1], 2);
    close(ends[1]);
    close(ends[0]);
    free(&in_bss[64]);
}

int main(int argc, char **argv) {
    int reports = argc > 2 && strcmp(argv[1], "report") == 0;
    char name[] = "/tmp/slabmalloc-policy-XXXXXX";
    int file = mkstemp(name);
    pthread_t threads[THREADS];
    struct slm_stats stats;
    if (argc != 3 || file < 0)
        return 2;
    unlink(name);
    values_each = atol(argv[2]) / THREADS;
    uint64_t calls = (uint64_t)values_each * THREADS * 2;
    mapped = mmap(NULL, MAPPED, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    on_break = sbrk(8192);
    dup2(file, 2);
    make_blocks();
    pthread_barrier_init(&started, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, give_bad_values, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_blocks();
    slm_stats_get(&stats);
    if (stats.faults != calls)
        fail("another number of faults was counted", stats.faults);
    if (!slm_check_heap(1))
        return 1;
    if (count_lines(file) != (reports ? (long)calls : 0))
        fail("another number of lines was written", 0);
    with_broken_pipe();
    for (size_t i = 0; i < block_count; i++)
        free(blocks[i].start);
    slm_stats_get(&stats);
    if (stats.faults != calls + 1)
        fail("a good free was counted as a fault", stats.faults);
    printf("%lu calls with bad pointers, each found\n", (unsigned long)calls);
    return slm_check_heap(1) ? 0 : 1;
}
