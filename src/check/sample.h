/* Purpose: the heap profile: who allocated what lives, and what ever lived, estimated from a sample
 *          of the allocations (field cases H1, H2).
 * Owns:    what is known of each sampled block, and sums for each call stack, for ever.
 * Locking: RANK_CHECK, taken inside when a block is sampled; none to free one, nor to read.
 *
 * The sample is a Poisson process over bytes: each byte that is allocated is as likely as any
 * other to be the one at which a sample is taken, one in `sample` bytes (the option) in the mean.
 * So a block of n bytes is sampled with the probability p = 1 - exp(-n / sample), whatever came
 * before it, and a sampled one stands for 1 / p such blocks: the sums are unbiased for each size
 * and each stack. (As in tcmalloc, "How sampling in TCMalloc works"; that each block is weighted by
 * its own size, rather than a stack's sum by its mean, is what jemalloc corrected in 5.3.0.)
 *
 * While sampling is on, zone_close_hot_paths leads each allocation through heap/sampled.c, which
 * counts its bytes, thread by thread, and goes on as usual. A sampled block is a LARGE one, of
 * pages of its own, whatever its size: so a free finds out without a look at anything that other
 * blocks do not have, and the note lies where checks have theirs; which are not on at the same
 * time. */
#ifndef SLM_CHECK_SAMPLE_H
#define SLM_CHECK_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

/* Estimates of numbers of blocks are in parts of a block. */
enum { SAMPLE_UNIT = 1024 };

/* What a thread has yet to allocate before its next sample. */
struct sample_thread {
    int64_t left;
    uint32_t round; /* that this was drawn in */
    uint32_t is_inside;
};

extern __thread struct sample_thread sample_self HIDDEN __attribute__((tls_model("initial-exec")));

/* Goes up whenever the option changes; 0: sampling was never on. */
extern uint32_t sample_round HIDDEN;

/* Mean number of bytes between samples; 0: sampling is off. */
extern uint64_t sample_interval HIDDEN;

/* Sampled blocks that live. */
extern uint64_t sample_live HIDDEN;

HOT_INLINE bool sample_is_on(void) { return UNLIKELY(load_relaxed(&sample_interval) != 0); }

/* As the options say. */
void sample_apply_options(void);

COLD bool sample_is_due(size_t bytes);

/* What an allocation counts as: one of 0 bytes as one of 1, or it would never be sampled. */
HOT_INLINE size_t sample_size(size_t bytes) { return bytes + (bytes == 0); }

/* Counts an allocation that is no sample. */
HOT_INLINE void sample_pass(size_t bytes) { sample_self.left -= (int64_t)sample_size(bytes); }

/* Counts an allocation. True: it is to be sampled. */
HOT_INLINE bool sample_count(size_t bytes) {
    struct sample_thread *self = &sample_self;
    sample_pass(bytes);
    return UNLIKELY((self->left < 0) | (self->round != load_relaxed(&sample_round))) &&
           sample_is_due(bytes);
}

/* Whether an allocation of so many bytes is none. */
HOT_INLINE bool sample_is_far(size_t bytes) {
    return LIKELY(sample_self.left > (int64_t)bytes) &&
           LIKELY(sample_self.round == load_relaxed(&sample_round));
}

/* Around what is done for a sample: allocations of a signal handler meanwhile are none. */
static inline void sample_begin(void) { sample_self.is_inside = 1; }
static inline void sample_end(void) { sample_self.is_inside = 0; }

/* The LARGE block that the caller has just allocated is a sample, of whoever called the library.
 * Without memory for that, it is not. */
void sample_add(void *pointer, size_t bytes);

/* A LARGE block is about to be freed or to become another one: if it is sampled, it lives no more.
 * `pointer` may be anything. */
COLD void sample_take_out(const void *pointer);
HOT_INLINE void sample_forget(const void *pointer) {
    if (UNLIKELY(load_relaxed(&sample_live) != 0))
        sample_take_out(pointer);
}

/* Estimates: of what lives, and of all that was allocated while sampling was on. */
struct sample_sums {
    uint64_t live_units, live_bytes; /* blocks, in parts of SAMPLE_UNIT */
    uint64_t made_units, made_bytes;
};

/* Calls `visit` with the sums of each call stack that allocated, and its frames (0: unknown ones).
 * Takes no lock: beside other threads, a moving picture. */
void sample_walk(void (*visit)(const struct sample_sums *sums, const uintptr_t *frames,
                               unsigned depth, void *context),
                 void *context);

#endif
