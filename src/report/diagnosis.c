/* Purpose: diagnosis.h. The wording of every line is fixed by test/misuse.
 *
 *   slabmalloc: double free: free(0x7f3a10004560): slot 69 (96 bytes) of TINY slab 12 is ...
 *               verdict      call(pointer)         place                                reason
 */
#include "report/diagnosis.h"

#include <errno.h>

#include "base/fatal.h"
#include "check/check.h"
#include "core/options.h"
#include "large/large.h"
#include "os/os.h"
#include "report/paragraph.h"
#include "slab/zone.h"

enum { LINE_BYTES = 320, PARAGRAPH_BYTES = 4096 };

static const char *verdict(enum call call, enum fault fault) {
    bool frees = call_facts[call].gives_back;
    if (fault == FAULT_DOUBLE_FREE)
        return frees ? "double free" : "use after free";
    return frees ? "invalid free" : "invalid pointer";
}

static void put_slab(struct text *line, const struct slab *slab) {
    text_format(line, "%s slab %u", slab->zone == ZONE_TINY ? "TINY" : "SMALL",
                slab->number);
}

static void put_slot(struct text *line, const struct slab *slab, size_t slot) {
    text_format(line, "slot %zu (%zu bytes) of ", slot, (size_t)slab->slot_bytes);
    put_slab(line, slab);
}

/* By the bitmap, or because checks keep it back. */
static bool is_freed(const struct slab *slab, size_t slot) {
    return slab_is_free(slab, slot) ||
           check_facts_of((uintptr_t)slab_slot_address(slab, slot)).state == CHECK_FREED;
}

static void explain_slab(struct text *line, const struct slab *of, uintptr_t address,
                         enum fault fault) {
    struct slab copy;
    const struct slab *slab = zone_shape(of, &copy);
    size_t slot, inside;
    slab_examine(slab, address, &slot);
    if (slab->slot_bytes == 0)
        fault = FAULT_EMPTY_SLAB;
    switch (fault) {
    case FAULT_INTERIOR:
        inside = (size_t)(address - slab->base) % slab->slot_bytes;
        text_format(line, "%zu byte%s inside ", inside, plural(inside));
        put_slot(line, slab, slot);
        text_format(line, is_freed(slab, slot) ? ", which is free" : ", which starts at %p",
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

static void explain_large(struct text *line, uintptr_t address, enum fault fault) {
    uintptr_t start = 0;
    size_t bytes = 0;
    size_t inside;
    enum fault seen = large_examine(address, &start, &bytes);
    switch (seen == FAULT_NONE ? fault : seen) { /* for the heap, what is kept back is live */
    case FAULT_INTERIOR:
        inside = address < start ? start - address : address - start;
        text_format(line, "%zu byte%s %s a LARGE block of %zu bytes, which starts at %p", inside,
                    plural(inside), address < start ? "before" : "inside", bytes, (void *)start);
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
static const struct slm_error_handler *handler;

/* This thread is in the handler: a fault of the handler's own is not given to it. */
static __thread bool in_handler __attribute__((tls_model("initial-exec")));

uint64_t diagnosis_count(void) { return load_relaxed(&faults); }

const struct slm_error_handler *diagnosis_set_handler(const struct slm_error_handler *new_handler) {
    return exchange_acq_rel(&handler, new_handler);
}

/* Counts a fault; true: somebody wants to know what it is. */
static bool is_told(void) {
    fetch_add_relaxed(&faults, 1);
    return option_get(OPTION_on_error) != ON_ERROR_IGNORE || load_relaxed(&handler) != NULL;
}

static void call_handler(const struct slm_error *error) {
    const struct slm_error_handler *now = load_acquire(&handler);
    int saved = errno;
    if (now == NULL || in_handler)
        return;
    in_handler = true;
    now->handle(error, now->context);
    in_handler = false;
    errno = saved;
}

/* The handler first, for which the last end of line is taken off; then what the option says. */
static void tell(const struct text *text, enum slm_error_kind kind, uintptr_t address,
                 const char *call) {
    char *last = text->bytes + text->used - 1;
    const char end = *last;
    *last = 0;
    call_handler(&(struct slm_error){kind, (const void *)address, call, text->bytes});
    *last = end;
    if (option_get(OPTION_on_error) == ON_ERROR_ABORT)
        fatal_line(text);
    if (option_get(OPTION_on_error) == ON_ERROR_REPORT)
        report_line(text);
}

static enum slm_error_kind kind_of(enum call call, enum fault fault) {
    switch (fault) {
    case FAULT_DOUBLE_FREE:
        return call_facts[call].gives_back ? SLM_ERROR_DOUBLE_FREE : SLM_ERROR_USE_AFTER_FREE;
    case FAULT_INTERIOR:
        return SLM_ERROR_INTERIOR_POINTER;
    case FAULT_OVERFLOW:
        return SLM_ERROR_OVERFLOW;
    case FAULT_WRITE_AFTER_FREE:
        return SLM_ERROR_WRITE_AFTER_FREE;
    case FAULT_MISMATCH:
        return SLM_ERROR_MISMATCHED_FREE;
    case FAULT_WRONG_SIZE:
        return SLM_ERROR_WRONG_SIZE;
    case FAULT_WRONG_ALIGNMENT:
        return SLM_ERROR_WRONG_ALIGNMENT;
    default:
        return SLM_ERROR_INVALID_POINTER;
    }
}

/* Blocks of 0 bytes that fault (check/empty.c). */
static void explain_empty(struct text *line, uintptr_t address, enum fault fault) {
    if (fault == FAULT_INTERIOR)
        text_format(line, "%zu byte%s behind the start of a block of 0 bytes",
                    (size_t)(address % MIN_ALIGNMENT), plural(address % MIN_ALIGNMENT));
    else
        text_format(line, fault == FAULT_DOUBLE_FREE
                              ? "the block of 0 bytes there is already free"
                              : "in the heap, but no block was ever allocated there");
}

static void explain(struct text *line, enum call call, uintptr_t address, enum fault fault) {
    const struct slab *slab = zone_find(address);
    enum call made_by;
    enum fault seen;
    const char *name = call_facts[call == CALL_DELETE_ARRAY ? CALL_DELETE : call].name;
    text_format(line, "slabmalloc: %s: %s(%p): ", verdict(call, fault), name, (void *)address);
    if (slab != NULL)
        explain_slab(line, slab, address, fault);
    else if (check_is_empty(address, &made_by, &seen))
        explain_empty(line, address, fault);
    else
        explain_large(line, address, fault);
    text_format(line, "\n");
}

/* Apart, so that without checks no stack is needed for them: it may be a small one. */
static NOINLINE void tell_in_full(enum call call, uintptr_t address, enum fault fault) {
    TEXT(text, PARAGRAPH_BYTES);
    explain(&text, call, address, fault);
    paragraph_put(&text, call, address, 0);
    tell(&text, kind_of(call, fault), address, call_facts[call].name);
}

void diagnose_pointer(enum call call, const void *pointer, enum fault fault) {
    TEXT(line, LINE_BYTES);
    if (!is_told())
        return;
    if (load_relaxed(&check_active)) {
        tell_in_full(call, (uintptr_t)pointer, fault);
        return;
    }
    explain(&line, call, (uintptr_t)pointer, fault);
    tell(&line, kind_of(call, fault), (uintptr_t)pointer, call_facts[call].name);
}

void diagnose_late(const char *call, struct slab *slab, size_t slot) {
    TEXT(line, LINE_BYTES);
    if (!is_told())
        return;
    text_format(&line, "slabmalloc: double free: two threads freed %p: ",
                slab_slot_address(slab, slot));
    put_slot(&line, slab, slot);
    text_format(&line, "; found by %s\n", call);
    tell(&line, SLM_ERROR_DOUBLE_FREE, (uintptr_t)slab_slot_address(slab, slot), call);
}

/* "slot 3 (112 bytes) of TINY slab 0", or "a LARGE block". */
static void put_place(struct text *text, uintptr_t start) {
    const struct slab *slab = zone_find(start);
    enum call made_by;
    enum fault seen;
    size_t slot;
    if (slab != NULL && slab_slot_at(slab, start, &slot))
        put_slot(text, slab, slot);
    else
        text_format(text, check_is_empty(start, &made_by, &seen) ? "a block of 0 bytes"
                                                                 : "a LARGE block");
}

static const char *were(size_t count) { return count == 1 ? "was" : "were"; }

static void explain_finding(struct text *text, const struct check_finding *f) {
    const char *call = call_facts[f->call].name;
    const char *made_by = call_facts[f->made_by].name;
    void *start = (void *)f->start;
    switch (f->fault) {
    case FAULT_OVERFLOW:
        text_format(text, "slabmalloc: overflow: %s(%p): %zu byte%s from offset %zu on, behind "
                          "the %zu asked for, %s overwritten in ",
                    call, start, f->count, plural(f->count), f->offset, f->bytes, were(f->count));
        put_place(text, f->start);
        break;
    case FAULT_WRITE_AFTER_FREE:
        text_format(text, "slabmalloc: write after free: found by %s: %zu byte%s from offset %zu "
                          "on %s overwritten in %p, freed, ",
                    call, f->count, plural(f->count), f->offset, were(f->count), start);
        put_place(text, f->start);
        break;
    case FAULT_MISMATCH:
        text_format(text, "slabmalloc: mismatched free: %s(%p): allocated by %s: ", call, start,
                    made_by);
        put_place(text, f->start);
        break;
    case FAULT_WRONG_ALIGNMENT:
        text_format(text, "slabmalloc: wrong alignment: %s(%p", call, start);
        if (f->told.alignment != 0)
            text_format(text, ", alignment %zu", f->told.alignment);
        text_format(text, "): ");
        if (f->alignment != 0)
            text_format(text, "%zu", f->alignment);
        else
            text_format(text, "none");
        text_format(text, " was asked for, by %s: ", made_by);
        put_place(text, f->start);
        break;
    default:
        text_format(text, "slabmalloc: wrong size: %s(%p, %zu): %zu byte%s %s asked for, by %s: ",
                    call, start, f->told.bytes, f->bytes, plural(f->bytes), were(f->bytes),
                    made_by);
        put_place(text, f->start);
        break;
    }
    if (f->fault == FAULT_OVERFLOW || f->fault == FAULT_WRITE_AFTER_FREE)
        text_format(text, ", the first with 0x%x", (unsigned)f->byte);
    text_format(text, "\n");
}

void diagnosis_put_finding(struct text *text, const struct check_finding *finding) {
    explain_finding(text, finding);
    paragraph_put(text, finding->call, finding->start, finding->thread);
}

AT_START void diagnose_findings(void) {
    struct check_finding finding;
    while (check_take(&finding)) {
        TEXT(text, PARAGRAPH_BYTES);
        if (!is_told())
            continue;
        diagnosis_put_finding(&text, &finding);
        tell(&text, kind_of(finding.call, finding.fault), finding.start,
             call_facts[finding.call].name);
    }
}

void diagnosis_put_violation(struct text *text, const struct violation *violation) {
    text_format(text, "slabmalloc: broken heap: %s, at %p", violation->what,
                (void *)violation->where);
    if (violation->details[0] != violation->details[1])
        text_format(text, " (%zx, expected %zx)", (size_t)violation->details[0],
                    (size_t)violation->details[1]);
    text_format(text, "\n");
}
