/* Purpose: functions in assembly for the tests of unwinding: with tables that say what compilers
 *          seldom say, without a table, and such that fault or trap. x86-64 only. */
#ifndef SLM_TEST_UNWIND_ASSEMBLY_H
#define SLM_TEST_UNWIND_ASSEMBLY_H

#include <stdint.h>

#include "unwind_helpers.h"

/* Each calls `then` with the data. */
void unwind_states(void *data, unwind_then *then);
void unwind_expressions(void *data, unwind_then *then);
void unwind_arithmetic(void *data, unwind_then *then);
void unwind_signed(void *data, unwind_then *then);
void unwind_in_registers(void *data, unwind_then *then);
void unwind_restores(void *data, unwind_then *then);
void unwind_falls(void); /* not called */
void unwind_far(void *data, unwind_then *then);
void unwind_no_table_framed(void *data, unwind_then *then);
void unwind_no_table(void *data, unwind_then *then);

/* Their first instructions read from there, or trap. The last one's frame pointer is another. */
void unwind_faults(const volatile void *address);
void unwind_traps(void);
void unwind_faults_framed(const volatile void *address, uintptr_t frame);
extern const char unwind_faults_behind[], unwind_traps_behind[], unwind_faults_framed_behind[];

#endif
