/* Purpose: what drawing a Poisson process takes of mathematics, without libm: the library depends
 *          on libc alone.
 * Owns:    nothing. */
#ifndef SLM_BASE_EXPONENTIAL_H
#define SLM_BASE_EXPONENTIAL_H

#include <stdint.h>

/* A draw from the exponential distribution of mean 1, made from 64 random bits: -log(u) for a u in
 * (0, 1]. Off by less than 1e-8. */
double exponential_draw(uint64_t random);

/* 1 - exp(-x) for x >= 0: how likely an event of that distribution is to come within x. Off by less
 * than 1e-10 of it. */
double exponential_within(double x);

#endif
