/* Purpose: what stacks.py runs: compiled without frame pointers, it leaks through four functions,
 * the last of them in another library's callback. */
#include <stdlib.h>
#include <string.h>

static char *volatile kept;

#ifdef __clang__
#define APART __attribute__((noinline))
#else
#define APART __attribute__((noinline, noclone))
#endif

APART void innermost(size_t bytes);
APART void innermost(size_t bytes) {
    char buffer[100]; /* a frame that its caller's does not lie beside */
    memset(buffer, (int)bytes, sizeof buffer);
    kept = malloc(bytes);
    kept[0] = buffer[bytes % 100];
}

APART void middle(size_t bytes);
APART void middle(size_t bytes) {
    innermost(bytes + 1);
    __asm__ volatile("");
}

APART int compare(const void *a, const void *b);
APART int compare(const void *a, const void *b) {
    if (kept == NULL)
        middle(1000);
    return *(const int *)a - *(const int *)b;
}

APART void outermost(void);
APART void outermost(void) {
    int numbers[] = {2, 1};
    qsort(numbers, 2, sizeof *numbers, compare);
    __asm__ volatile("" : : "r"(numbers) : "memory");
}

int main(int count, char **arguments) {
    (void)arguments;
    outermost();
    if (count > 1) {
        free(kept);
        free(kept);
    }
    return 0;
}
