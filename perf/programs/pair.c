/* Purpose: the hot pair: malloc, write a byte, free, nothing else live.
 *
 *   pair SIZE PAIRS      one size
 *   pair mixed PAIRS     sizes 8..1023, log-uniform, in an order that no predictor learns
 *
 * It is the shortest way through an allocator, and the upper bound of its speed. */
#include "common.h"

enum { SIZES = 1 << 14 };
static const char usage[] = "SIZE|mixed PAIRS";
static unsigned short sizes[SIZES];

int main(int count, char **arguments) {
    size_t pairs = number(count, arguments, 2, usage);
    struct random random = {1};
    uint64_t checksum = 0;
    if (is_mode(count, arguments, "mixed")) {
        for (size_t i = 0; i < SIZES; i++)
            sizes[i] = (unsigned short)random_log_uniform(&random, 3, 10);
    } else {
        size_t size = number(count, arguments, 1, usage);
        for (size_t i = 0; i < SIZES; i++)
            sizes[i] = (unsigned short)size;
    }
    for (size_t i = 0; i < pairs; i++) {
        volatile unsigned char *block = get(sizes[i % SIZES]);
        *block = (unsigned char)i;
        checksum += *block;
        free((void *)block);
    }
    return finish(2 * pairs, checksum);
}
