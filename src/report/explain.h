/* Purpose: accesses that fault where the heap is, explained.
 * Owns:    the handlers of SIGSEGV and SIGBUS, while the program has none. */
#ifndef SLM_REPORT_EXPLAIN_H
#define SLM_REPORT_EXPLAIN_H

/* Handles the two signals, if nobody does yet: a fault at an address of the heap's is told in a
 * paragraph. The signal then takes its course, as if nobody had handled it. */
void explain_faults_start(void);

#endif
