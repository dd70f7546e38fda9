/* Purpose: tasks.h on Linux.
 * Owns:    what the handler looks at.
 * Source:  proc_pid_task(5), proc_pid_status(5), tgkill(2), sigaction(2), getdents64(2). */
#include "os/tasks.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "base/format.h"
#include "base/syscall.h"
#include "os/file.h"
#include "os/os.h"

enum { TASKS_MAX = 16384, DIRECTORY_BYTES = 2048, STATUS_BYTES = 4096, PATH_BYTES = 64 };
enum { WAIT_MS = 1, WAIT_MAX_MS = 3000, WAIT_BLOCKED_MAX_MS = 50, SIGNAL_FRAME_MAX = 1 << 16 };

static struct {
    uint32_t round;  /* odd while threads are to wait */
    uint32_t inside; /* handlers that use what follows */
    struct os_task *list;
    size_t count;
} stop;

static uint32_t own_id(void) { return (uint32_t)raw_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0); }

/* --- in the thread that is stopped ------------------------------------------------------------ */

static uintptr_t stack_pointer(const ucontext_t *context) {
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[15]; /* REG_RSP */
#else
    return context->uc_mcontext.sp;
#endif
}

static void copy_registers(struct os_task *task, const ucontext_t *context) {
#if defined(__x86_64__)
    const void *from = context->uc_mcontext.gregs;
    size_t bytes = 16 * sizeof(uintptr_t);
#else
    const void *from = context->uc_mcontext.regs;
    size_t bytes = 31 * sizeof(uintptr_t);
#endif
    memcpy(task->registers, from, bytes);
}

/* The handler's frame, if it is on the thread's own stack: the kernel has put all registers between
 * it and the stack pointer. */
static uintptr_t stack_in_use(const ucontext_t *context) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    uintptr_t before = stack_pointer(context);
    return frame < before && before - frame < SIGNAL_FRAME_MAX ? frame : before;
}

static void wait_here(uint32_t round, const ucontext_t *context) {
    uint32_t id = own_id();
    for (size_t i = 0; i < stop.count; i++) {
        struct os_task *task = &stop.list[i];
        if (task->id != id)
            continue;
        copy_registers(task, context);
        task->stack = stack_in_use(context);
        store_release(&task->answers, 1);
        while (load_acquire(&stop.round) == round)
            os_wait(&stop.round, round);
        return;
    }
}

static void handle(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    __atomic_fetch_add(&stop.inside, 1, __ATOMIC_SEQ_CST);
    uint32_t round = load_seq_cst(&stop.round);
    if (round & 1)
        wait_here(round, context);
    __atomic_fetch_sub(&stop.inside, 1, __ATOMIC_SEQ_CST);
}

/* --- which threads there are ------------------------------------------------------------------ */

static uint64_t hexadecimal(const char *digits) {
    uint64_t number = 0;
    for (;; digits++) {
        if (*digits >= '0' && *digits <= '9')
            number = number << 4 | (uint64_t)(*digits - '0');
        else if (*digits >= 'a' && *digits <= 'f')
            number = number << 4 | (uint64_t)(*digits - 'a' + 10);
        else
            return number;
    }
}

enum disposition { TASK_GONE, TASK_BLOCKS, TASK_TAKES };

/* A thread that has ended and not been waited for (the first one can) takes no signal any more. */
static enum disposition ask(uint32_t id, int signal) {
    char status[STATUS_BYTES];
    TEXT(path, PATH_BYTES);
    text_format(&path, "/proc/self/task/%u/status%c", id, 0);
    int fd = file_open(path.bytes, O_RDONLY, 0);
    if (fd < 0)
        return TASK_GONE;
    long n = raw_syscall(SYS_read, fd, (long)status, sizeof status - 1, 0, 0, 0);
    file_close(fd);
    if (n <= 0)
        return TASK_GONE;
    status[n] = 0;
    const char *state = strstr(status, "\nState:\t");
    const char *blocked = strstr(status, "\nSigBlk:\t");
    if (state != NULL && (state[8] == 'Z' || state[8] == 'X'))
        return TASK_GONE;
    return blocked != NULL && hexadecimal(blocked + 9) >> (signal - 1) & 1 ? TASK_BLOCKS
                                                                           : TASK_TAKES;
}

struct entry {
    uint64_t inode, offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

static bool is_known(const struct os_tasks *tasks, uint32_t id) {
    for (size_t i = tasks->count; i-- > 0;)
        if (tasks->list[i].id == id)
            return true;
    return false;
}

/* Sends the signal, unless the thread blocks it: who waits for any signal would take it. */
static enum disposition try_to_stop(const struct os_tasks *tasks, struct os_task *task) {
    enum disposition disposition = ask(task->id, tasks->signal);
    if (disposition == TASK_TAKES && !task->is_told) {
        task->is_told = true;
        raw_syscall(SYS_tgkill, (long)os_process_id(), task->id, tasks->signal, 0, 0, 0);
    }
    return disposition;
}

static void enter(struct os_tasks *tasks, uint32_t id) {
    if (tasks->count == TASKS_MAX)
        return;
    struct os_task *task = &tasks->list[tasks->count];
    *task = (struct os_task){.id = id};
    store_release(&stop.count, ++tasks->count);
    try_to_stop(tasks, task);
}

static uint32_t number_of(const char *name) {
    uint32_t number = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        number = number * 10 + (uint32_t)(*name - '0');
    return number;
}

/* Enters those that are not known yet; false: there is no list. */
static bool enter_new(struct os_tasks *tasks) {
    uint64_t buffer[DIRECTORY_BYTES / sizeof(uint64_t)];
    uint32_t self = own_id();
    long n;
    int fd = file_open("/proc/self/task", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return false;
    while ((n = raw_syscall(SYS_getdents64, fd, (long)buffer, sizeof buffer, 0, 0, 0)) > 0) {
        for (long at = 0; at < n;) {
            const struct entry *entry = (const void *)((const char *)buffer + at);
            uint32_t id = number_of(entry->name);
            at += entry->bytes;
            if (id != 0 && id != self && !is_known(tasks, id))
                enter(tasks, id);
        }
    }
    file_close(fd);
    return true;
}

/* --- stopping --------------------------------------------------------------------------------- */

static bool answers(const struct os_task *task) { return load_acquire(&task->answers) != 0; }

/* What is left to wait for. glibc blocks all signals while it makes or ends a thread: for a moment
 * that is not to be told from a thread that always does. */
static bool is_awaited(const struct os_tasks *tasks, struct os_task *task, unsigned waited_ms) {
    if (answers(task))
        return false;
    enum disposition disposition = try_to_stop(tasks, task);
    return disposition != TASK_GONE &&
           waited_ms < (task->is_told ? WAIT_MAX_MS : WAIT_BLOCKED_MAX_MS);
}

static void await(struct os_tasks *tasks) {
    uint32_t never = 0;
    bool more = true;
    for (unsigned waited_ms = 0; more; waited_ms += WAIT_MS) {
        more = false;
        for (size_t i = 0; i < tasks->count; i++)
            more = is_awaited(tasks, &tasks->list[i], waited_ms) || more;
        if (more)
            os_wait_for(&never, 0, WAIT_MS);
    }
}

/* The highest real-time signal that has no handler and is not ignored. */
static int take_signal(void) {
    struct sigaction action = {.sa_sigaction = handle,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    struct sigaction before;
    sigfillset(&action.sa_mask);
    for (int signal = SIGRTMAX; signal >= SIGRTMIN; signal--) {
        if (sigaction(signal, NULL, &before) != 0)
            continue;
        bool is_ours = (before.sa_flags & SA_SIGINFO) && before.sa_sigaction == handle;
        bool is_free = !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL;
        if (is_ours || (is_free && sigaction(signal, &action, NULL) == 0))
            return signal;
    }
    return 0;
}

static void count_unstopped(struct os_tasks *tasks) {
    tasks->unstopped = 0;
    for (size_t i = 0; i < tasks->count; i++)
        tasks->unstopped += !answers(&tasks->list[i]) &&
                            ask(tasks->list[i].id, tasks->signal) != TASK_GONE;
}

void os_stop_others(struct os_tasks *tasks) {
    uint64_t all = UINT64_MAX;
    size_t known;
    *tasks = (struct os_tasks){.unstopped = SIZE_MAX};
    raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&tasks->mask, sizeof all, 0, 0);
    tasks->bytes = round_up(TASKS_MAX * sizeof *tasks->list, os_page_bytes);
    tasks->list = os_map(tasks->bytes);
    tasks->signal = tasks->list != NULL ? take_signal() : 0;
    if (tasks->signal == 0)
        return;
    stop.list = tasks->list;
    stop.count = 0;
    __atomic_fetch_add(&stop.round, 1, __ATOMIC_SEQ_CST);
    do { /* until nobody was left who could have made another */
        known = tasks->count;
        if (!enter_new(tasks))
            return;
        await(tasks);
    } while (tasks->count != known);
    count_unstopped(tasks);
}

/* A handler that comes later finds nothing to do: but the signal must not end the process, so it
 * stays if one may still come. */
static void give_signal_back(const struct os_tasks *tasks) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < tasks->count; i++)
        if (tasks->list[i].is_told && !answers(&tasks->list[i]))
            return;
    sigaction(tasks->signal, &action, NULL);
}

void os_continue_others(struct os_tasks *tasks) {
    uint32_t never = 0;
    if (tasks->signal != 0) {
        __atomic_fetch_add(&stop.round, 1, __ATOMIC_SEQ_CST);
        os_wake(&stop.round, INT32_MAX);
        while (load_seq_cst(&stop.inside) != 0)
            os_wait_for(&never, 0, 1);
        give_signal_back(tasks);
    }
    if (tasks->list != NULL)
        os_unmap(tasks->list, tasks->bytes);
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&tasks->mask, 0, sizeof tasks->mask, 0, 0);
    *tasks = (struct os_tasks){0};
}
