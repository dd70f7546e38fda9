/* Protects: a program that was built against an installed slabmalloc really runs on it. Blocks from
 * the standard names are counted in slabmalloc's own figures, exactly; with an argument, a part of
 * a library's file name, malloc's code has to lie there. */
#include <slabmalloc/slabmalloc.h>

#ifdef NAME_OF_MALLOC
#include <dlfcn.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 100, BLOCK_BYTES = 700, SLOT_BYTES = 768 };

static struct slm_stats before, during, after;

static const struct slm_class_stats *class_of(const struct slm_stats *stats)
{
    for (int cls = 0; cls < SLM_CLASS_COUNT; cls++)
        if (stats->classes[cls].slot_bytes == SLOT_BYTES)
            return &stats->classes[cls];
    fprintf(stderr, "there is no class of %d bytes\n", (int)SLOT_BYTES);
    exit(1);
}

static int expect(const char *what, size_t is, size_t wanted)
{
    if (is != wanted)
        fprintf(stderr, "%s: %lu, not %lu\n", what, (unsigned long)is, (unsigned long)wanted);
    return is != wanted;
}

int main(int count, char **arguments)
{
    char *blocks[BLOCKS];
    int failures = 0;
    slm_stats_get(&before);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        memset(blocks[i], i, BLOCK_BYTES);
    }
    slm_stats_get(&during);
    for (int i = 0; i < BLOCKS; i++) {
        failures += expect("contents", (unsigned char)blocks[i][BLOCK_BYTES - 1], (size_t)i);
        free(blocks[i]);
    }
    slm_stats_get(&after);
    failures += expect("live blocks", class_of(&during)->live - class_of(&before)->live, BLOCKS);
    failures += expect("allocations",
                       class_of(&after)->allocations - class_of(&before)->allocations, BLOCKS);
    failures += expect("frees", class_of(&after)->frees - class_of(&before)->frees, BLOCKS);
    failures += expect("live blocks at the end", class_of(&after)->live, class_of(&before)->live);
#ifdef NAME_OF_MALLOC
    if (count > 1) {
        Dl_info info = {0};
        void *(*standard)(size_t) = malloc;
        void *address;
        memcpy(&address, &standard, sizeof address);
        if (!dladdr(address, &info) || strstr(info.dli_fname, arguments[1]) == NULL) {
            fprintf(stderr, "malloc is in %s\n", info.dli_fname ? info.dli_fname : "nothing");
            failures++;
        }
    }
#else
    (void)count;
    (void)arguments;
#endif
    printf("%s\n", failures == 0 ? "runs on slabmalloc" : "does NOT run on slabmalloc");
    return failures != 0;
}
