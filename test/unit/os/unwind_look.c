/* Purpose: unwind_look.h. */
#include "../expect.h"

#if defined(__x86_64__)

#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "os/object.h"
#include "unwind_assembly.h"
#include "unwind_look.h"

void set_up(void) {
    quiet_os();
    os_object_init();
    trace_init();
}

unsigned char *guarded(size_t bytes) {
    unsigned char *map =
        mmap(NULL, bytes + 2 * os_page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(map != MAP_FAILED);
    EXPECT_EQ(mprotect(map + os_page_bytes, bytes, PROT_READ | PROT_WRITE), 0);
    return map + os_page_bytes;
}

const struct unwind_scenes *load_scenes(void) {
    void *library = dlopen(UNWIND_LOADED, RTLD_NOW);
    EXPECT(library != NULL);
    const struct unwind_scenes *table = dlsym(library, "unwind_scenes_loaded");
    EXPECT(table != NULL);
    return table;
}

/* --- looking at the stack --------------------------------------------------------------------- */

struct seen seen;

static void add(struct frames *frames, uintptr_t code, bool is_exact) {
    if (frames->count == FRAMES_MAX)
        return;
    frames->code[frames->count] = code;
    frames->is_exact[frames->count++] = is_exact;
}

_Unwind_Reason_Code add_libgcc(struct _Unwind_Context *context, void *frames) {
    int is_exact = 0;
    uintptr_t code = _Unwind_GetIPInfo(context, &is_exact);
    if (code != 0)
        add(frames, code, is_exact != 0);
    return _URC_NO_REASON;
}

static enum os_unwound walk_once(struct frames *frames, struct os_frame frame, uintptr_t end) {
    enum os_unwound unwound;
    frames->count = 0;
    do {
        add(frames, frame.code, frame.is_exact);
        unwound = os_unwind(&frame, end);
    } while (unwound == UNWOUND && frames->count < FRAMES_MAX);
    return unwound;
}

enum os_unwound walk(struct frames *frames, struct os_frame frame, uintptr_t end) {
    frame.is_careful = true;
    enum os_unwound carefully = walk_once(frames, frame, end);
    struct frames quick = {0};
    frame.is_careful = false;
    enum os_unwound quickly = walk_once(&quick, frame, end);
    EXPECT(carefully != UNWIND_LACKS);
    if (quickly != UNWIND_LACKS) {
        EXPECT(quickly == carefully);
        EXPECT_EQ(quick.count, frames->count);
        for (unsigned i = 0; i < quick.count; i++)
            EXPECT_EQ(quick.code[i], frames->code[i]);
    }
    return carefully;
}

APART void look(void *data) {
    struct seen *see = data;
    trace_take_deep(&see->deep);
    see->last = walk(&see->ours, frame_here(), trace_stack_end((uintptr_t)&data));
    see->libgcc.count = 0;
    _Unwind_Backtrace(add_libgcc, &see->libgcc);
    __asm__ volatile("" : : : "memory"); /* so that it is no jump */
}

uintptr_t function_of(uintptr_t code) {
    return (uintptr_t)_Unwind_FindEnclosingFunction((void *)code);
}

void expect_same(const struct seen *see, unsigned count, const char *scene) {
    const struct frames *should = &see->libgcc;
    for (unsigned i = 0; i < count; i++) {
        bool is_same = i == 0 ? function_of(see->ours.code[0]) == function_of(should->code[0])
                              : see->ours.code[i] == should->code[i] &&
                                    see->ours.is_exact[i] == should->is_exact[i];
        if (!is_same)
            cr_assert_fail("%s: frame %u of %u is %#lx, not %#lx", scene, i, count,
                           see->ours.code[i], should->code[i]);
    }
    for (unsigned i = 1; i < count && i < TRACE_DEEP_MAX; i++)
        if (see->deep.frames[i] != should->code[i] + should->is_exact[i])
            cr_assert_fail("%s: frame %u of the trace is %#lx, not %#lx", scene, i,
                           see->deep.frames[i], should->code[i] + should->is_exact[i]);
}

void expect_all(const struct seen *see, const char *scene) {
    unsigned count = see->libgcc.count;
    if (see->ours.count != count || see->last != UNWIND_IS_END)
        cr_assert_fail("%s: %u frames, not %u; the last gives %d", scene, see->ours.count, count,
                       (int)see->last);
    expect_same(see, count, scene);
    EXPECT_EQ(see->deep.depth, count < TRACE_DEEP_MAX ? count : TRACE_DEEP_MAX);
}

unsigned index_of(const struct frames *frames, const void *function) {
    unsigned i = 0;
    while (i < frames->count &&
           function_of(frames->code[i] + frames->is_exact[i]) != (uintptr_t)function)
        i++;
    return i;
}

/* --- signals ---------------------------------------------------------------------------------- */

const void *resume_at;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    look(&seen);
    if (resume_at != NULL)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)resume_at;
}

void handle(int signal, int flags) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags};
    EXPECT_EQ(sigaction(signal, &action, NULL), 0);
}

void fault(void *data) {
    (void)data;
    unwind_faults((const void *)16);
    __asm__ volatile("" : : : "memory");
}

#endif
