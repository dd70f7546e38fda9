/* Purpose: rebind.h.
 * Owns:    nothing.
 * Source:  the System V ABI, "Dynamic Linking"; GNU hash tables as binutils writes them
 *          (bfd/elflink.c) and glibc reads them (elf/dl-lookup.c).
 *
 * The loader adds a symbol's value to the place where its file lies. So a value that is the
 * distance from there to a function of another file leads to that function, whoever asks, and in
 * whatever order he looks through the files. The table of symbols is a private mapping of the
 * file, of which only the pages that are written to take memory. */
#include "os/rebind.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "base/syscall.h"
#include "os/os.h"

struct table {
    uintptr_t base;
    ElfW(Sym) *symbols;
    const char *names;
    const uint32_t *hash;
};

struct job {
    uintptr_t inside;
    const struct os_binding *bindings;
    unsigned count;
    bool done;
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

static const ElfW(Phdr) *segment_around(const struct dl_phdr_info *file, uintptr_t address) {
    for (unsigned i = 0; i < file->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &file->dlpi_phdr[i];
        uintptr_t start = file->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && address - start < part->p_memsz)
            return part;
    }
    return NULL;
}

/* The loader of some systems leaves these addresses as the file has them. */
static const void *address_of(const struct dl_phdr_info *file, const ElfW(Dyn) *entry) {
    uintptr_t value = entry->d_un.d_ptr;
    return (const void *)(value < file->dlpi_addr ? file->dlpi_addr + value : value);
}

static bool find_table(const struct dl_phdr_info *file, struct table *table) {
    const ElfW(Dyn) *entry = NULL;
    for (unsigned i = 0; i < file->dlpi_phnum; i++)
        if (file->dlpi_phdr[i].p_type == PT_DYNAMIC)
            entry = (const ElfW(Dyn) *)(file->dlpi_addr + file->dlpi_phdr[i].p_vaddr);
    *table = (struct table){.base = file->dlpi_addr};
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        const void *address = address_of(file, entry);
        if (entry->d_tag == DT_SYMTAB)
            table->symbols = (ElfW(Sym) *)address;
        else if (entry->d_tag == DT_STRTAB)
            table->names = address;
        else if (entry->d_tag == DT_GNU_HASH)
            table->hash = address;
    }
    return table->symbols != NULL && table->names != NULL && table->hash != NULL;
}

static uint32_t hash_of(const char *name) {
    uint32_t hash = 5381;
    for (; *name != 0; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static bool leads_elsewhere(const struct table *table, const ElfW(Sym) *symbol,
                            const struct os_binding *binding) {
    return symbol->st_shndx != SHN_UNDEF && (symbol->st_info & 15) == STT_FUNC &&
           symbol->st_value != (uintptr_t)binding->target - table->base &&
           strcmp(table->names + symbol->st_name, binding->name) == 0;
}

/* Makes the symbols of that name lead there: there may be several, of different versions. With
 * `pages`: only adds to them the pages where such symbols lie. */
static void lead(const struct table *table, const struct os_binding *binding, struct span *pages) {
    enum { BUCKETS, FIRST_SYMBOL, BLOOM_WORDS, BLOOM_SHIFT, HEADER_WORDS };
    const uint32_t *hash = table->hash;
    const uint32_t *buckets =
        hash + HEADER_WORDS + hash[BLOOM_WORDS] * (sizeof(ElfW(Addr)) / sizeof *hash);
    const uint32_t *chains = buckets + hash[BUCKETS];
    uint32_t wanted = hash_of(binding->name);
    uint32_t first = hash[FIRST_SYMBOL];
    uint32_t i = hash[BUCKETS] != 0 ? buckets[wanted % hash[BUCKETS]] : 0;
    for (bool last = i < first; !last; i++) {
        ElfW(Sym) *symbol = &table->symbols[i];
        last = chains[i - first] & 1;
        if ((chains[i - first] | 1) != (wanted | 1) || !leads_elsewhere(table, symbol, binding))
            continue;
        if (pages != NULL)
            add_to(pages, symbol);
        else
            store_relaxed(&symbol->st_value, (uintptr_t)binding->target - table->base);
    }
}

static void lead_all(const struct table *table, const struct job *job, struct span *pages) {
    for (unsigned i = 0; i < job->count; i++)
        if (job->bindings[i].target != NULL)
            lead(table, &job->bindings[i], pages);
}

static int protection_of(const ElfW(Phdr) *part) {
    return (part->p_flags & PF_R ? PROT_READ : 0) | (part->p_flags & PF_W ? PROT_WRITE : 0) |
           (part->p_flags & PF_X ? PROT_EXEC : 0);
}

static bool protect(const struct span *pages, int protection) {
    long result = raw_syscall(SYS_mprotect, (long)pages->start, (long)(pages->end - pages->start),
                              protection, 0, 0, 0);
    return result == 0;
}

/* True: done. */
static bool rebind_in(const struct dl_phdr_info *file, const struct job *job) {
    struct span pages = {UINTPTR_MAX, 0};
    struct table table;
    if (!find_table(file, &table))
        return false;
    lead_all(&table, job, &pages);
    if (pages.end == 0)
        return true;
    const ElfW(Phdr) *segment = segment_around(file, pages.start);
    if (segment == NULL || !protect(&pages, protection_of(segment) | PROT_WRITE))
        return false;
    lead_all(&table, job, NULL);
    return protect(&pages, protection_of(segment));
}

static int rebind_if_inside(struct dl_phdr_info *file, size_t bytes, void *data) {
    struct job *job = data;
    (void)bytes;
    if (segment_around(file, job->inside) == NULL)
        return 0;
    job->done = rebind_in(file, job);
    return 1;
}

bool os_rebind(const void *inside, const struct os_binding *bindings, unsigned count) {
    struct job job = {(uintptr_t)inside, bindings, count, false};
    dl_iterate_phdr(rebind_if_inside, &job);
    return job.done;
}
