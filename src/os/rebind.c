/* Purpose: rebind.h.
 * Owns:    nothing.
 * Source:  the System V ABI, "Dynamic Linking".
 *
 * The loader adds a symbol's value to the place where its file lies. So a value that is the
 * distance from there to a function of another file leads to that function, whoever asks, and in
 * whatever order he looks through the files. The table of symbols is a private mapping of the
 * file, of which only the pages that are written to take memory. */
#include "os/rebind.h"

#include <elf.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "base/syscall.h"
#include "os/os.h"
#include "os/symbols.h"

struct job {
    uintptr_t inside;
    const struct os_binding *bindings;
    unsigned count;
};

struct span {
    uintptr_t start, end;
};

/* Whole pages. */
static void add_to(struct span *pages, const ElfW(Sym) *symbol) {
    uintptr_t start = round_down((uintptr_t)symbol, os_page_bytes);
    uintptr_t end = round_up((uintptr_t)(symbol + 1), os_page_bytes);
    pages->start = start < pages->start ? start : pages->start;
    pages->end = end > pages->end ? end : pages->end;
}

/* Makes the symbols of that name lead there. With `pages`: only adds to them the pages where such
 * symbols lie. */
static void lead(const struct os_symbols *table, const struct os_binding *binding,
                 struct span *pages) {
    ElfW(Sym) *symbol = NULL;
    uintptr_t value = (uintptr_t)binding->target - table->base;
    while ((symbol = os_symbols_next(table, binding->name, symbol)) != NULL) {
        if (symbol->st_shndx == SHN_UNDEF || (symbol->st_info & 15) != STT_FUNC ||
            symbol->st_value == value)
            continue;
        if (pages != NULL)
            add_to(pages, symbol);
        else
            store_relaxed(&symbol->st_value, value);
    }
}

static void lead_all(const struct os_symbols *table, const struct job *job, struct span *pages) {
    for (unsigned i = 0; i < job->count; i++)
        if (job->bindings[i].target != NULL)
            lead(table, &job->bindings[i], pages);
}

static const ElfW(Phdr) *segment_around(const struct dl_phdr_info *file, uintptr_t address) {
    for (unsigned i = 0; i < file->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &file->dlpi_phdr[i];
        uintptr_t start = file->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && address - start < part->p_memsz)
            return part;
    }
    return NULL;
}

static int protection_of(const ElfW(Phdr) *part) {
    return (part->p_flags & PF_R ? PROT_READ : 0) | (part->p_flags & PF_W ? PROT_WRITE : 0) |
           (part->p_flags & PF_X ? PROT_EXEC : 0);
}

static bool protect(const struct span *pages, int protection) {
    return raw_syscall(SYS_mprotect, (long)pages->start, (long)(pages->end - pages->start),
                       protection, 0, 0, 0) == 0;
}

static void rebind_in(const struct dl_phdr_info *file, const struct job *job) {
    struct span pages = {UINTPTR_MAX, 0};
    struct os_symbols table;
    if (!os_symbols_find(&table, file->dlpi_addr, file->dlpi_phdr, file->dlpi_phnum))
        return;
    lead_all(&table, job, &pages);
    const ElfW(Phdr) *segment = pages.end != 0 ? segment_around(file, pages.start) : NULL;
    if (segment == NULL || !protect(&pages, protection_of(segment) | PROT_WRITE))
        return;
    lead_all(&table, job, NULL);
    protect(&pages, protection_of(segment));
}

static int rebind_if_inside(struct dl_phdr_info *file, size_t bytes, void *data) {
    const struct job *job = data;
    (void)bytes;
    if (segment_around(file, job->inside) == NULL)
        return 0;
    rebind_in(file, job);
    return 1;
}

void os_rebind(const void *inside, const struct os_binding *bindings, unsigned count) {
    struct job job = {(uintptr_t)inside, bindings, count};
    dl_iterate_phdr(rebind_if_inside, &job);
}
