/* Purpose: build-up and tear-down: a batch of blocks is allocated, then all of it is freed, many
 *          times over.
 *
 *   batch in_order|reverse|random BLOCKS ROUNDS
 *
 * Sizes are 16..255 bytes, log-uniform. In the order of allocation it is what queues and arenas of
 * requests do, in reverse what stacks and nested scopes do, at random what maps do, where the
 * allocator meets a slab or page of its own with every free. */
#include "common.h"

static const char usage[] = "in_order|reverse|random BLOCKS ROUNDS";

int main(int count, char **arguments) {
    size_t blocks = number(count, arguments, 2, usage), rounds = number(count, arguments, 3, usage);
    struct random random = {2};
    unsigned char **block = get(blocks * sizeof *block);
    unsigned *order = get(blocks * sizeof *order);
    unsigned char *sizes = get(blocks);
    uint64_t checksum = 0;

    random_order(&random, order, blocks);
    if (is_mode(count, arguments, "in_order"))
        for (size_t i = 0; i < blocks; i++)
            order[i] = (unsigned)i;
    else if (is_mode(count, arguments, "reverse"))
        for (size_t i = 0; i < blocks; i++)
            order[i] = (unsigned)(blocks - 1 - i);
    else if (!is_mode(count, arguments, "random"))
        wrong_mode(arguments, usage);
    for (size_t i = 0; i < blocks; i++)
        sizes[i] = (unsigned char)random_log_uniform(&random, 4, 8);

    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < blocks; i++) {
            block[i] = get(sizes[i]);
            block[i][0] = (unsigned char)(i + round);
        }
        for (size_t i = 0; i < blocks; i++) {
            checksum += block[order[i]][0];
            free(block[order[i]]);
        }
    }
    free(sizes);
    free(order);
    free(block);
    return finish(2 * blocks * rounds, checksum);
}
