/* Purpose: watch.h.
 * Owns:    the words. */
#include "os/watch.h"

struct watch watch;

void watch_wake(void) {
    if (exchange_seq_cst(&watch.asleep, 0) != 0)
        os_wake(&watch.asleep, 1);
}
