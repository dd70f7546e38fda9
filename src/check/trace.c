/* Purpose: trace.h.
 *
 * Frame pointers are followed, for that is quick. The library's own functions have them, so the
 * first caller is always found; how far it goes from there is up to how the program was compiled.
 * Of a sample, which is seldom, or with the option stacks=tables, unwind tables are (os/unwind.h).
 *
 * It never faults: a frame is read only if it lies above the one before, close to it, and below the
 * end of the stack. For a thread of glibc that is its control block, which lies at the upper end of
 * its stack; for the first thread it is what the kernel put above the stack. */
#include "check/trace.h"

#include <link.h>
#include <sys/auxv.h>

#include "core/options.h"
#include "os/lock.h"
#include "os/unwind.h"

/* A thread's stack that is longer is none. */
#define STACK_BYTES_MAX ((uintptr_t)1 << 30)

static struct {
    uintptr_t start, end; /* the library's code, unless it is part of the program */
    uintptr_t first_stack_end;
} known;

/* Whether this module is the library; its code's range. The program itself is visited first and has
 * no name. */
static int visit_module(struct dl_phdr_info *info, size_t size, void *is_program) {
    uintptr_t own = (uintptr_t)&trace_init;
    bool program = *(bool *)is_program;
    (void)size;
    *(bool *)is_program = false;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_LOAD || own - start >= header->p_memsz)
            continue;
        if (!program) {
            known.start = start;
            known.end = start + header->p_memsz;
        }
        return 1;
    }
    return 0;
}

void trace_init(void) {
    bool is_program = true;
    dl_iterate_phdr(visit_module, &is_program);
    known.first_stack_end = getauxval(AT_RANDOM);
}

uintptr_t trace_stack_end(uintptr_t address) {
    uintptr_t control_block = thread_id();
    if (address < control_block && control_block - address < STACK_BYTES_MAX)
        return control_block;
    if (address < known.first_stack_end && known.first_stack_end - address < STACK_BYTES_MAX)
        return known.first_stack_end;
    return 0;
}

static bool is_own(uintptr_t code) { return code - known.start < known.end - known.start; }

/* From a frame that is one, or may be read at least. Inline: the frame that it begins with is the
 * caller's, which must not be gone. Returns the last frame that was looked at. */
HOT_INLINE uintptr_t walk(struct trace *trace, unsigned most, uintptr_t frame, uintptr_t end) {
    for (;;) {
        const uintptr_t *words = (const uintptr_t *)frame;
        uintptr_t caller = words[1];
        /* No code lies on the stack: this was no frame, but what code without frame pointers keeps
         * in the register (libc's, below main). */
        if (caller < 4096 || (end != 0 && caller - frame < end - frame))
            return frame;
        bool own = is_own(caller);
        if (!own)
            trace->frames[trace->depth++] = caller;
        uintptr_t next = words[0];
        if (trace->depth == most || next <= frame || next - frame > OS_FRAME_BYTES_MAX ||
            next % sizeof(void *) != 0)
            return frame;
        /* Off any stack that is known, only the library's own frames are sure to be frames. */
        if (end != 0 ? next + 2 * sizeof(void *) > end : !own)
            return frame;
        frame = next;
    }
}

/* From the last frame of the library's own, whose caller is in `trace` already, by the tables;
 * where they end, by frame pointers again. */
static void unwind(struct trace *trace, unsigned most, struct os_frame first, uintptr_t end) {
    struct os_frame frame = first;
    unsigned depth = trace->depth;
    enum os_unwound unwound = UNWOUND;
    while (trace->depth < most && (unwound == UNWOUND || unwound == UNWIND_LACKS)) {
        unwound = os_unwind(&frame, end);
        if (unwound == UNWOUND) {
            trace->frames[trace->depth++] = frame.code + frame.is_exact; /* behind it, as others */
        } else if (unwound == UNWIND_LACKS) {
            frame = first;
            frame.is_careful = true;
            trace->depth = depth;
        }
    }
    uintptr_t next = os_frame_pointer(&frame);
    if (unwound == UNWIND_NOT_KNOWN && next % sizeof next == 0 &&
        next >= os_frame_stack(&frame) && next - os_frame_stack(&frame) <= OS_FRAME_BYTES_MAX &&
        next + 2 * sizeof next <= end)
        walk(trace, most, next, end);
}

/* The library's own frames by frame pointers, then by the tables; inline as walk. */
HOT_INLINE void take_by_tables(struct trace *trace, unsigned most, uintptr_t frame) {
    uintptr_t end = trace_stack_end(frame);
    uintptr_t last = walk(trace, 1, frame, end);
    const uintptr_t *words = (const uintptr_t *)last;
    if (trace->depth == 1 && end != 0)
        unwind(trace, most, os_frame_at(words[1], last + 2 * sizeof *words, words[0]), end);
}

void trace_take_deep(struct trace *trace) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    trace->depth = 0;
    take_by_tables(trace, TRACE_DEEP_MAX, frame);
}

void trace_take(struct trace *trace) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    trace->depth = 0;
    if (UNLIKELY(option_get(OPTION_stacks) == STACKS_TABLES))
        take_by_tables(trace, TRACE_MAX, frame);
    else
        walk(trace, TRACE_MAX, frame, trace_stack_end(frame));
}

void trace_take_interrupted(struct trace *trace, const struct os_interrupted *at) {
    uintptr_t end = trace_stack_end(at->stack);
    trace->frames[0] = at->code + 1; /* as the others: behind what was being done */
    trace->depth = 1;
    if (option_get(OPTION_stacks) == STACKS_TABLES && end != 0) {
        struct os_frame frame = os_frame_at(at->code, at->stack, at->frame);
        frame.is_exact = true;
        unwind(trace, TRACE_MAX, frame, end);
    } else if (at->frame >= at->stack && at->frame % sizeof(void *) == 0 &&
               at->frame + 2 * sizeof(void *) <= end) {
        walk(trace, TRACE_MAX, at->frame, end);
    }
}
