/* What every unit test uses: a cheap assertion, a random generator, and the heap's set-up without
 * the faults that the torture build arms.
 *
 * Criterion reports each assertion, passed or not, to its parent process; EXPECT only those that
 * fail, so that it can stand in a loop of millions. */
#ifndef SLM_TEST_UNIT_EXPECT_H
#define SLM_TEST_UNIT_EXPECT_H

#include <criterion/criterion.h>
#include <stdint.h>

#include "os/os.h"

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            cr_assert_fail("%s:%d: %s", __FILE__, __LINE__, #condition);                           \
    } while (0)

/* With a number that says where in a loop. */
#define EXPECT_AT(condition, where)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            cr_assert_fail("%s:%d: %s, at %llu", __FILE__, __LINE__, #condition,                   \
                           (unsigned long long)(where));                                           \
    } while (0)

#define EXPECT_EQ(value, expected)                                                                 \
    do {                                                                                           \
        unsigned long long expect_is = (unsigned long long)(value);                                \
        unsigned long long expect_should = (unsigned long long)(expected);                         \
        if (expect_is != expect_should)                                                            \
            cr_assert_fail("%s:%d: %s is %llu, not %llu", __FILE__, __LINE__, #value, expect_is,   \
                           expect_should);                                                         \
    } while (0)

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

/* The page size is known, and no system call fails. */
static inline void quiet_os(void) {
    os_init();
    os_inject(0, 0, 0);
}

#endif
