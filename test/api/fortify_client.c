/* Protects: a program built with -O2 -D_FORTIFY_SOURCE=3, whose compiler believes the size that was
 * asked for, may use what malloc_usable_size tells it, by the way that such programs have: they
 * take the pointer back from a function that states the new size (redis, systemd). */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline, alloc_size(2))) static void *extended_to(void *block, size_t size) {
    __asm__("" : "+r"(block) : "r"(size));
    return block;
}

static int failures;

static void expect(int condition, const char *what, size_t size) {
    if (!condition) {
        fprintf(stderr, "%s: %zu bytes\n", what, size);
        failures++;
    }
}

static void use_all_of(size_t size) {
    char *block = malloc(size);
    size_t usable = malloc_usable_size(block);
    expect(usable >= size, "usable size", size);
    block = extended_to(block, usable);
    memset(block, 'x', usable);
    block[usable - 1] = 0;
    expect(strlen(block) == usable - 1, "strlen", size);
    char *twin = calloc(1, usable);
    size_t twin_usable = malloc_usable_size(twin);
    twin = extended_to(twin, twin_usable);
    expect(twin_usable >= usable, "usable size of as much as is usable", size);
    strcpy(twin, block);
    expect(memcmp(twin, block, usable) == 0, "strcpy", size);
    char *grown = realloc(twin, twin_usable + 100);
    expect(grown != NULL && strlen(grown) == usable - 1, "realloc", size);
    snprintf(grown, twin_usable + 100, "%s and more", block);
    expect(strlen(grown) == usable - 1 + strlen(" and more"), "snprintf", size);
    free(grown);
    free(block);
}

int main(void) {
    for (size_t size = 1; size < 300000; size += size / 9 + 1)
        use_all_of(size);
    return failures != 0;
}
