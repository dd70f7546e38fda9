/* Purpose: the other threads of the process, stopped for as long as somebody reads what is theirs.
 * Owns:    a signal handler while threads are stopped.
 * Locking: one caller at a time, which the caller sees to. It should hold every lock that it will
 *          want while others are stopped: they may hold any other.
 *
 * Each thread gets a real-time signal that nobody handles; its handler says where the thread's
 * stack and registers are, and waits. Not ptrace(2): a container, a debugger or Yama may forbid it.
 * A thread that blocks the signal runs on, and is counted. System calls that were interrupted go
 * on, but for those that signal(7) says are never restarted (sleeps, polls: EINTR). */
#ifndef SLM_OS_TASKS_H
#define SLM_OS_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { OS_REGISTERS = 32 };

struct os_task {
    uint32_t id;      /* gettid(2) */
    uint32_t answers; /* written by the thread, with release: what follows is there */
    bool is_told;     /* the signal was sent */
    uintptr_t stack;  /* its lowest address in use */
    uintptr_t registers[OS_REGISTERS];
};

struct os_tasks {
    struct os_task *list;
    size_t count;
    size_t unstopped; /* threads that run on; SIZE_MAX: nobody knows, there is no list of threads */
    size_t bytes;     /* of the list's mapping */
    int signal;       /* 0: there was none to send */
    uint64_t mask;    /* the caller's signals before */
};

/* Stops all threads but the caller, as far as they let it, and holds the caller's signals back. */
void os_stop_others(struct os_tasks *tasks);

/* Lets them go on. `tasks` is empty afterwards. */
void os_continue_others(struct os_tasks *tasks);

/* Those that a function must leave as they were: what its caller keeps in registers. */
HOT_INLINE void os_save_registers(uintptr_t registers[OS_REGISTERS]) {
    for (unsigned i = 0; i < OS_REGISTERS; i++)
        registers[i] = 0;
#if defined(__x86_64__)
    __asm__ volatile("movq %%rbx, 0(%0)\n\tmovq %%rbp, 8(%0)\n\tmovq %%r12, 16(%0)\n\t"
                     "movq %%r13, 24(%0)\n\tmovq %%r14, 32(%0)\n\tmovq %%r15, 40(%0)"
                     :
                     : "r"(registers)
                     : "memory");
#elif defined(__aarch64__)
    __asm__ volatile("stp x19, x20, [%0]\n\tstp x21, x22, [%0, 16]\n\tstp x23, x24, [%0, 32]\n\t"
                     "stp x25, x26, [%0, 48]\n\tstp x27, x28, [%0, 64]\n\tstr x29, [%0, 80]"
                     :
                     : "r"(registers)
                     : "memory");
#endif
}

#endif
