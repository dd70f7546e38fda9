/* Purpose: scenes of check_child: guards, blocks of 0 bytes, the wrong alignment, many leaks. */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "slabmalloc/slabmalloc.h"

/* --- the wrong alignment ---------------------------------------------------------------------- */

static void align_other(void) {
    operator_delete_aligned(operator_new_aligned(bytes, 64), 128);
}
static void align_none_told(void) { operator_delete(operator_new_aligned(bytes, 64)); }
static void align_none_asked(void) { operator_delete_aligned(operator_new(bytes), 32); }
static void align_array(void) {
    operator_delete_array_aligned_sized(operator_new_array_aligned(bytes, 8), bytes, 4096);
}
static void align_free(void) {
    free_aligned_sized(hidden(aligned_alloc(256, bytes)), 32, bytes);
}
static void align_free_malloc(void) { free_aligned_sized(make(), 16, bytes); }
static void align_no_power(void) {
    free_aligned_sized(hidden(aligned_alloc(32, bytes)), 48, bytes);
}
/* Whatever is told is so, or nothing is. */
static void align_right(void) {
    static const size_t alignments[] = {1, 8, 16, 64, 4096, 1 << 16, 1 << 21, (size_t)1 << 31};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        size_t alignment = alignments[i];
        free(hidden(aligned_alloc(alignment, bytes)));
        free_aligned_sized(hidden(aligned_alloc(alignment, bytes)), alignment, bytes);
        operator_delete_aligned(operator_new_aligned(bytes, alignment), alignment);
        operator_delete_array_aligned_sized(operator_new_array_aligned(bytes, alignment), bytes,
                                            alignment);
        char *p = hidden(realloc(hidden(aligned_alloc(alignment, bytes)), bytes + 8));
        free(realloc(p, bytes / 2));
    }
    puts("right");
}

/* --- guards ----------------------------------------------------------------------------------- */

static void guard_write(void) {
    char *p = make();
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    p[(bytes + 8 + page - 1) / page * page] = 'b';
}
static void guard_before(void) {
    char *p = make();
    printf("%d\n", p[-1]);
}
static int by_address(const void *a, const void *b) {
    const char *const *left = a, *const *right = b;
    return (*left > *right) - (*left < *right);
}
/* So many that they lie in two slabs and more: between these is more than a slab. */
static void guard_between(void) {
    enum { MANY = 3000, GAP = 1 << 16 };
    static char *blocks[MANY];
    for (size_t i = 0; i < MANY; i++)
        blocks[i] = hidden(malloc(bytes));
    qsort(blocks, MANY, sizeof *blocks, by_address);
    for (size_t i = 0; i + 1 < MANY; i++)
        if (blocks[i + 1] - blocks[i] > GAP)
            blocks[i + 1][-GAP / 2] = 'b';
    puts("no gap");
}
/* Several, for the torture build has some system calls refused, this one's among them. */
static void guard_read_freed(void) {
    for (int i = 0; i < 8; i++) {
        char *p = make();
        free(p);
        printf("%d\n", p[77]);
    }
}
static void empty_read(void) {
    char *p = hidden(malloc(0));
    printf("%d\n", p[0]);
}
static void empty_twice(void) {
    char *p = hidden(malloc(0));
    free(p);
    free(p);
}
static void empty_mismatch(void) { operator_delete(hidden(malloc(0))); }
static void empty_interior(void) { free(hidden(malloc(0)) + 3); }
static void null_read(void) { printf("%d\n", *hidden(NULL)); }
static void empty_right(void) {
    char *p = hidden(malloc(0));
    char *q = hidden(malloc(0));
    printf("%d %zu\n", p != q && p != NULL && ((uintptr_t)p & 15) == 0, malloc_usable_size(p));
    p = hidden(realloc(p, 100));
    memset(p, 1, 100);
    free(p);
    free(q);
    for (int i = 0; i < 100000; i++)
        free(hidden(malloc(0)));
    operator_delete(operator_new(0));
    operator_delete_array(operator_new_array(0));
    puts("right");
}
/* More guarded blocks than there are guards, and as many freed. */
static void guard_many(void) {
    enum { MANY = 20000 };
    static char *blocks[MANY];
    for (size_t i = 0; i < MANY; i++)
        blocks[i] = hidden(malloc(140000));
    for (size_t i = 0; i < MANY; i++)
        blocks[i][139999] = 1;
    for (size_t i = 0; i < MANY; i++)
        free(blocks[i]);
    printf("whole %d\n", slm_check_heap(2));
}

/* 1 + 1 + 2 + 2 + ... + 149 + 149 + 150 bytes: as many places as sizes. */
static void leaks_of_many_sizes(void) {
    for (size_t i = 0; i < 299; i++)
        hidden(malloc(i / 2 + 1));
}

const struct scene more_scenes[] = {
    SCENE(align_other),       SCENE(align_none_told),         SCENE(align_none_asked),
    SCENE(align_array),       SCENE(align_free),              SCENE(align_free_malloc),
    SCENE(align_no_power),    SCENE(align_right),             SCENE(leaks_of_many_sizes),
    SCENE(guard_write),       SCENE(guard_before),            SCENE(guard_between),
    SCENE(guard_read_freed),  SCENE(guard_many),              SCENE(null_read),
    SCENE(empty_read),        SCENE(empty_twice),             SCENE(empty_mismatch),
    SCENE(empty_interior),    SCENE(empty_right),
    {NULL, NULL},
};
