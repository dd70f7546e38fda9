/* The model's side of a block: what the program should find in it. Contents follow from the block's
 * identity, so that no copy is kept, and another block's contents are told from its own. */
#ifndef SLM_TEST_MODEL_SHADOW_H
#define SLM_TEST_MODEL_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block {
    unsigned char *memory;
    size_t size;      /* asked for */
    size_t usable;    /* all of it is written to */
    size_t alignment; /* asked for, at least 16 */
    uint64_t id;
};

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016). */
static inline uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static inline size_t random_below(uint64_t *state, size_t bound) {
    return (size_t)((random_next(state) >> 11) % bound);
}

/* Writes the contents of `usable` bytes. */
void shadow_fill(const struct block *block);

/* Do the first `bytes` hold what shadow_fill wrote? */
bool shadow_holds(const struct block *block, size_t bytes);

/* The same for one place in the block, chosen by `random`. */
bool shadow_holds_at(const struct block *block, uint64_t random);

bool is_all_zero(const unsigned char *memory, size_t bytes);

/* A size from 0 to 4 MiB: one in four next to a border of a size class or zone, the others with
 * uniform logarithm, more small than large ones. */
size_t random_size(uint64_t *seed);

/* A power of two from 1 to 2 MiB, small ones more often. */
size_t random_alignment(uint64_t *seed);

#endif
