/* Purpose: says what is wrong with a pointer that a program gave back, and ends the process.
 * Owns:    nothing.
 * Locking: takes no lock, allocates nothing. */
#ifndef SLM_REPORT_DIAGNOSIS_H
#define SLM_REPORT_DIAGNOSIS_H

#include "core/fault.h"
#include "slab/slab.h"

/* One line about `call`(`pointer`), and abort(). */
COLD __attribute__((noreturn)) void diagnose_pointer(const char *call, const void *pointer,
                                                     enum fault fault);

/* The same for a slot that two threads freed at once, found later by `call`. */
COLD __attribute__((noreturn)) void diagnose_late(const char *call, struct slab *slab,
                                                  size_t slot);

#endif
