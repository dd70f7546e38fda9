/* Purpose: system calls as bare instructions: no errno, no libc wrapper that another preloaded
 *          library could have replaced by one that allocates (field case A3).
 * Owns:    nothing.
 *
 * The result is the kernel's own: a value in [-4095, -1] is a negated error number. */
#ifndef SLM_BASE_SYSCALL_H
#define SLM_BASE_SYSCALL_H

#include <stdint.h>
#include <sys/syscall.h>

#include "base/attr.h"

#if defined(__x86_64__)
HOT_INLINE long raw_syscall(long n, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
HOT_INLINE long raw_syscall(long n, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "slabmalloc needs raw system calls for this architecture: add them here"
#endif

HOT_INLINE int syscall_failed(long result) { return result < 0 && result >= -4095; }

#endif
