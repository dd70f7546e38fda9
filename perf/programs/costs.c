/* Purpose: how the costs of an allocator grow with what is live; perf/costs runs it.
 *
 *   costs time SIZE BLOCKS PAIRS     BLOCKS live blocks of SIZE bytes (0: 16..255, log-uniform),
 *                                    then PAIRS times a random one is freed and another allocated;
 *                                    prints the nanoseconds of a pair
 *   costs memory SIZE BYTES          BYTES in blocks of SIZE, all written; prints the live bytes
 *                                    and by how much the resident set has grown */
#include "common.h"

#include <fcntl.h>
#include <unistd.h>

static const char usage[] = "time SIZE BLOCKS PAIRS | memory SIZE BYTES";

static size_t size_or_random(size_t size, struct random *random) {
    return size ? size : random_log_uniform(random, 4, 8);
}

static int measure_time(size_t size, size_t blocks, size_t pairs) {
    struct random random = {10};
    unsigned char **live = get(blocks * sizeof *live);
    uint64_t checksum = 0;
    for (size_t i = 0; i < blocks; i++)
        live[i] = get_filled(size_or_random(size, &random), (unsigned char)i);
    /* Some replacements first: fresh slabs are filled in order, and old ones are not. */
    double begin = 0;
    for (size_t i = 0; i < 2 * pairs; i++) {
        if (i == pairs)
            begin = seconds_now();
        unsigned char **slot = &live[random_below(&random, blocks)];
        checksum += **slot;
        free(*slot);
        *slot = get(size_or_random(size, &random));
        **slot = (unsigned char)i;
    }
    double seconds = seconds_now() - begin;
    printf("nanoseconds %.2f\n", 1e9 * seconds / (double)pairs);
    return finish(2 * blocks + 4 * pairs, checksum);
}

static size_t resident_bytes(void) {
    char text[128] = "";
    unsigned long all, resident;
    int file = open("/proc/self/statm", O_RDONLY);
    if (file < 0 || read(file, text, sizeof text - 1) <= 0 || close(file) != 0 ||
        sscanf(text, "%lu %lu", &all, &resident) != 2)
        fail("/proc/self/statm");
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static int measure_memory(size_t size, size_t bytes) {
    size_t blocks = bytes / size;
    unsigned char **live = get(blocks * sizeof *live);
    memset(live, 0, blocks * sizeof *live);
    free(get_filled(size, 1)); /* what is made once, with the first block */
    size_t before = resident_bytes();
    for (size_t i = 0; i < blocks; i++)
        live[i] = get_filled(size, (unsigned char)i);
    printf("live %zu resident %zu\n", blocks * size, resident_bytes() - before);
    return finish(blocks, live[blocks / 2][0]);
}

int main(int count, char **arguments) {
    if (is_mode(count, arguments, "time"))
        return measure_time(number(count, arguments, 2, usage), number(count, arguments, 3, usage),
                            number(count, arguments, 4, usage));
    if (is_mode(count, arguments, "memory"))
        return measure_memory(number(count, arguments, 2, usage),
                              number(count, arguments, 3, usage));
    wrong_mode(arguments, usage);
}
