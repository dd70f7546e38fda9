/* Protects: the public header compiles in every C and C++ dialect, with all warnings. */
#include <slabmalloc/slabmalloc.h>

int main(void)
{
    struct slm_stats *stats = 0;
    size_t classes = sizeof stats->classes / sizeof stats->classes[0];
    void *block = slm_malloc(classes);
    slm_free(block);
    return classes != SLM_CLASS_COUNT;
}
