/* Purpose: what the tables of a loaded file say of one function: instructions that unwind.c runs.
 * Owns:    nothing.
 * Locking: none. The file is one that is on the stack, so it stays loaded. */
#ifndef SLM_OS_UNWIND_TABLE_H
#define SLM_OS_UNWIND_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/object.h"

enum { UNWIND_RETURN_REGISTER = 16 }; /* the DWARF number of the return address, x86-64 */

/* What is read, from the front. `failed`: it was too short, or is not understood. */
struct bytes {
    const uint8_t *at, *end;
    bool failed;
};

/* So many bytes, the lowest first; a number in 7 bits a byte (LEB128); so many bytes as the number
 * before them says. 0 and none after a failure. */
uint64_t bytes_take(struct bytes *bytes, size_t count);
uint64_t bytes_take_unsigned(struct bytes *bytes);
int64_t bytes_take_signed(struct bytes *bytes);
struct bytes bytes_take_block(struct bytes *bytes);

/* What a function's entry and the common one that it names say. */
struct unwind_entry {
    uintptr_t start, length; /* of the function */
    uint64_t code_factor;
    int64_t data_factor;
    bool is_signal_frame;
    struct bytes first, own; /* instructions: the common entry's, then its own */
};

/* The entry of the function that `code` lies in. False: there is none, or it is not understood. */
bool unwind_find(const struct os_object *object, uintptr_t code, struct unwind_entry *entry);

#endif
