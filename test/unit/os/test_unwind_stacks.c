/* Protects: call stacks where they can't be followed to their end: an end, not a crash, where a
 * signal is handled on another stack, where code has no table, and where the stack is damaged;
 * nothing is read outside of it. */
#include "../expect.h"

#if defined(__x86_64__)

#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "os/object.h"
#include "unwind_assembly.h"
#include "unwind_look.h"

/* --- other stacks for signals ----------------------------------------------------------------- */

enum { OTHER_BYTES = 128 << 10 };

static void use_other_stack(void *stack) {
    stack_t other = {.ss_sp = stack, .ss_size = OTHER_BYTES};
    EXPECT_EQ(sigaltstack(&other, NULL), 0);
}

/* What there is of ours is right. If the stack's end is known, it is all up to the signal's frame:
 * what was interrupted, which libgcc has next, is on another stack, so no frame pointer leads there
 * either; if not, it is the innermost frame alone. */
static void expect_begin(const void *stack, const char *scene) {
    unsigned count = seen.ours.count;
    EXPECT(count >= 1 && count < seen.libgcc.count && seen.deep.depth >= 1);
    expect_same(&seen, count < seen.deep.depth ? count : seen.deep.depth, scene);
    if (trace_stack_end((uintptr_t)stack) != 0) {
        EXPECT_EQ(seen.last, UNWIND_IS_END);
        EXPECT(count > 2 && seen.libgcc.is_exact[count]);
    } else {
        EXPECT_EQ(seen.last, UNWIND_NOT_KNOWN);
        EXPECT_EQ(count, 1);
    }
    EXPECT_EQ(seen.deep.depth, count);
}

static void fault_on_other_stack(void *stack, const char *scene) {
    use_other_stack(stack);
    handle(SIGSEGV, SA_ONSTACK);
    resume_at = unwind_faults_behind;
    unwind_scenes_fast.scenes[0].run(10, fault, NULL);
    expect_begin(stack, scene);
}

Test(unwind, on_a_signal_stack_does_not_fault, .init = set_up) {
    fault_on_other_stack(guarded(OTHER_BYTES), "a mapped stack for signals");
}

Test(unwind, on_a_signal_stack_in_static_memory_does_not_fault, .init = set_up) {
    static unsigned char stack[OTHER_BYTES];
    fault_on_other_stack(stack, "a static stack for signals");
}

/* What was interrupted had anything in its frame pointer: here, an address just above the signal
 * stack that can't be read. */
static void fault_with_frame(void *data) {
    unwind_faults_framed((const void *)16, *(uintptr_t *)data);
    __asm__ volatile("" : : : "memory");
}

Test(unwind, on_a_signal_stack_reads_nothing_behind_it, .init = set_up) {
    unsigned char *stack = guarded(OTHER_BYTES);
    uintptr_t frame = (uintptr_t)stack + OTHER_BYTES + 64;
    use_other_stack(stack);
    handle(SIGSEGV, SA_ONSTACK | SA_RESETHAND);
    resume_at = unwind_faults_framed_behind;
    unwind_scenes_fast.scenes[0].run(10, fault_with_frame, &frame);
    expect_begin(stack, "a frame pointer behind a stack for signals");
}

/* --- code without a table --------------------------------------------------------------------- */

/* Up to the code itself, all is as libgcc finds it; which ends there. */
static unsigned expect_up_to(uintptr_t start, uintptr_t length) {
    unsigned count = seen.libgcc.count;
    EXPECT_EQ(seen.ours.count, count);
    EXPECT_EQ(seen.last, UNWIND_NOT_KNOWN);
    expect_same(&seen, count, "no table");
    EXPECT(seen.deep.depth >= count && count > 2);
    EXPECT(seen.ours.code[count - 1] - start < length);
    return count;
}

typedef void call_it(void *data, unwind_then *then);

static struct seen seen_here;

/* look() through the code, and in the same function without it. */
APART static void look_through(call_it *code, unwind_then *then) {
    look(&seen_here);
    code(&seen, then);
    __asm__ volatile("" : : : "memory");
}

static void look_from_fast(void *data) {
    unwind_scenes_fast.scenes[0].run(3, look, data);
    __asm__ volatile("" : : : "memory");
}

/* Or clang makes a copy of it for each caller. */
static void (*volatile looking_through)(call_it *code, unwind_then *then) = look_through;

/* By the frame pointer to its caller, which has one and whose caller has one. */
static void expect_goes_on(unsigned count) {
    EXPECT(seen.deep.depth >= count + 2);
    EXPECT_EQ(function_of(seen.deep.frames[count]), (uintptr_t)look_through);
    EXPECT_EQ(seen.deep.frames[count + 1], seen_here.deep.frames[2]);
}

Test(unwind, goes_on_by_frame_pointers_where_there_is_no_table, .init = set_up) {
    looking_through(unwind_no_table_framed, look_from_fast);
    expect_goes_on(expect_up_to((uintptr_t)unwind_no_table_framed, 32));
}

Test(unwind, ends_where_there_is_neither_table_nor_frame_pointer, .init = set_up) {
    looking_through(unwind_no_table, look_from_fast);
    unsigned count = expect_up_to((uintptr_t)unwind_no_table, 32);
    EXPECT_EQ(seen.deep.depth, count);
}

static void *made_code(const unsigned char *bytes, size_t count) {
    unsigned char *page = guarded(os_page_bytes);
    memcpy(page + 64, bytes, count);
    EXPECT_EQ(mprotect(page, os_page_bytes, PROT_READ | PROT_EXEC), 0);
    return page + 64;
}

Test(unwind, goes_on_through_code_that_was_made, .init = set_up) {
    static const unsigned char bytes[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd6, 0x5d, 0xc3};
    void *code = made_code(bytes, sizeof bytes);
    look_through((call_it *)(uintptr_t)code, look_from_fast);
    expect_goes_on(expect_up_to((uintptr_t)code, sizeof bytes));
}

Test(unwind, of_code_that_was_made_without_frame_pointer_does_not_fault, .init = set_up) {
    static const unsigned char bytes[] = {0x48, 0x83, 0xec, 0x08, 0xff, 0xd6,
                                          0x48, 0x83, 0xc4, 0x08, 0xc3};
    void *code = made_code(bytes, sizeof bytes);
    look_through((call_it *)(uintptr_t)code, look_from_fast);
    expect_up_to((uintptr_t)code, sizeof bytes);
}

/* --- damaged stacks --------------------------------------------------------------------------- */

APART static void look_ours(void *data) {
    struct seen *see = data;
    trace_take_deep(&see->deep);
    see->last = walk(&see->ours, frame_here(), trace_stack_end((uintptr_t)&see));
    __asm__ volatile("" : : : "memory");
}

/* Its own frame's two words are others meanwhile. */
APART static void look_damaged(uintptr_t frame, uintptr_t code, void (*look_now)(void *data),
                              void *data) {
    volatile uintptr_t *words = __builtin_frame_address(0);
    uintptr_t kept[2] = {words[0], words[1]};
    words[0] = frame;
    words[1] = code;
    look_now(data);
    words[0] = kept[0];
    words[1] = kept[1];
}

/* The sanitizer would have reading the stack be a mistake, where its own marks are. */
__attribute__((noinline, no_sanitize_address)) static void damage_stack(void) {
    uintptr_t guard = (uintptr_t)guarded(os_page_bytes) + os_page_bytes;
    uintptr_t stack = (uintptr_t)__builtin_frame_address(0);
    uintptr_t libc = (uintptr_t)dlsym(RTLD_DEFAULT, "qsort");
    uintptr_t values[] = {0,
                          1,
                          8,
                          4095,
                          4096,
                          guard,
                          stack,
                          stack + 1,
                          stack + 8,
                          stack + 4096,
                          stack - 1,
                          stack - 64,
                          libc + 1,
                          libc + 64,
                          (uintptr_t)look + 5,
                          SIZE_MAX,
                          SIZE_MAX - 7,
                          SIZE_MAX - 15,
                          SIZE_MAX / 2 + 1,
                          (uintptr_t)1 << 47};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
        for (unsigned k = 0; k < sizeof values / sizeof *values; k++) {
            look_damaged(values[k], values[i], look_ours, &seen);
            /* look_ours(), look_damaged(), and then what was written. */
            EXPECT_AT(seen.ours.count >= 2 && seen.ours.count < FRAMES_MAX, i * 100 + k);
            EXPECT_AT(values[i] < 4096 ? seen.ours.count == 2 && seen.last == UNWIND_IS_END
                                       : seen.ours.count > 2 && seen.ours.code[2] == values[i],
                      i * 100 + k);
        }
}

Test(unwind, of_a_damaged_stack_ends, .init = set_up) { damage_stack(); }

static struct trace by_frames;

APART static void look_by_frames(void *unused) {
    (void)unused;
    trace_take(&by_frames);
    __asm__ volatile("" : : : "memory");
}

/* What the frame pointer leads to is taken for a frame, but no address of the stack for code. */
__attribute__((noinline, no_sanitize_address)) static void look_by_damaged_frames(void) {
    uintptr_t stack = (uintptr_t)__builtin_frame_address(0);
    uintptr_t end = trace_stack_end(stack);
    uintptr_t code = (uintptr_t)dlsym(RTLD_DEFAULT, "qsort");
    EXPECT(end > stack);
    look_damaged(0, code, look_by_frames, NULL);
    EXPECT_EQ(by_frames.depth, 3);
    EXPECT_EQ(by_frames.frames[2], code);
    uintptr_t no_code[] = {stack, stack + 1, end - 1};
    for (unsigned i = 0; i < sizeof no_code / sizeof *no_code; i++) {
        look_damaged(0, no_code[i], look_by_frames, NULL);
        EXPECT_EQ(by_frames.depth, 2);
    }
    look_damaged(0, end, look_by_frames, NULL);
    EXPECT_EQ(by_frames.depth, 3);
}

Test(unwind, by_frame_pointers_ends_on_the_stack, .init = set_up) { look_by_damaged_frames(); }

/* Every function of libc at some of its instructions, on a stack of anything. */
Test(unwind, reads_nothing_outside_of_the_stack, .init = set_up, .timeout = 60) {
    enum { BYTES = 32 << 10, WORDS = BYTES / 8, ROUNDS = 200000 };
    uint64_t seed = 5;
    struct os_object libc;
    struct os_mapping text;
    uintptr_t inside = (uintptr_t)dlsym(RTLD_DEFAULT, "qsort");
    uint64_t *words = (uint64_t *)(void *)guarded(BYTES);
    uintptr_t start = (uintptr_t)words, end = start + BYTES;
    EXPECT(os_object_find(inside, &libc) && os_object_look(&libc, inside, &text));
    unsigned unwound = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        size_t at = random_below(&seed, WORDS);
        words[at] = i % 3 == 0   ? text.start + random_below(&seed, text.end - text.start)
                    : i % 3 == 1 ? start + random_below(&seed, BYTES)
                                 : random_next(&seed);
        uintptr_t code = text.start + random_below(&seed, text.end - text.start);
        uintptr_t stack =
            start + RED_ZONE_BYTES + random_below(&seed, WORDS - RED_ZONE_BYTES / 8) * 8;
        struct os_frame frame =
            os_frame_at(code, stack, start - 64 + random_below(&seed, BYTES + 128));
        frame.is_exact = i % 2 == 0;
        if (i % 5 == 0)
            frame.registers[7] += random_below(&seed, 8); /* misaligned */
        for (unsigned k = 0; k < 64 && os_unwind(&frame, end) == UNWOUND; k++)
            unwound++;
    }
    EXPECT(unwound > ROUNDS / 10);
}

/* A walk would not end, and below what it began with there may be no stack. */
Test(unwind, does_not_go_back, .init = set_up) {
    uintptr_t words[8] = {(uintptr_t)unwind_falls + 1};
    struct os_frame frame = os_frame_at((uintptr_t)unwind_falls, (uintptr_t)words, 0);
    frame.is_exact = true;
    EXPECT_EQ(os_unwind(&frame, (uintptr_t)words + sizeof words), UNWIND_NOT_KNOWN);
}

/* 300 KiB: more than is believed. */
APART static void look_from_too_large(void) {
    volatile unsigned char bytes[300 << 10];
    bytes[0] = bytes[sizeof bytes - 1] = 1;
    look(&seen);
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

Test(unwind, ends_at_a_frame_that_is_too_large, .init = set_up) {
    look_from_too_large();
    EXPECT_EQ(seen.ours.count, 2);
    EXPECT_EQ(seen.last, UNWIND_NOT_KNOWN);
    expect_same(&seen, 2, "too large");
    EXPECT_EQ(seen.deep.depth, 2);
}

Test(unwind, needs_an_aligned_stack_with_an_end, .init = set_up) {
    uintptr_t code = (uintptr_t)unwind_faults; /* at its start: the return address is on top */
    struct {
        uintptr_t words[4];
    } stack = {{(uintptr_t)look + 1, 0, 0, 0}};
    uintptr_t top = (uintptr_t)&stack;
    static const uintptr_t shifts[] = {1, 2, 4, 7};
    struct os_frame frame = os_frame_at(code, top, 0);
    frame.is_exact = true;
    struct os_frame caller = frame;
    EXPECT_EQ(os_unwind(&caller, top + 8), UNWOUND);
    EXPECT_EQ(caller.code, (uintptr_t)look + 1);
    EXPECT_EQ(os_frame_stack(&caller), top + 8);
    EXPECT(!caller.is_exact);
    for (uintptr_t end = 0; end < 8; end++) {
        caller = frame;
        EXPECT_AT(os_unwind(&caller, top + end) == UNWIND_NOT_KNOWN, end);
        EXPECT_AT(caller.code == code, end);
    }
    caller = frame;
    EXPECT_EQ(os_unwind(&caller, 0), UNWIND_NOT_KNOWN);
    for (unsigned i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        caller = os_frame_at(code, top + shifts[i], 0);
        caller.is_exact = true;
        EXPECT_AT(os_unwind(&caller, top + sizeof stack) == UNWIND_NOT_KNOWN, i);
    }
    caller = os_frame_at(0, top, top);
    EXPECT_EQ(os_unwind(&caller, top + sizeof stack), UNWIND_NOT_KNOWN);
    caller = os_frame_at(SIZE_MAX, top, top);
    EXPECT_EQ(os_unwind(&caller, top + sizeof stack), UNWIND_NOT_KNOWN);
}

#endif
