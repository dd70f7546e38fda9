/* Purpose: malloc and free, and the faults that only C's functions make possible. */
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"

const bool is_c = true;
void *take_bytes(size_t n) { return malloc(n); }
void give(void *pointer) { free(pointer); }

/* --- realloc ---------------------------------------------------------------------------------- */

/* By growing it until it has moved; what was there before is freed. */
static char *moved_away(char **now) {
    char *old = take();
    memset(old, SECRET, bytes);
    *now = old;
    for (size_t n = 2 * bytes; *now == old; n *= 2)
        *now = hidden(realloc(*now, n));
    return old;
}

static void double_free_moved(void) {
    char *now, *old = moved_away(&now);
    free(old);
    look_for_twins();
}
static void double_free_by_realloc_0(void) {
    char *block = take(), *gone = realloc(block, bytes - bytes);
    saw_unless(gone == NULL, "realloc to 0 bytes gave a block");
    free(hidden(block));
    look_for_twins();
}
static void write_moved(void) {
    char *now, *old = moved_away(&now);
    memset(hidden(old), STRAY, 8);
    saw_unless(is_all(now, SECRET, bytes), "another block's data is damaged");
    free(now);
    settle();
}
static void read_moved(void) {
    char *now, *old = moved_away(&now);
    for (size_t i = 0; i < bytes; i++)
        if (*(volatile char *)hidden(old + i) == SECRET)
            saw("reads the old data");
    free(now);
}
static void realloc_freed(void) {
    char *block = take();
    free(block);
    char *now = hidden(realloc(hidden(block), bytes * 2));
    saw_unless(now != block, "a freed block is resized");
    look_for_twins();
}
static void realloc_freed_shrink(void) {
    char *block = take();
    free(block);
    saw_unless(hidden(realloc(hidden(block), bytes / 2)) != block, "a freed block is resized");
    look_for_twins();
}
static void realloc_inside(void) {
    char *block = take();
    hidden(realloc(hidden(block + 16), bytes * 2));
    look_for_twins();
    go_on();
}
static void realloc_stack(void) {
    require_zone(TINY);
    char on_stack[256] __attribute__((aligned(16)));
    memset(on_stack, 0, sizeof on_stack);
    hidden(realloc(hidden(on_stack + 64), 1000));
}
static void usable_size_freed(void) {
    char *block = take();
    free(block);
    saw_unless(malloc_usable_size(hidden(block)) == 0, "a freed block has a size");
}
static void usable_size_inside(void) {
    char *block = take();
    saw_unless(malloc_usable_size(hidden(block + 16)) == 0, "the inside of a block has a size");
    free(block);
}
static void overflow_grown(void) {
    char *block = hidden(realloc(take(), bytes + bytes / 8));
    memset(hidden(block + bytes + bytes / 8), STRAY, 8);
    free(block);
    go_on();
}
static void overflow_found_by_realloc(void) {
    char *block = take();
    memset(hidden(block + bytes), STRAY, 8);
    block = hidden(realloc(block, 3 * bytes));
    free(block);
    go_on();
}

/* --- other ways of allocating ----------------------------------------------------------------- */

static void overflow_calloc(void) {
    char *block = hidden(calloc(bytes, 1));
    memset(hidden(block + bytes), STRAY, 8);
    free(block);
    go_on();
}
static void overflow_aligned(void) {
    char *block = hidden(aligned_alloc(64, bytes));
    memset(hidden(block + bytes), STRAY, 8);
    free(block);
    go_on();
}
static void double_free_aligned(void) {
    char *block = hidden(aligned_alloc(256, bytes));
    free(block);
    free(hidden(block));
    look_for_twins();
}
/* What the aligned block was cut from, which some allocators return to the system by. */
static void interior_aligned(void) {
    char *block = hidden(aligned_alloc(4096, bytes));
    free(hidden(block + 64));
    look_for_twins();
    free(block);
    go_on();
}
static void overflow_strdup(void) {
    char *text = take();
    text[bytes - 1] = 0;
    char *copy = hidden(strdup(text));
    strcat(hidden(copy), "BBBBBBBB");
    free(copy);
    free(text);
    go_on();
}
static void free_behind_space(void) {
    char *text = take(), *copy;
    text[0] = ' ';
    text[bytes - 1] = 0;
    copy = hidden(strdup(text));
    copy += *copy == ' ';
    free(hidden(copy));
    look_for_twins();
}

/* --- C23: the caller tells the size ----------------------------------------------------------- */

static void *lookup(const char *name) {
    void *function = dlsym(RTLD_DEFAULT, name);
    if (function == NULL)
        not_here();
    return function;
}
static void tell_size(size_t told) {
    void (*free_sized)(void *, size_t) = (void (*)(void *, size_t))lookup("free_sized");
    free_sized(take(), told);
    look_for_twins();
    go_on();
}
static void free_sized_less(void) { tell_size(bytes / 4); }
static void free_sized_more(void) { tell_size(bytes * 4); }
static void free_sized_by_1(void) { tell_size(bytes - 1); }

static void tell_alignment(size_t alignment, size_t told) {
    typedef void free_aligned_sized(void *, size_t, size_t);
    free_aligned_sized *function = (free_aligned_sized *)lookup("free_aligned_sized");
    char *block = hidden(aligned_alloc(64, bytes));
    function(block, alignment, told);
    look_for_twins();
    go_on();
}
static void free_aligned_wrong_size(void) { tell_alignment(64, bytes * 4); }
static void free_aligned_wrong_alignment(void) { tell_alignment(256, bytes); }

const struct scene own_scenes[] = {
    {"double_free_moved", double_free_moved},
    {"double_free_by_realloc_0", double_free_by_realloc_0},
    {"double_free_aligned", double_free_aligned},
    {"interior_aligned", interior_aligned},
    {"free_behind_space", free_behind_space},
    {"write_moved", write_moved},
    {"read_moved", read_moved},
    {"realloc_freed", realloc_freed},
    {"realloc_freed_shrink", realloc_freed_shrink},
    {"realloc_inside", realloc_inside},
    {"realloc_stack", realloc_stack},
    {"usable_size_freed", usable_size_freed},
    {"usable_size_inside", usable_size_inside},
    {"overflow_grown", overflow_grown},
    {"overflow_found_by_realloc", overflow_found_by_realloc},
    {"overflow_calloc", overflow_calloc},
    {"overflow_aligned", overflow_aligned},
    {"overflow_strdup", overflow_strdup},
    {"free_sized_less", free_sized_less},
    {"free_sized_more", free_sized_more},
    {"free_sized_by_1", free_sized_by_1},
    {"free_aligned_wrong_size", free_aligned_wrong_size},
    {"free_aligned_wrong_alignment", free_aligned_wrong_alignment},
    {NULL, NULL},
};
const struct scene more_scenes[] = {{NULL, NULL}};
