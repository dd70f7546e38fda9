/* Purpose: paragraph.h. */
#include "report/paragraph.h"

#include "check/trace.h"
#include "large/large.h"
#include "report/modules.h"
#include "slab/zone.h"

enum { FRAMES_SHOWN = 8 };

/* What the program may do with the slot: "live, 20 bytes asked for by malloc", "free". */
static void put_state(struct text *text, uintptr_t start, bool is_free) {
    struct check_facts facts = check_facts_of(start);
    if (facts.state == CHECK_LIVE && !is_free)
        text_format(text, "live, %zu byte%s asked for by %s", facts.bytes, plural(facts.bytes),
                    call_facts[facts.call].name);
    else if (facts.state == CHECK_FREED)
        text_format(text, "%s, %zu byte%s had been asked for by %s",
                    is_free ? "free" : "freed, kept back", facts.bytes, plural(facts.bytes),
                    call_facts[facts.call].name);
    else
        text_format(text, is_free ? "free" : "live, allocated without checks");
}

static void put_neighbour(struct text *text, const struct slab *slab, size_t slot,
                          const char *where) {
    uintptr_t start = (uintptr_t)slab_slot_address(slab, slot);
    text_format(text, "slabmalloc:   %s it, %p: ", where, (void *)start);
    put_state(text, start, slab_is_free(slab, slot));
    text_format(text, "\n");
}

static void put_slot_lines(struct text *text, const struct slab *slab, uintptr_t address) {
    size_t slot = (address - slab->base) / slab->slot_bytes;
    uintptr_t start = (uintptr_t)slab_slot_address(slab, slot);
    text_format(text, "slabmalloc:   block %p, %zu bytes at offset %zu: slot %zu of %zu, class %u, "
                      "%s slab %u at %p: ",
                (void *)start, (size_t)slab->slot_bytes, (size_t)(address - start), slot,
                (size_t)slab->slots, (unsigned)slab->cls,
                slab->zone == ZONE_TINY ? "TINY" : "SMALL", slab->number,
                (void *)zone_slab_memory(slab));
    put_state(text, start, slab_is_free(slab, slot));
    text_format(text, "\n");
    if (slot > 0)
        put_neighbour(text, slab, slot - 1, "before");
    if (slot + 1 < slab->slots)
        put_neighbour(text, slab, slot + 1, "behind");
}

static void put_large_line(struct text *text, uintptr_t address) {
    uintptr_t start = 0;
    size_t bytes = 0;
    enum fault seen = large_examine(address, &start, &bytes);
    if (seen == FAULT_FOREIGN)
        return;
    text_format(text, "slabmalloc:   block %p, LARGE, %zu bytes, at offset %s%zu: ", (void *)start,
                bytes, address < start ? "-" : "",
                address < start ? start - address : address - start);
    put_state(text, start, seen == FAULT_DOUBLE_FREE);
    text_format(text, "\n");
}

void paragraph_put_frames(struct text *text, const uintptr_t *frames, unsigned depth) {
    for (unsigned i = 0; i < depth && i < FRAMES_SHOWN; i++) {
        text_format(text, "slabmalloc:     ");
        modules_put(text, frames[i]);
        text_format(text, "\n");
    }
}

const char *paragraph_event_word(const struct check_event *event) {
    return event->frees                  ? "freed"
           : event->call == CALL_REALLOC ? "allocated or resized"
                                         : "allocated";
}

static void put_event(struct text *text, const struct check_event *event) {
    text_format(text, "slabmalloc:   %s by thread %u with %s, %zu byte%s, called from\n",
                paragraph_event_word(event), event->thread, call_facts[event->call].name,
                event->bytes, plural(event->bytes));
    paragraph_put_frames(text, event->frames, event->depth);
}

/* The call at hand is in no history: it gave nothing back. */
static void put_present_call(struct text *text, enum call call) {
    struct trace trace;
    trace_take(&trace);
    text_format(text, "slabmalloc:   %s was called by thread %u, from\n", call_facts[call].name,
                os_thread_number());
    paragraph_put_frames(text, trace.frames, trace.depth);
}

void paragraph_put_history(struct text *text, uintptr_t start) {
    struct check_event events[CHECK_EVENTS_MAX];
    size_t count = check_history(start, events, CHECK_EVENTS_MAX);
    for (size_t i = 0; i < count; i++)
        put_event(text, &events[i]);
}

void paragraph_put(struct text *text, enum call call, uintptr_t address, uint32_t thread) {
    const struct slab *slab = zone_find(address);
    uintptr_t start = check_block_start(address);
    if (slab == NULL && start != 0)
        put_large_line(text, address);
    else if (start != 0)
        put_slot_lines(text, slab, address);
    if (call != CALL_NONE && thread == 0 && check_policy.history)
        put_present_call(text, call);
    else if (call != CALL_NONE)
        text_format(text, "slabmalloc:   %s was called by thread %u\n", call_facts[call].name,
                    thread != 0 ? thread : os_thread_number());
    if (start != 0)
        paragraph_put_history(text, start);
}
