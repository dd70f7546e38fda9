/* Purpose: diagnosis.h. The wording of every line is fixed by test/misuse.
 *
 *   slabmalloc: double free: free(0x7f3a10004560): slot 69 (96 bytes) of TINY slab 12 is ...
 *               verdict      call(pointer)         place                                reason
 */
#include "report/diagnosis.h"

#include <string.h>

#include "base/fatal.h"
#include "core/options.h"
#include "large/large.h"
#include "os/os.h"
#include "slab/zone.h"

static bool is_free_call(const char *call) {
    return strstr(call, "free") != NULL || strstr(call, "delete") != NULL;
}

static const char *verdict(const char *call, enum fault fault) {
    if (fault == FAULT_DOUBLE_FREE)
        return is_free_call(call) ? "double free" : "use after free";
    return is_free_call(call) ? "invalid free" : "invalid pointer";
}

static void put_slab(struct text *line, const struct slab *slab) {
    text_format(line, "%s slab %u", slab->zone == ZONE_TINY ? "TINY" : "SMALL",
                slab->number);
}

static void put_slot(struct text *line, const struct slab *slab, size_t slot) {
    text_format(line, "slot %zu (%zu bytes) of ", slot, (size_t)slab->slot_bytes);
    put_slab(line, slab);
}

static void explain_slab(struct text *line, const struct slab *slab, uintptr_t address,
                         enum fault fault) {
    size_t slot;
    slab_examine(slab, address, &slot);
    switch (fault) {
    case FAULT_INTERIOR:
        text_format(line, "%zu bytes inside ", (size_t)(address - slab->base) % slab->slot_bytes);
        put_slot(line, slab, slot);
        text_format(line, slab_is_free(slab, slot) ? ", which is free"
                                                   : ", which starts at %p",
                    slab_slot_address(slab, slot));
        break;
    case FAULT_PADDING:
        text_format(line, "between the slots of ");
        put_slab(line, slab);
        text_format(line, ": no block starts there");
        break;
    case FAULT_EMPTY_SLAB:
        text_format(line, "in the heap, but no block was ever allocated there");
        break;
    default:
        put_slot(line, slab, slot);
        text_format(line, " is already free");
        break;
    }
}

static void explain_large(struct text *line, uintptr_t address) {
    uintptr_t start = 0;
    size_t bytes = 0;
    switch (large_examine(address, &start, &bytes)) {
    case FAULT_INTERIOR:
        text_format(line, "%zu bytes inside a LARGE block of %zu bytes, which starts at %p",
                    (size_t)(address - start), bytes, (void *)start);
        break;
    case FAULT_DOUBLE_FREE:
        text_format(line, "the LARGE block there is already free");
        break;
    default:
        text_format(line, os_is_libc_heap(address)
                              ? "never allocated here, but in the program break, as the C "
                                "library's own malloc does for libraries loaded with RTLD_DEEPBIND"
                              : "never allocated here, or a LARGE block freed long ago");
        break;
    }
}

static uint64_t faults;

uint64_t diagnosis_count(void) { return load_relaxed(&faults); }

/* Counts a fault; true: it is to be told. */
static bool is_told(void) {
    fetch_add_relaxed(&faults, 1);
    return option_get(OPTION_on_error) != ON_ERROR_IGNORE;
}

static void tell(const struct text *line) {
    if (option_get(OPTION_on_error) == ON_ERROR_ABORT)
        fatal_line(line);
    report_line(line);
}

void diagnose_pointer(const char *call, const void *pointer, enum fault fault) {
    TEXT(line, 320);
    uintptr_t address = (uintptr_t)pointer;
    const struct slab *slab = zone_find(address);
    if (!is_told())
        return;
    text_format(&line, "slabmalloc: %s: %s(%p): ", verdict(call, fault), call, (void *)address);
    if (slab != NULL)
        explain_slab(&line, slab, address, fault);
    else
        explain_large(&line, address);
    text_format(&line, "\n");
    tell(&line);
}

void diagnose_late(const char *call, struct slab *slab, size_t slot) {
    TEXT(line, 320);
    if (!is_told())
        return;
    text_format(&line, "slabmalloc: double free: two threads freed %p: ",
                slab_slot_address(slab, slot));
    put_slot(&line, slab, slot);
    text_format(&line, "; found by %s\n", call);
    tell(&line);
}

void diagnosis_put_violation(struct text *text, const struct violation *violation) {
    text_format(text, "slabmalloc: broken heap: %s, at %p", violation->what,
                (void *)violation->where);
    if (violation->details[0] != violation->details[1])
        text_format(text, " (%zx, expected %zx)", (size_t)violation->details[0],
                    (size_t)violation->details[1]);
    text_format(text, "\n");
}
