/* Purpose: where the record of a block lies: beside its slab, or at its LARGE block's extent.
 * Owns:    the tables and notes, and the free ones among them, for ever.
 * Locking: RANK_BLOCKS of the block, held by the caller, but where said otherwise; RANK_CHECK,
 *          taken inside, for what is free and where tables are kept. A table's memory stays one of
 *          its class, so that a reader without the lock finds records in it, if maybe others. */
#ifndef SLM_CHECK_RECORD_H
#define SLM_CHECK_RECORD_H

#include <string.h>

#include "check/check.h"
#include "slab/slab.h"

enum { EVENTS = CHECK_EVENTS_MAX };

/* A call about a block. */
struct event {
    uint32_t stack;  /* its number (stacks.h), 0: none */
    uint32_t thread; /* gettid(2) */
    uint64_t bytes : 48;
    uint64_t call : 8; /* enum call; CALL_NONE: there is no event */
    uint64_t frees : 8;
};

enum record_flags {
    RECORD_LIVE = 1,
    RECORD_DEAD = 2,
    RECORD_FILLED = 4, /* DEAD: all of it was filled with freed_byte */
    RECORD_LIBC = 8,   /* LIVE, at exit: libc's own (leaks.c) */
    RECORD_SEEN = 16,  /* and looked through for pointers to others of its own */
    RECORD_REACHED = 32, /* LIVE, while leaks are looked for (reach.h): a root leads to it, */
    RECORD_HELD = 64,    /* or another block that no root leads to */
};

struct record {
    uint64_t bytes : 47;    /* asked for */
    uint64_t call : 5;      /* enum call, that allocated it */
    uint64_t alignment : 5; /* asked for: its logarithm + 1, at most ALIGNMENT_MOST; 0: none was */
    uint64_t flags : 7;
};

enum { ALIGNMENT_MOST = 31 };

_Static_assert(sizeof(struct record) == 8, "one for every slot");
_Static_assert((int)CALL_COUNT <= 32 && RECORD_HELD < 128, "calls and flags fit");
_Static_assert(sizeof(struct event) == 16, "and some of these");

static inline unsigned record_alignment(size_t alignment) {
    unsigned known = alignment != 0 ? bit_highest(alignment) + 1 : 0;
    return known < ALIGNMENT_MOST ? known : ALIGNMENT_MOST;
}

/* As one store: who sees the record live sees what was written before. */
static inline void record_store(struct record *record, struct record value) {
    uint64_t word;
    memcpy(&word, &value, sizeof word);
    store_release((uint64_t __attribute__((may_alias)) *)(void *)record, word);
}

struct place {
    struct record *record; /* NULL: there is none */
    struct event *events;  /* EVENTS of them, latest first; NULL: no history */
    size_t room;           /* bytes of the slot or of the block's pages */
    bool is_large;
};

/* The record of the slot or LARGE block that starts at `start` and is live for the heap; made if
 * `make`. The block belongs to the caller, or the heap was found to say that it is live just now.
 */
struct place record_find(uintptr_t start, bool make);

/* The same of any slot, live or not, for readers without the lock; never made. */
struct place record_peek(uintptr_t start);

/* Takes the note of a LARGE block away, before the heap frees the block. */
void record_drop_large(uintptr_t start);

/* What the heap and the records say about giving `pointer` back. */
enum fault record_examine(uintptr_t start, struct place *place);

/* The live known block that `address` lies in; its start, or 0. */
uintptr_t record_block_of(uintptr_t address, struct place *place);

/* Calls `visit` for each live known block. */
void record_walk(void (*visit)(uintptr_t start, const struct place *place, void *context),
                 void *context);

/* And for each block that lives for the heap and has no record. */
void record_walk_unknown(void (*visit)(uintptr_t start, size_t bytes, void *context),
                         void *context);

#endif
