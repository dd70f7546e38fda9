/* Protects: of a library built without the override a program uses slm_malloc beside the C
 * library's malloc, and the two heaps stay apart. */
#include <slabmalloc/slabmalloc.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slm_stats stats;

static unsigned long allocations(void)
{
    slm_stats_get(&stats);
    return (unsigned long)(stats.tiny.allocations + stats.small.allocations);
}

static int is_in(void *(*function)(size_t), const char *library)
{
    Dl_info info = {0};
    void *address;
    memcpy(&address, &function, sizeof address);
    return dladdr(address, &info) != 0 && strstr(info.dli_fname, library) != NULL;
}

int main(void)
{
    unsigned long start = allocations();
    char *theirs[50], *ours[50];
    for (int i = 0; i < 50; i++) {
        theirs[i] = strdup("from the C library");
        ours[i] = slm_calloc(10, 10);
    }
    unsigned long calls = allocations() - start;
    for (int i = 0; i < 50; i++) {
        ours[i] = slm_realloc(ours[i], 5000);
        free(theirs[i]);
        slm_free(ours[i]);
    }
    int apart = is_in(malloc, "libc.so") && is_in(slm_malloc, "libslabmalloc.so");
    printf("%lu calls, malloc and slm_malloc %s\n", calls, apart ? "apart" : "NOT apart");
    return calls != 50 || !apart;
}
