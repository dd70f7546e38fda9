/* Purpose: what unwinding has found out before, by the address of the code: nearly every caller is
 *          found by two offsets.
 * Owns:    a table of a fixed size; what falls on one place replaces what was there.
 * Locking: none. A word of a place is the other one's, XORed with what is kept: so a pair of
 *          which two threads have written one word each is of no code. (After Hyatt and Mann, "A
 *          lock-less transposition table implementation for parallel search chess engines", 2002.)
 */
#ifndef SLM_OS_UNWIND_KNOWN_H
#define SLM_OS_UNWIND_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "os/object.h"

/* The frame's address (CFA) is the stack or the frame pointer and an offset; the return address
 * lies below it, and the caller's frame pointer further below, or where it was. In words of 8
 * bytes. */
struct unwind_known {
    bool is_end;          /* there is no caller */
    bool by_frame;        /* the frame pointer it is, not the stack's */
    uint32_t offset;      /* below 2^24 */
    uint32_t saved_below; /* 0: the caller's frame pointer is where it was; below 2^14 */
};

/* Not kept: what has greater offsets. */
void unwind_remember(uintptr_t code, const struct os_object *object,
                     const struct unwind_known *known);

/* False: not known. The code has to lie in the same file as it did: another one may have come to
 * lie there. */
bool unwind_recall(uintptr_t code, const struct os_object *object, struct unwind_known *known);

#endif
