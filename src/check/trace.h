/* Purpose: who is calling: the thread's number, the return addresses on its stack.
 * Owns:    nothing. */
#ifndef SLM_CHECK_TRACE_H
#define SLM_CHECK_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "os/context.h"

/* Frames of a call stack at most: of one that each call takes, and of a sampled one. */
enum { TRACE_MAX = 16, TRACE_DEEP_MAX = 64 };

struct trace {
    uint32_t depth;
    uintptr_t frames[TRACE_DEEP_MAX]; /* return addresses, innermost first */
};

void trace_init(void);

/* The end of the calling thread's stack, which `address` is on; 0: not known. */
uintptr_t trace_stack_end(uintptr_t address);

/* What was interrupted, and its callers, in the same way. */
void trace_take_interrupted(struct trace *trace, const struct os_interrupted *at);

/* The callers of the library, as far as frame pointers lead. Takes no lock, never faults. */
void trace_take(struct trace *trace);

/* The same, up to TRACE_DEEP_MAX frames. */
void trace_take_deep(struct trace *trace);

#endif
