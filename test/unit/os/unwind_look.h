/* Purpose: what the tests of unwinding share: set-up, the frames as our unwinder and as libgcc's
 *          find them, and whether they are the same; a signal's handler that looks. x86-64 only.
 * Owns:    what was seen last. */
#ifndef SLM_TEST_UNWIND_LOOK_H
#define SLM_TEST_UNWIND_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <unwind.h>

#include "../expect.h"
#include "check/trace.h"
#include "os/unwind.h"
#include "unwind_helpers.h"

#define APART __attribute__((noinline))

void set_up(void);

/* Writable, between pages that can't be touched. */
unsigned char *guarded(size_t bytes);

/* Those of the library that is loaded while a test runs. */
const struct unwind_scenes *load_scenes(void);

/* --- looking at the stack --------------------------------------------------------------------- */

/* What may be read below the stack pointer. */
enum { RED_ZONE_BYTES = 128 };

enum { FRAMES_MAX = 1024 };

struct frames {
    unsigned count;
    uintptr_t code[FRAMES_MAX];
    bool is_exact[FRAMES_MAX];
};

/* The first frame is one of look(), of each. */
struct seen {
    struct trace deep;
    struct frames ours, libgcc;
    enum os_unwound last;
};

extern struct seen seen;

/* The calling function's frame. */
__attribute__((always_inline)) static inline struct os_frame frame_here(void) {
    uintptr_t code, stack, frame;
    __asm__ volatile("leaq 0(%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2"
                     : "=&r"(code), "=&r"(stack), "=&r"(frame));
    return os_frame_at(code, stack, frame);
}

/* Of ours, from the frame on; of libgcc's, as _Unwind_Backtrace() calls it. */
enum os_unwound walk(struct frames *frames, struct os_frame frame, uintptr_t end);
_Unwind_Reason_Code add_libgcc(struct _Unwind_Context *context, void *frames);

/* `data` is a struct seen. */
void look(void *data);

/* Of what lies before `code`: as of a return address. */
uintptr_t function_of(uintptr_t code);

/* Where the function is among the frames; their count: it is not. */
unsigned index_of(const struct frames *frames, const void *function);

/* The first `count` frames are the same, but the innermost, of which only the function is. In a
 * trace, code is behind what was being done, in a function that was interrupted too. */
void expect_same(const struct seen *see, unsigned count, const char *scene);

/* All frames are, to the end of the stack. */
void expect_all(const struct seen *see, const char *scene);

/* --- signals ---------------------------------------------------------------------------------- */

/* The handler looks, into `seen`; then the program goes on at `resume_at`, if it is not NULL. */
void handle(int signal, int flags);
extern const void *resume_at;

/* In unwind_faults(), which it calls. */
void fault(void *data);

#endif
