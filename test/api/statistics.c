/* Purpose: prints the heap's statistics as JSON in a state that is named, for statistics.py.
 *
 * statistics first|busy|faults */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "slabmalloc/slabmalloc.h"

static void *blocks[3000];

static void *work(void *argument) {
    (void)argument;
    for (size_t i = 0; i < 3000; i++)
        blocks[i] = malloc(i * 37 % 5000 + (i % 500 == 0 ? 300000 : 1));
    for (size_t i = 0; i < 3000; i += 3) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
    return NULL;
}

int main(int argc, char **argv) {
    const char *state = argc == 2 ? argv[1] : "first";
    if (strcmp(state, "first") != 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, NULL);
        pthread_join(thread, NULL);
        for (size_t i = 1; i < 3000; i += 3)
            free(blocks[i]);
    }
    if (strcmp(state, "faults") == 0)
        for (int i = 0; i < 5; i++)
            free((char *)blocks[2] + 16); /* told, and survived: on_error=ignore */
    return slm_stats_print(1, SLM_STATS_JSON) ? 0 : 1;
}
