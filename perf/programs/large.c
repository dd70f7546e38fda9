/* Purpose: large blocks, a byte of every page written.
 *
 *   large loop BLOCKS     one at a time, 64 KiB..32 MiB, log-uniform
 *   large slots BLOCKS    20 slots of 5..25 MB, a random one replaced each time
 *
 * Who returns each block to the system at once pays for its pages again with the next one; who
 * keeps all of them, in memory (field cases G2 and case 24). */
#include "common.h"

enum { SLOTS = 20 };
static const char usage[] = "loop|slots BLOCKS";

int main(int count, char **arguments) {
    size_t blocks = number(count, arguments, 2, usage);
    int is_loop = is_mode(count, arguments, "loop");
    struct random random = {7};
    unsigned char *slots[SLOTS] = {NULL};
    uint64_t checksum = 0;
    if (!is_loop && !is_mode(count, arguments, "slots"))
        wrong_mode(arguments, usage);
    for (size_t i = 0; i < blocks; i++) {
        size_t at = is_loop ? 0 : random_below(&random, SLOTS);
        size_t size = is_loop ? random_log_uniform(&random, 16, 25)
                              : 5000000 + random_below(&random, 20000001);
        if (slots[at])
            checksum += slots[at][4096];
        free(slots[at]);
        slots[at] = get(size);
        touch_pages(slots[at], size, (unsigned char)i);
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(slots[i]);
    return finish(2 * blocks, checksum);
}
