/* Purpose: calloc of 1 KiB..64 MiB, log-uniform, a few blocks live at a time.
 *
 *   zeroed CALLS
 *
 * A byte of every page is checked to be zero and then written, up to 256 pages of a block, as of
 * tables that are never full. Who clears pages that come fresh from the system, or asks the system
 * for pages each time, pays (field case G3). */
#include "common.h"

enum { LIVE = 16, PAGES_USED = 256 };
static const char usage[] = "CALLS";

int main(int count, char **arguments) {
    size_t calls = number(count, arguments, 1, usage);
    struct random random = {6};
    unsigned char *live[LIVE] = {NULL};
    uint64_t checksum = 0;
    for (size_t i = 0; i < calls; i++) {
        unsigned char **slot = &live[random_below(&random, LIVE)];
        size_t size = random_log_uniform(&random, 10, 26);
        free(*slot);
        unsigned char *block = calloc(size / 16, 16);
        if (!block)
            fail("calloc");
        size_t pages = size / 4096 < PAGES_USED ? size / 4096 : PAGES_USED;
        for (size_t page = 0; page <= pages; page++) {
            size_t at = page * 4096 < size / 16 * 16 ? page * 4096 : 0;
            if (block[at] != 0 && at != 0)
                fail("a block of calloc is not zero");
            checksum += block[at];
            block[at] = (unsigned char)(i | 1);
        }
        *slot = block;
    }
    for (size_t i = 0; i < LIVE; i++)
        free(live[i]);
    return finish(2 * calls, checksum);
}
