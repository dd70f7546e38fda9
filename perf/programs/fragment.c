/* Purpose: a heap most of which is freed here and there, and what an allocator makes of the rest.
 *
 *   fragment BYTES SIZE PERCENT
 *
 * Fills BYTES with blocks of SIZE (0: 16 to 4096, log-uniform), frees PERCENT of them at random,
 * calls what the allocator has for giving memory back, and fills up to BYTES again with blocks half
 * as large again. A few survivors on every page hold all of them, unless the allocator can give
 * back parts of what it has in use, or use what is free for other sizes (field case F8). */
#include "memory.h"

static const char usage[] = "BYTES SIZE PERCENT";
enum { STEPS = 64 };

struct blocks {
    unsigned char **at;
    unsigned *bytes;
    size_t count, live;
};

static size_t next_size(struct random *random, size_t size, bool shifted) {
    size_t next = size ? size : random_log_uniform(random, 4, 12);
    return shifted ? next + next / 2 : next;
}

/* Up to `bytes` live; the highest that was resident meanwhile. */
static size_t fill(struct blocks *blocks, struct random *random, size_t bytes, size_t size,
                   bool shifted, double at) {
    size_t peak = 0;
    size_t first = blocks->live;
    for (size_t step = 1; step <= STEPS; step++) {
        size_t until = first + (bytes - first) / STEPS * step;
        while (blocks->live < until) {
            size_t next = next_size(random, size, shifted);
            blocks->bytes[blocks->count] = (unsigned)next;
            blocks->at[blocks->count++] = get_filled(next, (unsigned char)next);
            blocks->live += next;
        }
        size_t now = take_sample(at + (double)step / STEPS, blocks->live);
        peak = now > peak ? now : peak;
    }
    return peak;
}

static void free_some(struct blocks *blocks, struct random *random, size_t percent) {
    size_t kept = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        if (random_below(random, 100) < percent) {
            if (*blocks->at[i] != (unsigned char)blocks->bytes[i])
                fail("contents");
            blocks->live -= blocks->bytes[i];
            free(blocks->at[i]);
        } else {
            blocks->bytes[kept] = blocks->bytes[i];
            blocks->at[kept++] = blocks->at[i];
        }
    }
    blocks->count = kept;
}

int main(int count, char **arguments) {
    size_t bytes = number(count, arguments, 1, usage), size = number(count, arguments, 2, usage);
    size_t percent = number(count, arguments, 3, usage);
    struct random random = {11};
    struct blocks blocks = {0};
    size_t most = bytes / (size ? size : 400) * 2; /* the mean of the mixture is 737 bytes */
    blocks.at = own_table(most * sizeof *blocks.at);
    blocks.bytes = own_table(most * sizeof *blocks.bytes);
    begin_measuring();
    print_figure("full", fill(&blocks, &random, bytes, size, false, 0));
    free_some(&blocks, &random, percent);
    print_figure("live", blocks.live);
    print_figure("freed", take_sample(1.2, blocks.live));
    give_back();
    print_figure("purged", take_sample(1.4, blocks.live));
    print_figure("regrown", fill(&blocks, &random, bytes, size, true, 1.5));
    print_samples();
    return 0;
}
