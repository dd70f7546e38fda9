/* Purpose: the debugging policies: what is asked for by an option, costs nothing without it, and
 *          finds what the bitmaps alone can't: bytes written behind a block or into a freed one, a
 *          block that the wrong function gives back, who allocated it, and what was never freed.
 * Owns:    a record of every slot and LARGE block that was allocated since checks began, in
 *          metadata memory; the quarantine; the call stacks seen; what was found wrong.
 * Locking: those of locks.h, the first of all, held for a few loads and stores; never while a block
 *          is filled or verified, never around a system call but for metadata.
 *
 * How the hot paths are left without a test in them: checks are switched on once, before main. From
 * then on a thread that first calls gets `cache_dead`, which owns no slab and has no free slot; so
 * each of its calls goes the slow way, where `check_active` is tested, and then through here.
 * heap/checked.c is the way in: it takes memory from, and gives it to, the heap as it is without
 * checks, which serves such threads from the slabs that all share (cache/common.h).
 *
 *   malloc:  heap -> slot -> check_born: was it written to while free? | fill, canary | record LIVE
 *   free:    check_release: record DEAD | canary | kind and what is told | fill -> quarantine
 *            check_evict: what leaves the quarantine: written to meanwhile? -> heap
 *
 *   slab         --> struct table: one record, and some events, for each slot
 *   extent->note --> struct note:  the same for one LARGE block
 *
 *   a block:  | what was asked for | canary, to the end of the slot or of the last page |
 *
 * Blocks from before checks began, and those of threads that ran before and have not entered a slow
 * path since, have no record: "not known". They are told apart exactly, for a record is LIVE only
 * between check_born and check_release of that very block, and everything that frees a known block
 * comes through here (its slab is a row's or the shared cache's, never a thread's own). A slab that
 * was given back and formatted anew has `is_new_life` set: then its table counts for nothing.
 *
 * A DEAD record whose slot is live by the bitmap is of a block in quarantine, or on its way. */
#ifndef SLM_CHECK_CHECK_H
#define SLM_CHECK_CHECK_H

#include "cache/cache.h"
#include "core/call.h"
#include "core/fault.h"

/* What the options ask for, since check_start. */
struct check_policy {
    bool canary;
    bool fill_new;              /* with FILL_NEW, unless by calloc */
    bool fill_freed;            /* with freed_byte; and verified before it is used again */
    bool kinds;
    bool history;
    bool random;
    bool guard;
    unsigned char freed_byte;
    size_t tail_bytes;          /* asked of the heap beyond what the program asks for */
    size_t quarantine_bytes;
    uint64_t secret;
};

enum { FILL_NEW = 0xb5, FILL_FREED = 0xdf, CANARY_BYTES_MIN = 8 };

extern struct check_policy check_policy;
extern uint32_t check_active HIDDEN;

/* --- policy.c --------------------------------------------------------------------------------- */

/* Reads the options; true if any asks for checks, which are on from here. */
bool check_start(void);

/* In a forked child. */
void check_after_fork(void);

/* A number that is hard to foresee. */
uint64_t check_random(void);

struct check_finding {
    enum fault fault;
    enum call call;      /* that found it */
    enum call made_by;
    uint32_t thread;     /* that found it, by gettid(2) */
    uintptr_t start;     /* of the block */
    size_t bytes;        /* asked for it */
    size_t offset;       /* of the first wrong byte */
    size_t count;        /* of wrong bytes up to the last */
    size_t alignment;    /* asked for it, or 0 */
    struct told told;    /* FAULT_WRONG_SIZE, FAULT_WRONG_ALIGNMENT */
    unsigned char byte;  /* that was found there */
};

/* --- block.c: the life of a block ------------------------------------------------------------- */

/* The heap has given out a block for `bytes` + tail_bytes: it gets its record, its fill and its
 * canary. `alignment` was asked for, unless it is 0. `is_zero`: it reads as zero. */
void check_born(void *pointer, size_t bytes, size_t alignment, enum call call, bool is_zero);

enum check_outcome {
    CHECK_GIVE, /* it is the heap's to free now */
    CHECK_KEEP, /* it is in quarantine: look what had to leave it */
};

/* The program gives a block back. A fault of the pointer is returned, and nothing done; what is
 * wrong with the block is noted as a finding. */
enum fault check_release(void *pointer, enum call call, struct told told,
                         enum check_outcome *outcome);

/* Takes a block out of the quarantine, if that is over its limit or if `all`; NULL: none. It is the
 * heap's to free. */
void *check_evict(enum call call, bool all);

/* The size that was asked for a known block. `*known` false: the heap knows it, or the fault. */
size_t check_size(const void *pointer, bool *known, enum fault *fault);

/* realloc takes a known block for resizing: until check_resized it counts as given back. False: it
 * is not known, or `*fault`. */
bool check_claim(void *pointer, enum call call, size_t *bytes, enum fault *fault);

/* It is live again, perhaps elsewhere, with `bytes` and a tail; `old_bytes` of it are the
 * program's. CALL_NONE: as it was. */
void check_resized(void *pointer, size_t old_bytes, size_t bytes, enum call call);

/* Verifies the canary of each live block and the fill of each one in quarantine. False: the finding
 * is the first that was written to. The caller holds the lock. */
bool check_verify_blocks(struct check_finding *finding);

/* --- empty.c: blocks of 0 bytes that can't be accessed, with guards on ------------------------ */

/* NULL: there is no room. */
void *check_take_empty(enum call call);

/* Whether the address lies among them; `*call` is what made the block, `*fault` why it can't be
 * given back. */
bool check_is_empty(uintptr_t address, enum call *call, enum fault *fault);

/* Of an address among them. */
enum fault check_give_empty(void *pointer, enum call call, struct told told);

/* --- findings.c ------------------------------------------------------------------------------- */

/* What heap_late_fault says when findings wait to be told. */
#define CHECK_HAS_FINDINGS ((struct slab *)&cache_no_slab)

void check_note(const struct check_finding *finding);

/* The oldest, once; false: there are none. */
bool check_take(struct check_finding *finding);

/* --- record.c, for diagnosis: takes no lock --------------------------------------------------- */

enum check_state {
    CHECK_UNKNOWN, /* allocated without checks, or free and never allocated with them */
    CHECK_LIVE,
    CHECK_FREED,
};

/* What is known of the block that starts at `start`, a slot's or a LARGE block's. */
struct check_facts {
    enum check_state state;
    enum call call; /* that allocated it */
    size_t bytes;   /* asked for */
};

struct check_facts check_facts_of(uintptr_t start);

/* Where the slot or LARGE block begins that `address` lies in, live or not; 0: in none. */
uintptr_t check_block_start(uintptr_t address);

/* --- kinds.c ---------------------------------------------------------------------------------- */

/* Of two calls of different families: whether that is an error, as far as can be known. */
bool check_is_mismatch(enum call made_by, enum call call);

/* --- history.c: takes no lock ----------------------------------------------------------------- */

enum { CHECK_EVENTS_MAX = 4 };

struct check_event {
    enum call call;
    bool frees;
    uint32_t thread;         /* gettid(2) */
    size_t bytes;            /* asked for */
    const uintptr_t *frames; /* return addresses, innermost first; they stay */
    unsigned depth;
};

/* The last calls about the slot or LARGE block that starts at `start`, latest first. */
size_t check_history(uintptr_t start, struct check_event *events, size_t count);

#endif
