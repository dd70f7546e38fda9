/* What model_test.c (the walk and the checks) and calls.c (one call each) share. */
#ifndef SLM_TEST_MODEL_MODEL_H
#define SLM_TEST_MODEL_MODEL_H

#include "core/classes.h"
#include "shadow.h"
#include "slabmalloc/slabmalloc.h"

enum { BLOCKS_MAX = 12000, KIND_LARGE = CLASS_COUNT, KINDS };
#define BYTES_MAX ((size_t)96 << 20)

struct actor {
    unsigned number;
    uint64_t seed;
    unsigned long step, steps_a_thread;
    size_t bytes, bytes_max;
    size_t live[KINDS];    /* by class, and LARGE */
    uint64_t frees[KINDS]; /* of classes; those of LARGE are not exact, see model_reallocate */
    size_t count;
    struct block blocks[BLOCKS_MAX];
};

/* Tells what is wrong and ends the program. */
void model_fail(const struct actor *actor, const char *what, const struct block *block)
    __attribute__((noreturn));

/* Puts a fresh block (memory, size, alignment) into the table, filled; takes one out of it. */
void model_enter(struct actor *actor, struct block block);
struct block model_remove(struct actor *actor, size_t index);

/* The class of a block, or KIND_LARGE. */
unsigned model_kind(const struct block *block);

/* --- calls.c ---- */

void model_allocate(struct actor *actor);
void model_reallocate(struct actor *actor);
void model_free(struct actor *actor, const struct block *block);

/* A call that must fail, with the right errno and nothing changed; errno is put back. */
void model_fail_on_purpose(struct actor *actor);

#endif
