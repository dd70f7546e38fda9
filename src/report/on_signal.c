/* Purpose: on_signal.h. */
#include "report/on_signal.h"

#include <signal.h>

#include "base/atomic.h"
#include "core/signals.h"
#include "os/os.h"

void on_signal(const char *option, unsigned number, void (*handler)(int number),
               struct text *complaints) {
    struct sigaction action = {.sa_flags = SA_RESTART | SA_ONSTACK};
    struct sigaction before;
    action.sa_handler = handler;
    if (number == 0 || (sigaction((int)number, NULL, &before) == 0 && before.sa_handler == handler))
        return;
    bool is_handled = before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN;
    if (!is_handled && sigaction((int)number, &action, NULL) == 0)
        return;
    text_format(complaints, "slabmalloc: %s: ", option);
    signal_put(complaints, number);
    text_format(complaints, is_handled ? " has a handler already\n" : " can't be handled\n");
}

bool on_signal_begin(uint32_t *writer) {
    uint32_t self = os_process_id();
    uint32_t before = load_relaxed(writer);
    return before != self && cas_acquire(writer, &before, self);
}

void on_signal_end(uint32_t *writer) { store_release(writer, 0); }
