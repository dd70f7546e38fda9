/* Purpose: which live blocks can be reached from where a program keeps its pointers, and which of
 *          the others only others lead to.
 * Owns:    while it looks, a stack of blocks to look through; two flags of each record.
 * Locking: the caller holds all of the heap's locks, and has stopped the other threads as far as
 *          they let it.
 *
 * Every aligned word that, taken as an address, lies in a block's slot or pages counts as a pointer
 * to it: to its first byte or to any other.
 *
 *   roots --> block --> block        RECORD_REACHED
 *             block --> block        lost; lost, and RECORD_HELD
 *             block <-> block        of a ring, one is lost, the others are held */
#ifndef SLM_CHECK_REACH_H
#define SLM_CHECK_REACH_H

#include "check/leaks.h"
#include "check/record.h"
#include "os/look.h"
#include "os/tasks.h"

enum reach_mode { REACH_ROOTS, REACH_TOUCH, REACH_LOST };

struct reach {
    enum reach_mode mode;
    struct span blocks;  /* all of them lie in here */
    uintptr_t origin;    /* the block whose words are looked at: of itself it says nothing */
    uintptr_t *pending;  /* blocks that were found and not looked through yet */
    size_t depth, room;
    struct span *large;  /* LARGE blocks, lowest first */
    size_t large_count;
    void *memory;        /* of both */
    size_t memory_bytes;
    struct os_peek peek; /* memory of the program is copied: it may not be readable */
};

/* False: no memory. */
bool reach_begin(struct reach *reach);
void reach_end(struct reach *reach);

/* What these words, or those in a piece of memory, point to is found. */
void reach_words(struct reach *reach, const uintptr_t *words, size_t count);
void reach_memory(struct reach *reach, uintptr_t start, uintptr_t end);

/* And so is all that it leads to. */
void reach_follow(struct reach *reach);

/* With the reached ones and libc's own marked: marks those of the lost that others hold. */
void reach_sort_out(struct reach *reach);

static inline bool record_is_lost(const struct record *record) {
    return (record->flags & (RECORD_REACHED | RECORD_LIBC)) == 0;
}

/* --- roots.c ---------------------------------------------------------------------------------- */

/* Looks at every root. False: without a list of mappings, only at the data of modules, the caller's
 * stack and thread-local variables, and at blocks from before checks. */
bool roots_look(struct reach *reach, const struct check_caller *caller,
                const struct os_tasks *tasks);

#endif
