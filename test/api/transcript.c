/* Purpose: a small heap, printed in a way that is named: the transcripts of docs/statistics.md,
 *          which tools/transcripts keeps up to date.
 *
 * transcript show|show_ex|text|json */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slabmalloc/slabmalloc.h"

struct person {
    const char *name;
    unsigned born;
};

static struct person *people[300];
static void *papers[40];

int main(int argc, char **argv) {
    const char *what = argc == 2 ? argv[1] : "";
    for (unsigned i = 0; i < 300; i++) {
        people[i] = malloc(sizeof *people[i]);
        people[i]->name = "";
        people[i]->born = 1900 + i % 100;
    }
    for (unsigned i = 3; i < 300; i++)
        if (i % 4 != 0)
            free(people[i]);
    char *poem = malloc(60);
    strcpy(poem, "All that is gold does not glitter");
    for (unsigned i = 0; i < 40; i++)
        papers[i] = memset(malloc(5000), 'a' + (int)i % 26, 5000);
    for (unsigned i = 4; i < 40; i++)
        free(papers[i]);
    memset(malloc(1 << 20), 1, 1 << 19);
    free(malloc(300000));
    if (strcmp(what, "show") == 0)
        return slm_show_alloc_mem_ex(1, &(struct slm_show_options){.parts = SLM_SHOW_BLOCKS,
                                                                   .min_bytes = 64})
                   ? 0
                   : 1;
    if (strcmp(what, "show_ex") == 0)
        return slm_show_alloc_mem_ex(
                   1, &(struct slm_show_options){.min_bytes = 64, .dump_bytes = 32})
                   ? 0
                   : 1;
    return slm_stats_print(1, strcmp(what, "json") == 0 ? SLM_STATS_JSON : SLM_STATS_TEXT) ? 0 : 1;
}
