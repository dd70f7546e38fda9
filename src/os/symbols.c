/* Purpose: symbols.h.
 * Owns:    nothing.
 * Source:  elf(5); the System V ABI, "Dynamic Linking", and its AMD64 supplement, "Function
 *          Addresses"; GNU hash tables as binutils writes them (bfd/elflink.c) and glibc reads them
 *          (elf/dl-lookup.c). */
#include "os/symbols.h"

#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

/* `entry`: the first of the file's dynamic section. */
static bool find_by_section(struct os_symbols *table, uintptr_t base, const ElfW(Dyn) *entry) {
    *table = (struct os_symbols){.base = base};
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        /* The loader of some systems leaves these addresses as the file has them. */
        uintptr_t value = entry->d_un.d_ptr;
        const void *address = (const void *)(value < base ? base + value : value);
        if (entry->d_tag == DT_SYMTAB)
            table->symbols = (ElfW(Sym) *)address;
        else if (entry->d_tag == DT_STRTAB)
            table->names = address;
        else if (entry->d_tag == DT_GNU_HASH)
            table->hash = address;
    }
    return table->symbols != NULL && table->names != NULL && table->hash != NULL;
}

static const ElfW(Dyn) *section_of(uintptr_t base, const ElfW(Phdr) *parts, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        if (parts[i].p_type == PT_DYNAMIC)
            return (const ElfW(Dyn) *)(base + parts[i].p_vaddr);
    return NULL;
}

bool os_symbols_find(struct os_symbols *table, uintptr_t base, const ElfW(Phdr) *parts,
                     unsigned count) {
    return find_by_section(table, base, section_of(base, parts, count));
}

static uint32_t hash_of(const char *name) {
    uint32_t hash = 5381;
    for (; *name != 0; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

ElfW(Sym) *os_symbols_next(const struct os_symbols *table, const char *name,
                           const ElfW(Sym) *before) {
    enum { BUCKETS, FIRST_SYMBOL, BLOOM_WORDS, BLOOM_SHIFT, HEADER_WORDS };
    const uint32_t *hash = table->hash;
    const uint32_t *buckets =
        hash + HEADER_WORDS + hash[BLOOM_WORDS] * (sizeof(ElfW(Addr)) / sizeof *hash);
    const uint32_t *chains = buckets + hash[BUCKETS];
    uint32_t wanted = hash_of(name);
    uint32_t first = hash[FIRST_SYMBOL];
    uint32_t i = hash[BUCKETS] != 0 ? buckets[wanted % hash[BUCKETS]] : 0;
    bool is_last = i < first;
    if (before != NULL) {
        i = (uint32_t)(before - table->symbols);
        is_last = chains[i++ - first] & 1;
    }
    for (; !is_last; i++) {
        ElfW(Sym) *symbol = &table->symbols[i];
        uint32_t found = chains[i - first];
        if ((found | 1) == (wanted | 1) && strcmp(table->names + symbol->st_name, name) == 0)
            return symbol;
        is_last = found & 1;
    }
    return NULL;
}

/* The first definition behind the program's. The files that were loaded with it are the first of
 * the loader's list, in the order in which names are looked for, and stay: it is safe to walk as
 * far as one of them that has the name. */
static uintptr_t find_behind_program(const ElfW(Dyn) *section, const char *name) {
    const struct link_map *map = NULL;
    for (; section->d_tag != DT_NULL; section++)
        if (section->d_tag == DT_DEBUG && section->d_un.d_ptr != 0)
            map = ((const struct r_debug *)section->d_un.d_ptr)->r_map;
    for (map = map != NULL ? map->l_next : NULL; map != NULL; map = map->l_next) {
        struct os_symbols table;
        if (!find_by_section(&table, map->l_addr, map->l_ld))
            continue;
        const ElfW(Sym) *symbol = os_symbols_next(&table, name, NULL);
        if (symbol != NULL && symbol->st_shndx != SHN_UNDEF)
            return table.base + symbol->st_value;
    }
    return 0;
}

uintptr_t os_program_stub_leads_to(const char *name, uintptr_t function) {
    const ElfW(Phdr) *parts = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    unsigned count = parts != NULL ? (unsigned)getauxval(AT_PHNUM) : 0;
    struct os_symbols table;
    uintptr_t base = 0;
    for (unsigned i = 0; i < count; i++)
        if (parts[i].p_type == PT_PHDR)
            base = (uintptr_t)parts - parts[i].p_vaddr;
    const ElfW(Dyn) *section = section_of(base, parts, count);
    if (!find_by_section(&table, base, section))
        return 0;
    const ElfW(Sym) *symbol = os_symbols_next(&table, name, NULL);
    bool is_stub = symbol != NULL && symbol->st_shndx == SHN_UNDEF && symbol->st_value != 0 &&
                   base + symbol->st_value == function;
    return is_stub ? find_behind_program(section, name) : 0;
}
