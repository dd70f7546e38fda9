/* Purpose: the first broken invariant that a walk over the heap finds. Each layer verifies its own
 *          (slab/verify.c, large/extent.c, cache/verify.c); heap/verify.c asks all of them.
 * Owns:    nothing. */
#ifndef SLM_CORE_VIOLATION_H
#define SLM_CORE_VIOLATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct violation {
    const char *what;  /* a sentence without its end: "a slab's summary denies its bits" */
    uintptr_t where;   /* the block, slab or structure it is about */
    uintptr_t details[2]; /* what was found there, and what ought to be; 0 and 0: no figures */
};

static inline bool violated(struct violation *violation, const char *what, uintptr_t where,
                            uintptr_t found, uintptr_t expected) {
    *violation = (struct violation){what, where, {found, expected}};
    return false;
}

/* In a function that returns bool and has a `struct violation *violation`: */
#define MUST_HOLD(condition, what, where)                                                         \
    do {                                                                                          \
        if (UNLIKELY(!(condition)))                                                               \
            return violated(violation, (what), (uintptr_t)(where), 0, 0);                         \
    } while (0)
#define MUST_EQUAL(found, expected, what, where)                                                  \
    do {                                                                                          \
        uintptr_t found_ = (uintptr_t)(found), expected_ = (uintptr_t)(expected);                 \
        if (UNLIKELY(found_ != expected_))                                                        \
            return violated(violation, (what), (uintptr_t)(where), found_, expected_);            \
    } while (0)

#endif
