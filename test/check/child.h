/* Purpose: what the scenes of check_child share. */
#ifndef TEST_CHECK_CHILD_H
#define TEST_CHECK_CHILD_H

#include <stdbool.h>
#include <stddef.h>

void *operator_new(size_t size) __asm__("_Znwm");
void *operator_new_array(size_t size) __asm__("_Znam");
void operator_delete(void *pointer) __asm__("_ZdlPv");
void operator_delete_array(void *pointer) __asm__("_ZdaPv");
void operator_delete_sized(void *pointer, size_t size) __asm__("_ZdlPvm");
void operator_delete_array_sized(void *pointer, size_t size) __asm__("_ZdaPvm");
void *operator_new_aligned(size_t size, size_t alignment) __asm__("_ZnwmSt11align_val_t");
void *operator_new_array_aligned(size_t size, size_t alignment) __asm__("_ZnamSt11align_val_t");
void operator_delete_aligned(void *pointer, size_t alignment) __asm__("_ZdlPvSt11align_val_t");
void operator_delete_array_aligned_sized(void *pointer, size_t size,
                                         size_t alignment) __asm__("_ZdaPvmSt11align_val_t");
void free_sized(void *pointer, size_t size);
void free_aligned_sized(void *pointer, size_t alignment, size_t size);

extern size_t bytes; /* of a block, by the command line */

/* Where a block comes from is hidden, or the compiler would find the faults itself. */
static inline char *hidden(void *pointer) {
    void *volatile copy = pointer;
    return copy;
}

/* A block of malloc's, filled; its address is printed. */
char *make(void);

struct scene {
    const char *name;
    void (*run)(void);
};

#define SCENE(name) {#name, name}

/* child_more.c; ended by one without a name. */
extern const struct scene more_scenes[];

#endif
