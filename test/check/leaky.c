/* Purpose: a library that allocates for its caller; see unloaded.c. */
#include <stdlib.h>

void *leaky(size_t bytes);

/* Not the last thing it does, or it would leave no frame. */
void *leaky(size_t bytes) {
    void *volatile block = malloc(bytes);
    return block;
}
