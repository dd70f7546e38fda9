/* Purpose: loaded by namespaces.c into a namespace of its own: uses the malloc that it finds there,
 *          also through libc's strdup and getline. With USE_LIBRARY it is linked with slabmalloc,
 *          a second copy of which is then loaded into that namespace. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if USE_LIBRARY
#include "slabmalloc/slabmalloc.h"
#endif

char *plugin_new(const char *text) { return strdup(text); }
void plugin_delete(char *text) { free(text); }

/* 0: all is well inside. */
int plugin_work(void) {
    char *line = NULL;
    size_t room = 0;
    int lines = 0;
    FILE *file = tmpfile();
    if (file == NULL)
        return 1;
    for (int i = 0; i < 1000; i++)
        fprintf(file, "%0*d\n", 1 + i % 500, i);
    rewind(file);
    while (getline(&line, &room, file) > 0) {
        char *copy = strdup(line);
        if (copy == NULL || atoi(copy) != lines++)
            return 2;
        free(realloc(copy, (size_t)lines * 300));
    }
    free(line);
    fclose(file);
#if USE_LIBRARY
    struct slm_stats stats;
    slm_stats_get(&stats);
    if (stats.tiny.allocations < 1000)
        return 3;
#endif
    return lines == 1000 ? 0 : 4;
}
