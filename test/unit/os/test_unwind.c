/* Protects: call stacks by unwind tables: frame for frame what libgcc's unwinder finds, to the end
 * of the stack, whatever the functions look like and however they were compiled, and at whichever
 * instruction they are interrupted; from signal handlers, threads, constructors, coroutines, loaded
 * libraries. */
#include "../expect.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "os/object.h"
#include "os/unwind.h"

#if defined(__x86_64__)

#include "unwind_assembly.h"
#include "unwind_look.h"

/* --- functions of all shapes ------------------------------------------------------------------ */

static void run_scenes(const struct unwind_scenes *table) {
    static const unsigned depths[] = {0, 1, 2, 5, 40};
    for (unsigned i = 0; table->scenes[i].run != NULL; i++)
        for (unsigned k = 0; k < sizeof depths / sizeof *depths; k++) {
            char scene[100];
            snprintf(scene, sizeof scene, "%s, %s, %u", table->how, table->scenes[i].name,
                     depths[k]);
            memset(&seen, 0, sizeof seen);
            table->scenes[i].run(depths[k], look, &seen);
            expect_all(&seen, scene);
            bool is_flat = strcmp(table->scenes[i].name, "large") == 0;
            EXPECT_AT(seen.ours.count > (is_flat ? depths[k] % 4 : depths[k]) + 2, i);
        }
}

Test(unwind, without_frame_pointers, .init = set_up) { run_scenes(&unwind_scenes_fast); }

Test(unwind, not_optimised, .init = set_up) { run_scenes(&unwind_scenes_plain); }

Test(unwind, with_frame_pointers, .init = set_up) { run_scenes(&unwind_scenes_framed); }

Test(unwind, with_realigned_stacks, .init = set_up) { run_scenes(&unwind_scenes_realigned); }

Test(unwind, of_a_library_that_was_loaded, .init = set_up) { run_scenes(load_scenes()); }

Test(unwind, is_cut_where_a_trace_is_full, .init = set_up) {
    unwind_scenes_fast.scenes[0].run(300, look, &seen);
    EXPECT(seen.ours.count > 300);
    expect_all(&seen, "300 deep");
    EXPECT_EQ(seen.deep.depth, TRACE_DEEP_MAX);
}

/* --- where a stack begins --------------------------------------------------------------------- */

static void *run_thread(void *data) {
    unwind_scenes_fast.scenes[0].run(10, look, data);
    __asm__ volatile("" : : : "memory");
    return NULL;
}

static void look_in_thread(const pthread_attr_t *attributes, const char *scene) {
    pthread_t thread;
    memset(&seen, 0, sizeof seen);
    EXPECT_EQ(pthread_create(&thread, attributes, run_thread, &seen), 0);
    pthread_join(thread, NULL);
    expect_all(&seen, scene);
    EXPECT(index_of(&seen.ours, (void *)run_thread) < seen.ours.count);
    EXPECT(seen.ours.count > 12);
}

Test(unwind, ends_where_a_thread_begins, .init = set_up) { look_in_thread(NULL, "thread"); }

Test(unwind, ends_on_a_stack_that_was_given, .init = set_up) {
    enum { BYTES = 256 << 10 };
    pthread_attr_t attributes;
    void *stack = os_map(BYTES);
    EXPECT(stack != NULL);
    pthread_attr_init(&attributes);
    EXPECT_EQ(pthread_attr_setstack(&attributes, stack, BYTES), 0);
    look_in_thread(&attributes, "a stack that was given");
}

static struct seen seen_in_constructor;

__attribute__((constructor)) static void look_in_constructor(void) {
    os_object_init();
    trace_init();
    unwind_scenes_fast.scenes[0].run(3, look, &seen_in_constructor);
    __asm__ volatile("" : : : "memory");
}

Test(unwind, ends_from_a_constructor_too) {
    expect_all(&seen_in_constructor, "constructor");
    unsigned at = index_of(&seen_in_constructor.ours, (void *)look_in_constructor);
    EXPECT(at < seen_in_constructor.ours.count);
}

static ucontext_t here, coroutine;

static void run_coroutine(void) { unwind_scenes_fast.scenes[0].run(10, look, &seen); }

Test(unwind, ends_where_a_coroutine_begins, .init = set_up) {
    enum { BYTES = 256 << 10 };
    void *stack = os_map(BYTES);
    EXPECT(stack != NULL && getcontext(&coroutine) == 0);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = BYTES;
    coroutine.uc_link = &here;
    makecontext(&coroutine, run_coroutine, 0);
    EXPECT_EQ(swapcontext(&here, &coroutine), 0);
    unsigned count = seen.ours.count;
    EXPECT(count > 12 && count <= seen.libgcc.count);
    expect_same(&seen, count, "coroutine");
}

/* --- functions in assembly -------------------------------------------------------------------- */

/* Between a function that is `look`s caller and keeps all registers, and this one. */
static void look_from_many_registers(void *data) {
    unwind_scenes_fast.scenes[5].run(1, look, data);
    __asm__ volatile("" : : : "memory");
}

Test(unwind, runs_all_that_tables_may_say, .init = set_up) {
    static const struct {
        const char *name;
        void (*run)(void *data, unwind_then *then);
    } odd[] = {
        {"states", unwind_states},          {"expressions", unwind_expressions},
        {"arithmetic", unwind_arithmetic},  {"signed", unwind_signed},
        {"registers", unwind_in_registers}, {"far", unwind_far},
    };
    EXPECT(strcmp(unwind_scenes_fast.scenes[5].name, "many_registers") == 0);
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
        memset(&seen, 0, sizeof seen);
        odd[i].run(&seen, look_from_many_registers);
        expect_all(&seen, odd[i].name);
        EXPECT_AT(index_of(&seen.ours, (void *)odd[i].run) < seen.ours.count, i);
    }
}

static void only_ours(void *data) {
    struct seen *see = data;
    see->last = walk(&see->ours, frame_here(), trace_stack_end((uintptr_t)&see));
    __asm__ volatile("" : : : "memory");
}

/* libgcc takes what is restored for what was never saved, so here it is nothing to compare with. */
APART static void look_through_restores(void) {
    unwind_restores(&seen, only_ours);
    __asm__ volatile("" : : : "memory");
}

Test(unwind, restores_what_the_common_entry_says, .init = set_up) {
    look_through_restores();
    EXPECT_EQ(seen.last, UNWIND_IS_END);
    EXPECT_EQ(index_of(&seen.ours, (void *)only_ours), 0);
    EXPECT_EQ(index_of(&seen.ours, (void *)unwind_restores), 1);
    EXPECT_EQ(index_of(&seen.ours, (void *)look_through_restores), 2);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void raise_one(void *data) {
    (void)data;
    raise(SIGUSR1);
    __asm__ volatile("" : : : "memory");
}

static void trap(void *data) {
    (void)data;
    unwind_traps();
    __asm__ volatile("" : : : "memory");
}

Test(unwind, goes_on_behind_a_signal, .init = set_up) {
    handle(SIGUSR1, 0);
    unwind_scenes_fast.scenes[0].run(10, raise_one, NULL);
    expect_all(&seen, "raise");
    EXPECT(index_of(&seen.ours, (void *)raise_one) < seen.ours.count);
}

/* At a function's first instruction: one byte before it is another function. */
static void expect_interrupted(const void *function, const char *scene) {
    unsigned at = index_of(&seen.ours, function);
    EXPECT(at < seen.ours.count);
    EXPECT(seen.ours.is_exact[at]);
    EXPECT_EQ(seen.ours.code[at], (uintptr_t)function);
    EXPECT_EQ(function_of(seen.deep.frames[at]), (uintptr_t)function);
    expect_all(&seen, scene);
}

Test(unwind, goes_on_behind_a_fault_at_the_first_instruction, .init = set_up) {
    handle(SIGSEGV, 0);
    resume_at = unwind_faults_behind;
    unwind_scenes_fast.scenes[0].run(10, fault, NULL);
    expect_interrupted((void *)unwind_faults, "fault");
    EXPECT(index_of(&seen.ours, (void *)fault) < seen.ours.count);
}

Test(unwind, goes_on_behind_a_trap_at_the_first_instruction, .init = set_up) {
    handle(SIGILL, 0);
    resume_at = unwind_traps_behind;
    unwind_scenes_fast.scenes[0].run(10, trap, NULL);
    expect_interrupted((void *)unwind_traps, "trap");
    EXPECT(index_of(&seen.ours, (void *)trap) < seen.ours.count);
}

/* --- at each instruction ---------------------------------------------------------------------- */

/* With the processor's trap flag, a signal behind each instruction: of libc's functions too, in the
 * midst of where they begin and end, of the stubs between libraries. */
static struct {
    unsigned long steps, whole;
    uintptr_t wrong; /* where a frame was, that libgcc finds otherwise */
} stepped;

static void on_step(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    const struct frames *ours = &seen.ours, *should = &seen.libgcc;
    seen.last = walk(&seen.ours, frame_here(), trace_stack_end((uintptr_t)&context));
    seen.libgcc.count = 0;
    _Unwind_Backtrace(add_libgcc, &seen.libgcc);
    bool is_right = ours->count <= should->count;
    for (unsigned i = 1; is_right && i < ours->count; i++)
        is_right = ours->code[i] == should->code[i] && ours->is_exact[i] == should->is_exact[i];
    bool is_whole = seen.last == UNWIND_IS_END && ours->count == should->count;
    stepped.steps++;
    stepped.whole += is_right && is_whole;
    if (!is_right || (seen.last == UNWIND_IS_END && !is_whole))
        stepped.wrong = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

static int compare_ints(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

/* Not in the red zone. */
#define TRAP_FLAG(operation)                                                                       \
    __asm__ volatile("subq $128, %%rsp\n\tpushfq\n\t" operation ", (%%rsp)\n\tpopfq\n\t"           \
                     "addq $128, %%rsp"                                                            \
                     :                                                                             \
                     :                                                                             \
                     : "memory", "cc")

APART static void step_through(void) {
    int numbers[64];
    char text[100];
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    EXPECT_EQ(sigaction(SIGTRAP, &action, NULL), 0);
    for (int i = 0; i < 64; i++)
        numbers[i] = i * 37 % 64;
    TRAP_FLAG("orq $0x100");
    qsort(numbers, 64, sizeof *numbers, compare_ints);
    snprintf(text, sizeof text, "%d %s %.17g", numbers[3], "words", strtod("1.2345e10", NULL));
    raise(SIGCONT);
    TRAP_FLAG("andq $~0x100");
    EXPECT(strcmp(text, "3 words 12345000000") == 0);
}

Test(unwind, at_no_instruction_is_wrong, .init = set_up, .timeout = 60) {
    step_through();
    EXPECT(stepped.steps > 10000);
    EXPECT_EQ(stepped.wrong, 0);
    EXPECT_AT(stepped.whole >= stepped.steps - stepped.steps / 20, stepped.whole); /* to the end */
}

#else

Test(unwind, knows_nothing_on_this_machine) {
    struct os_frame frame =
        os_frame_at((uintptr_t)&os_unwind, (uintptr_t)&frame, (uintptr_t)&frame);
    quiet_os();
    os_object_init();
    EXPECT_EQ(os_unwind(&frame, UINTPTR_MAX), UNWIND_NOT_KNOWN);
}

#endif
