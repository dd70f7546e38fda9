/* Purpose: where a thread was when a signal interrupted it: what a handler is given, by machine.
 * Owns:    nothing. */
#ifndef SLM_OS_CONTEXT_H
#define SLM_OS_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "base/attr.h"

struct os_interrupted {
    uintptr_t code;  /* the instruction */
    uintptr_t stack; /* the stack pointer */
    uintptr_t frame; /* the frame pointer, if the code keeps one */
};

/* From the third argument of a handler with SA_SIGINFO. False: not known on this machine. */
static inline bool os_interrupted_at(void *context, struct os_interrupted *at) {
    const mcontext_t *machine = &((const ucontext_t *)context)->uc_mcontext;
#if defined(__x86_64__)
    at->code = (uintptr_t)machine->gregs[REG_RIP];
    at->stack = (uintptr_t)machine->gregs[REG_RSP];
    at->frame = (uintptr_t)machine->gregs[REG_RBP];
    return true;
#elif defined(__aarch64__)
    at->code = (uintptr_t)machine->pc;
    at->stack = (uintptr_t)machine->sp;
    at->frame = (uintptr_t)machine->regs[29];
    return true;
#else
    (void)machine, (void)at;
    return false;
#endif
}

#endif
