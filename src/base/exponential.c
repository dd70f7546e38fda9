/* Purpose: exponential.h. */
#include "base/exponential.h"

#include "base/bits.h"

#define LOG_2 0.693147180559945309417

enum { MANTISSA_BITS = 52, EXPONENT_BIAS = 1023 };

/* 2^exponent, for what a double has without denormals. */
static double power_of_two(int exponent) {
    union {
        uint64_t bits;
        double value;
    } power = {(uint64_t)(EXPONENT_BIAS + exponent) << MANTISSA_BITS};
    return power.value;
}

/* log(m) for m in [1, 2): 2 atanh((m - 1) / (m + 1)), as a series. */
static double log_of_mantissa(double m) {
    double s = (m - 1) / (m + 1); /* at most 1/3 */
    double square = s * s;
    double sum = 0;
    for (int n = 15; n >= 1; n -= 2)
        sum = sum * square + 1.0 / n;
    return 2 * s * sum;
}

double exponential_draw(uint64_t random) {
    uint64_t u = random | 1; /* over 2^64, and never 0 */
    int exponent = (int)bit_highest(u);
    double m = (double)u * power_of_two(-exponent);
    return (64 - exponent) * LOG_2 - log_of_mantissa(m);
}

/* 1 - exp(-x) for x up to 1, as a series: x (1 - x/2 (1 - x/3 (...))). */
static double within_one(double x) {
    double product = 1;
    for (int n = 14; n >= 2; n--)
        product = 1 - product * x / n;
    return x * product;
}

double exponential_within(double x) {
    enum { CERTAIN = 40 }; /* exp(-40) is nothing beside 1 */
    double rest = 1; /* exp of what was taken from x */
    if (!(x < CERTAIN))
        return 1;
    if (x <= 1)
        return within_one(x); /* 1 less nearly 1 would be off */
    for (; x > 1; x -= 1)
        rest *= 0.367879441171442321596; /* 1 / e */
    return 1 - rest * (1 - within_one(x));
}
