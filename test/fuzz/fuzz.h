/* Purpose: what the files of the fuzz targets share: the input, the table of live blocks with its
 *          checks, the threads that take turns, the queries about pointers that are no blocks. */
#ifndef SLM_TEST_FUZZ_FUZZ_H
#define SLM_TEST_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/classes.h"
#include "shadow.h"

/* One input. libFuzzer (or standalone.c) defines main and calls this, always from one thread. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Tells what is wrong, where in the input, and aborts. */
void fuzz_fail(const char *what, const struct block *block) __attribute__((noreturn));

/* --- the input ---- */

struct input {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    unsigned calls; /* operations decoded so far */
};

extern struct input input;

/* The next byte; 0 behind the end. */
static inline unsigned take_byte(void) {
    return input.at < input.size ? input.bytes[input.at++] : 0;
}

/* --- table.c: the live blocks, by slot of the table and by address ---- */

enum { TABLE_SLOTS = 256, TABLE_BYTES_MAX = 2 << 20 };

/* The block of a slot; its memory is NULL if the slot is empty. */
const struct block *table_get(unsigned slot);
size_t table_bytes(void);

/* Enters a block with memory, size and alignment, and fills it: it must be aligned, large enough
 * and apart from every other. Its slot is empty. */
void table_enter(unsigned slot, struct block block);

/* Takes a block out, whose usable size and contents must be as ever. */
struct block table_remove(unsigned slot);

/* The live block that `address` lies in, or NULL. */
const struct block *table_find(uintptr_t address);

/* Whether a fresh block may have that usable size, if the system refused nothing: that of the least
 * class, or in SMALL of a larger one of the same doubling. */
bool usable_is_expected(size_t usable, size_t size, size_t alignment);

/* What the heap says it holds is what the table holds; and the heap's own check of itself. */
void table_check_heap(void);

/* After the last free, with no thread left: no slab is in use but by the shared cache. */
void table_check_nothing_left(void);

/* --- actors.c: threads that take turns ---- */

enum { ACTORS = 3 };

enum request_kind { REQUEST_SWITCH, REQUEST_EXIT, REQUEST_END };

/* What the thread whose turn ends wants: another actor's turn, its own end first or not; or the end
 * of the input. */
struct request {
    enum request_kind kind;
    unsigned next;
};

/* Runs `turn` in actor 0, then in whichever actor it asks for, until it asks for the end; then lets
 * every actor's thread end, one after the other. An actor's thread starts with its first turn. */
void actors_run(struct request (*turn)(unsigned actor));

/* --- queries.c: pointers that are no blocks, and some that are ---- */

/* heap_usable and what it stands on must say of `address` what the table says. */
void query_address(uintptr_t address);

/* The same, of a block that has just been freed. */
void query_freed(const struct block *block);

/* An address that follows from the input, and perhaps from a block. */
void query_any(unsigned variant, const struct block *block);

#endif
