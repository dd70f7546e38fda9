/* Purpose: from a function to its caller by the tables that compilers leave for exceptions: what
 *          was compiled without frame pointers can be followed, too.
 * Owns:    nothing.
 * Locking: none, and none of the loader's (os/object.h); allocates nothing. Not libgcc's unwinder,
 *          which takes locks and may allocate (field case H1). */
#ifndef SLM_OS_UNWIND_H
#define SLM_OS_UNWIND_H

#include <stdbool.h>
#include <stdint.h>

/* A frame that is longer is none. */
#define OS_FRAME_BYTES_MAX ((uintptr_t)256 << 10)

enum { UNWIND_REGISTERS = 17 }; /* by their DWARF numbers; the last one is the return address */

/* A frame: registers as they will be when its function goes on. */
struct os_frame {
    uintptr_t code;     /* where that is */
    bool is_exact;      /* there it was interrupted; or it has called, and returns to it */
    bool is_careful;    /* what is known from before does not do: it leaves registers out, */
    bool has_left_out;  /* as it has */
    uint32_t known;     /* a bit for each of these: */
    uintptr_t registers[UNWIND_REGISTERS];
};

/* A frame of which the code, and the stack and frame pointers are known. */
struct os_frame os_frame_at(uintptr_t code, uintptr_t stack, uintptr_t frame);

uintptr_t os_frame_stack(const struct os_frame *frame);
uintptr_t os_frame_pointer(const struct os_frame *frame); /* 0: not known */

enum os_unwound {
    UNWOUND,          /* it is the caller's frame now */
    UNWIND_IS_END,    /* there is no caller: where a thread begins; or what a signal interrupted is
                       * on another stack, which may be anywhere */
    UNWIND_NOT_KNOWN, /* no table tells, or none that is understood */
    UNWIND_LACKS,     /* a register is needed that was left out: to be done again, careful */
};

/* Reads the stack from the frame on, `end` excluded, and as far as the tables say, 256 KiB a frame
 * at most. x86-64 only: elsewhere nothing is known. */
enum os_unwound os_unwind(struct os_frame *frame, uintptr_t end);

#endif
