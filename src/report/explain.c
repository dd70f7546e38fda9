/* Purpose: explain.h.
 * Locking: the handler takes none and allocates nothing. */
#include "report/explain.h"

#include <signal.h>

#include "base/fatal.h"
#include "check/check.h"
#include "check/trace.h"
#include "large/large.h"
#include "report/paragraph.h"
#include "slab/zone.h"

enum { EXPLANATION_BYTES = 4096 };

static struct sigaction before[2]; /* of SIGSEGV and SIGBUS */

/* A guard lies between two slabs, or behind the last one. */
static void put_slab_reason(struct text *text, const struct slab *slab, uintptr_t address) {
    const char *zone = slab->zone == ZONE_TINY ? "TINY" : "SMALL";
    uintptr_t start = zone_slab_memory(slab);
    if (!slab_is_guard(slab))
        text_format(text, "in the heap's range, where no block is");
    else
        text_format(text, "in the guard behind %s slab %u, %zu byte%s behind the slab's end", zone,
                    slab->number - 1, (size_t)(address - start), plural(address - start));
}

/* False: the address is none of ours. */
static bool put_reason(struct text *text, uintptr_t address) {
    enum call made_by;
    enum fault fault;
    uintptr_t start = 0;
    size_t bytes = 0;
    if (check_is_empty(address, &made_by, &fault)) {
        text_format(text, "in a block of 0 bytes, which is %s, allocated by %s",
                    fault == FAULT_DOUBLE_FREE ? "freed" : "live", call_facts[made_by].name);
        return true;
    }
    const struct slab *slab = zone_find(address);
    if (slab != NULL) {
        put_slab_reason(text, slab, address);
        return true;
    }
    if (large_examine(address, &start, &bytes) == FAULT_FOREIGN)
        return false;
    struct check_facts facts = check_facts_of(start);
    if (address < start)
        text_format(text, "%zu byte%s before the LARGE block at %p, in the guard there",
                    (size_t)(start - address), plural(start - address), (void *)start);
    else if (facts.state == CHECK_FREED)
        text_format(text, "%zu byte%s inside a LARGE block at %p, freed, of which %zu bytes had "
                          "been asked for",
                    (size_t)(address - start), plural(address - start), (void *)start,
                    facts.bytes);
    else if (facts.state == CHECK_LIVE)
        text_format(text, "%zu bytes behind the %zu asked for of the LARGE block at %p",
                    (size_t)(address - start) - facts.bytes, facts.bytes, (void *)start);
    else
        text_format(text, "%zu bytes inside a LARGE mapping at %p", (size_t)(address - start),
                    (void *)start);
    return true;
}

static void put_place(struct text *text, void *context) {
    struct os_interrupted at;
    struct trace trace;
    if (!os_interrupted_at(context, &at)) {
        text_format(text, "slabmalloc:   by thread %u\n", os_thread_number());
        return;
    }
    trace_take_interrupted(&trace, &at);
    text_format(text, "slabmalloc:   by thread %u, at\n", os_thread_number());
    paragraph_put_frames(text, trace.frames, trace.depth);
}

static void explain(const siginfo_t *info, void *context) {
    TEXT(text, EXPLANATION_BYTES);
    uintptr_t address = (uintptr_t)info->si_addr;
    text_format(&text, "slabmalloc: fault: access to %p, ", (void *)address);
    if (!put_reason(&text, address))
        return;
    text_format(&text, "\n");
    put_place(&text, context);
    paragraph_put(&text, CALL_NONE, address, 0);
    report_line(&text);
}

/* The instruction faults again on return, and then as if we had not been here. What another process
 * or raise() sent does not come again by itself. */
static void handle(int signal, siginfo_t *info, void *context) {
    bool is_sent = info->si_code <= 0;
    sigaction(signal, &before[signal == SIGBUS], NULL);
    if (is_sent)
        raise(signal);
    else
        explain(info, context);
}

static void install(int signal, struct sigaction *old) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (sigaction(signal, NULL, old) == 0 && !(old->sa_flags & SA_SIGINFO) &&
        old->sa_handler == SIG_DFL)
        sigaction(signal, &action, NULL);
}

void explain_faults_start(void) {
    install(SIGSEGV, &before[0]);
    install(SIGBUS, &before[1]);
}
