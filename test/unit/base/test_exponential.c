/* Protects: draws of an exponential distribution made without libm: they are what libm says, within
 * the errors that the header names, at the edges too; never negative, and the smaller the larger
 * the number that they are made from; their mean, their variance, and how many lie below what. */
#include "../expect.h"

#include <math.h>

#include "base/exponential.h"

#define DRAW_ERROR 1e-8
#define WITHIN_ERROR 1e-10

/* -log of what the draw is made from: an odd number of 64 bits, over 2^64. */
static double draw_by_libm(uint64_t random) {
    return (double)(64 * logl(2.0L) - logl((long double)(random | 1)));
}

static void check_draw(uint64_t random) {
    double draw = exponential_draw(random);
    EXPECT_AT(draw >= 0, random);
    EXPECT_AT(fabs(draw - draw_by_libm(random)) < DRAW_ERROR, random);
}

Test(exponential, draws_are_logarithms) {
    uint64_t seed = 1;
    check_draw(0);
    check_draw(UINT64_MAX);
    for (unsigned i = 0; i < 64; i++)
        for (int64_t near = -3; near <= 3; near++) {
            check_draw(((uint64_t)1 << i) + (uint64_t)near);
            check_draw((UINT64_MAX >> i) + (uint64_t)near);
            check_draw((UINT64_MAX << i) + (uint64_t)near);
        }
    for (unsigned i = 0; i < 1000000; i++)
        check_draw(random_next(&seed) >> i % 64);
}

Test(exponential, draws_are_between_0_and_that_of_the_smallest) {
    EXPECT(exponential_draw(UINT64_MAX) < DRAW_ERROR);
    EXPECT(fabs(exponential_draw(0) - 64 * log(2)) < DRAW_ERROR);
    EXPECT(exponential_draw(0) == exponential_draw(1));
}

/* A draw of the larger is not larger, but for the last bits of a double. */
static void check_order(uint64_t smaller, uint64_t larger) {
    double draw = exponential_draw(smaller);
    EXPECT_AT(exponential_draw(larger) <= draw + draw * 4e-16 + 4e-16, smaller);
}

Test(exponential, draws_are_monotone) {
    uint64_t seed = 2;
    for (unsigned i = 1; i < 64; i++) {
        uint64_t power = (uint64_t)1 << i;
        check_order(power - 1, power);
        check_order(power, power + 1);
        check_order(power / 2, power);
        check_order(power - power / 1024, power);
        check_order(power, power + power / 1024);
    }
    for (unsigned i = 0; i < 1000000; i++) {
        uint64_t a = random_next(&seed) >> i % 64;
        uint64_t b = i % 2 == 0 ? random_next(&seed) >> i % 64 : a + (a >> 20);
        check_order(a < b ? a : b, a < b ? b : a);
    }
}

Test(exponential, draws_have_mean_and_variance_1) {
    enum { DRAWS = 1000000 };
    static const double limits[] = {0.001, 0.01, 0.1, 0.5, 1, 2, 3, 5, 8};
    enum { LIMITS = sizeof limits / sizeof *limits };
    unsigned below[LIMITS] = {0};
    double sum = 0, squares = 0;
    uint64_t seed = 3;
    for (unsigned i = 0; i < DRAWS; i++) {
        double draw = exponential_draw(random_next(&seed));
        sum += draw;
        squares += draw * draw;
        for (unsigned k = 0; k < LIMITS; k++)
            below[k] += draw <= limits[k];
    }
    /* Five standard deviations of each. */
    double mean = sum / DRAWS;
    EXPECT(fabs(mean - 1) < 0.005);
    EXPECT(fabs(squares / DRAWS - mean * mean - 1) < 0.015);
    for (unsigned k = 0; k < LIMITS; k++) {
        double p = exponential_within(limits[k]);
        EXPECT_AT(fabs((double)below[k] / DRAWS - p) < 5 * sqrt(p * (1 - p) / DRAWS), k);
    }
}

static void check_within(double x) {
    double should = -expm1(-x);
    double is = exponential_within(x);
    if (!(fabs(is - should) <= WITHIN_ERROR * should))
        cr_assert_fail("within %.17g is %.17g, not %.17g", x, is, should);
}

Test(exponential, within_is_what_libm_says) {
    static const double edges[] = {0,  1e-300, 5e-324, 1e-12, 1e-6, 0.5, 1,   2,    3,    10,
                                   37, 39,     39.5,   40,    41,   1e3, 1e9, 1e18, 1e300};
    uint64_t seed = 4;
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        check_within(edges[i]);
        check_within(nextafter(edges[i], 0));
        check_within(nextafter(edges[i], INFINITY));
    }
    for (double x = 1e-12; x < 1e3; x *= 1.001)
        check_within(x);
    for (unsigned i = 0; i < 1000000; i++)
        check_within((double)random_below(&seed, 45000000) / 1e6);
}

Test(exponential, within_ends, .timeout = 10) {
    EXPECT(exponential_within(INFINITY) == 1);
    double not_a_number = exponential_within(NAN);
    EXPECT(isnan(not_a_number) || (not_a_number >= 0 && not_a_number <= 1));
    EXPECT(exponential_within(0) == 0);
}

Test(exponential, within_is_monotone) {
    double last = 0;
    for (double x = 1e-12; x < 100; x *= 1.0001) {
        double within = exponential_within(x);
        EXPECT(within >= last * (1 - 1e-15) && within <= 1);
        last = within;
    }
}
