/* A plugin that contains the static library, for plugin_host.c. It allocates under the library's
 * own names and under the standard ones. Those lead to its own copy if it hides the archive's
 * symbols (--exclude-libs); if not, to the process's malloc, which is searched first. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "slabmalloc/slabmalloc.h"

int plugin_run(void);
int plugin_counts_malloc(void);
char *plugin_keep(size_t bytes);
void plugin_drop(char *block);

static void *run(void *unused) {
    (void)unused;
    for (size_t i = 1; i < 4000; i++) {
        char *own = slm_malloc(i), *standard = malloc(i * 3), *zero = slm_calloc(i, 100);
        if (own == NULL || standard == NULL || zero == NULL || zero[i * 100 - 1] != 0)
            return NULL;
        memset(own, 'o', i);
        memset(standard, 's', i * 3);
        own = slm_realloc(own, i * 40);
        standard = realloc(standard, i * 5);
        if (own == NULL || standard == NULL || own[i - 1] != 'o' || standard[i * 3 - 1] != 's')
            return NULL;
        slm_free(own);
        free(standard);
        slm_free(zero);
    }
    return slm_malloc(100);
}

/* 0, or 1 + which of its threads failed, or 3: its heap is damaged. */
int plugin_run(void) {
    pthread_t thread;
    void *here = run(NULL), *there = NULL;
    if (here == NULL)
        return 1;
    if (pthread_create(&thread, NULL, run, NULL) != 0 || pthread_join(thread, &there) != 0 ||
        there == NULL)
        return 2;
    slm_free(there);
    slm_free(here);
    return slm_check_heap(2) ? 0 : 3;
}

/* Whether what the plugin gets from malloc is in the heap that its slm_ functions know. */
int plugin_counts_malloc(void) {
    struct slm_stats before, after;
    slm_stats_get(&before);
    char *volatile block = malloc(5000);
    slm_stats_get(&after);
    free(block);
    return after.small.live_bytes >= before.small.live_bytes + 5000;
}

char *plugin_keep(size_t bytes) { return slm_malloc(bytes); }
void plugin_drop(char *block) { slm_free(block); }
