/* Purpose: loaded by deepbind.c with RTLD_DEEPBIND: frees what libc has allocated for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int plugin_frees_asprintf(void) {
    char *text = NULL;
    if (asprintf(&text, "%d and %s", 17, "more") < 0)
        return 1;
    int length = (int)strlen(text);
    free(text);
    return length == 11 ? 0 : 2;
}

/* A block of libc's malloc, for others to free. */
void *plugin_allocates(void) { return malloc(100); }

int plugin_frees_own(void) {
    char *text = malloc(100);
    memset(text, 1, 100);
    free(text);
    return 0;
}
