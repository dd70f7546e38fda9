/* Purpose: says what is wrong with a pointer that a program gave back, or with the heap itself, and
 *          does what the option on_error says: end the process, go on, or go on in silence; the
 *          program's own handler hears of it first.
 * Owns:    the number of faults so far; the program's handler.
 * Locking: takes no lock, allocates nothing. Called with no lock held and nothing half done: the
 *          handler may allocate. */
#ifndef SLM_REPORT_DIAGNOSIS_H
#define SLM_REPORT_DIAGNOSIS_H

#include "base/format.h"
#include "check/check.h"
#include "core/call.h"
#include "core/fault.h"
#include "core/violation.h"
#include "slabmalloc/slabmalloc.h"

/* One line about `call`(`pointer`), with checks on a paragraph; returns if the program is to go on,
 * and the call to do nothing. */
COLD void diagnose_pointer(enum call call, const void *pointer, enum fault fault);

/* The same about each block that checks have found damaged, or given back in a wrong way. */
COLD void diagnose_findings(void);

/* The same for a slot that two threads freed at once, found later by `call`. */
COLD void diagnose_late(const char *call, struct slab *slab, size_t slot);

/* Faults told or passed over so far. */
uint64_t diagnosis_count(void);

/* See slm_set_error_handler. */
const struct slm_error_handler *diagnosis_set_handler(const struct slm_error_handler *new_handler);

/* Appends the paragraph about a finding; counts and does nothing. */
COLD void diagnosis_put_finding(struct text *text, const struct check_finding *finding);

/* Appends a line about a broken heap. */
COLD void diagnosis_put_violation(struct text *text, const struct violation *violation);

#endif
