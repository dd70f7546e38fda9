/* Purpose: leaks.h.
 * Locking: the loader's lock first, which a thread that waits for us may hold; then all of ours;
 *          then threads are stopped, which may hold any other from there on. */
#include "heap/leaks.h"

#include "heap/heap.h"

/* Its frame begins where the program's own are: below it, stale words would count as pointers. */
NOINLINE bool heap_find_leaks(enum check_leaks_kind kind, struct check_leaks *leaks) {
    struct check_caller caller;
    struct os_tasks tasks = {0};
    heap_set_up(); /* or a fork would not wait for the locks */
    os_save_registers(caller.registers);
    caller.stack = (uintptr_t)__builtin_frame_address(0);
    check_find_modules(&caller);
    heap_lock_all();
    if (kind == CHECK_LEAKS_LOST)
        os_stop_others(&tasks);
    bool done = check_collect_leaks(kind, &caller, &tasks, leaks);
    if (kind == CHECK_LEAKS_LOST)
        os_continue_others(&tasks);
    heap_unlock_all();
    return done;
}
