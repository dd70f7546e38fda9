/* Purpose: history.h. */
#include "check/history.h"

#include "check/stacks.h"

void history_find_out(struct moment *moment) {
    struct trace trace;
    moment->thread = os_thread_number();
    trace_take(&trace);
    moment->stack = stacks_enter(&trace);
}

void history_add(struct event *events, const struct moment *moment, enum call call, bool frees,
                 size_t bytes) {
    if (events == NULL)
        return;
    for (unsigned i = EVENTS - 1; i > 0; i--)
        events[i] = events[i - 1];
    events[0] = (struct event){moment->stack, moment->thread, bytes, call, frees};
}

size_t check_history(uintptr_t start, struct check_event *events, size_t count) {
    struct place place = record_peek(start);
    size_t found = 0;
    for (; place.events != NULL && found < EVENTS && found < count; found++) {
        struct event event = place.events[found];
        if (event.call == CALL_NONE)
            break;
        events[found] = (struct check_event){
            (enum call)event.call, event.frees != 0, event.thread, event.bytes, NULL, 0};
        events[found].frames = stacks_get(event.stack, &events[found].depth);
    }
    return found;
}
