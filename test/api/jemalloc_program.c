/* Protects: a program that was linked with jemalloc, and that mixes its own functions with malloc
 * and free, as redis 8 does: with slabmalloc before jemalloc, all of its blocks are slabmalloc's,
 * and mallctl is still jemalloc's, of whose heap nothing is used.
 * Usage: jemalloc_program, with the library in LD_PRELOAD */
#include <assert.h>

#include "api.h"
#include "jemalloc.h"

enum { BLOCKS = 2000, BYTES = 10000 };

static size_t jemalloc_allocated(void) {
    uint64_t epoch = 1;
    size_t allocated = 0, size = sizeof allocated;
    assert(mallctl("epoch", NULL, NULL, &epoch, sizeof epoch) == 0);
    assert(mallctl("stats.allocated", &allocated, &size, NULL, 0) == 0);
    return allocated;
}

int main(void) {
    static void *blocks[BLOCKS];
    assert(is_ours("malloc") && is_ours("mallocx"));
    assert(!is_ours("mallctl"));
    size_t before = jemalloc_allocated();
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 1 + i * 61 % BYTES;
        blocks[i] = mallocx(size, MALLOCX_TCACHE_NONE | (i % 2 == 0 ? MALLOCX_ZERO : 0));
        assert(blocks[i] != NULL && malloc_usable_size(blocks[i]) == nallocx(size, 0));
    }
    assert(jemalloc_allocated() < before + BYTES);
    for (size_t i = 0; i < BLOCKS; i++)
        switch (i % 4) {
        case 0:
            free(blocks[i]);
            break;
        case 1:
            free(realloc(blocks[i], BYTES));
            break;
        case 2:
            dallocx(blocks[i], MALLOCX_TCACHE_NONE);
            break;
        default:
            free(rallocx(blocks[i], BYTES, MALLOCX_TCACHE_NONE));
        }
    free(strdup("text"));
    puts("all of one heap");
    return 0;
}
