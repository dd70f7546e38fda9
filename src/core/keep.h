/* Purpose: how much free memory is kept for reuse, however young it is: a part of what is live, or
 *          as the option keep_free says, and what the program shows that it needs.
 * Owns:    one flag; TINY, SMALL and LARGE have a struct keep each.
 * Locking: the caller's, of the memory that it is about.
 *
 * A program that frees all it has and goes to sleep never calls again, so what it freed last has
 * no time to become old (field case F1). What is free beyond the bound goes back at once. A program
 * that does the same again and again, within purge_delay, pays for it once: what went, and is
 * needed while it would still have been kept, is kept from then on, until it is kept in vain. The
 * cost is never more than twice that of the best choice made in advance (ski rental: Karlin,
 * Manasse, Rudolph and Sleator, "Competitive snoopy caching", 1988).
 *
 * A small program does not even pay once: until one of the three has had KEEP_FREE_CREDIT times
 * keep_free, that is the bound. (perf/bench phases, of 110 MiB: 1.13 x the time without that.) */
#ifndef SLM_CORE_KEEP_H
#define SLM_CORE_KEEP_H

#include "core/options.h"
#include "core/params.h"

struct keep_lesson {
    size_t learned;    /* bytes that were missed; others may look */
    size_t gone;       /* bytes that went before their time, which would be kept until then: */
    uint64_t until_ms; /* what is needed later is not missed */
};

struct keep {
    struct keep_lesson excess;  /* of what went as more than the bound; `learned` is beyond that */
    struct keep_lesson made_up; /* of what went for growth elsewhere; `learned` goes no more so */
};

/* Any of them has been beyond its first bound: this is no small program. */
extern bool keep_had_excess HIDDEN;

/* The most bytes of free memory, where `live_bytes` ask for as many. */
static inline size_t keep_most(const struct keep *keep, size_t live_bytes) {
    uint64_t least = option_get(OPTION_keep_free);
    if (least == OPTION_UNLIMITED || option_get(OPTION_purge_delay) == OPTION_UNLIMITED)
        return SIZE_MAX;
    if (!load_relaxed(&keep_had_excess))
        least *= KEEP_FREE_CREDIT;
    return (live_bytes > least ? live_bytes : (size_t)least) + keep->excess.learned;
}

/* There is more than that: from now on the bound is keep_free. */
static inline void keep_note_excess(void) { store_relaxed(&keep_had_excess, true); }

/* So much goes back because of it. */
void keep_note_gone(struct keep *keep, size_t bytes);

/* So much goes back because the heap has grown elsewhere. Only half of it can be missed: a program
 * that frees what it needs again, and grows meanwhile, does so for as long as it grows, and comes
 * to keep all; one that misses something once need not keep all for that. */
void keep_note_made_up(struct keep *keep, size_t bytes);

/* Of so much free memory, what may. With or without the lock. */
static inline size_t keep_may_make_up(const struct keep *keep, size_t bytes) {
    size_t stays = load_relaxed(&keep->made_up.learned);
    return bytes > stays ? bytes - stays : 0;
}

/* So much was kept until it was old, in vain. */
void keep_note_expired(struct keep *keep, size_t bytes);

/* So much memory was taken from the system. */
COLD void keep_note_missed(struct keep *keep, size_t bytes);
static inline void keep_note_needed(struct keep *keep, size_t bytes) {
    if (UNLIKELY((keep->excess.gone | keep->made_up.gone) > 0))
        keep_note_missed(keep, bytes);
}

#endif
