/* Purpose: symbols.h.
 * Owns:    nothing.
 * Source:  elf(5); the System V ABI, "Dynamic Linking", and its AMD64 supplement, "Function
 *          Addresses"; GNU hash tables as binutils writes them (bfd/elflink.c) and glibc reads them
 *          (elf/dl-lookup.c); <link.h>. */
#include "os/symbols.h"

#include <elf.h>
#include <string.h>
#include <sys/auxv.h>

/* The loader of some systems leaves these addresses as the file has them. */
uintptr_t os_symbols_address(uintptr_t base, const ElfW(Dyn) *entry) {
    uintptr_t value = entry->d_un.d_ptr;
    return value < base ? base + value : value;
}

void os_symbols_read_entry(struct os_symbols *table, const ElfW(Dyn) *entry) {
    const void *address = (const void *)os_symbols_address(table->base, entry);
    if (entry->d_tag == DT_SYMTAB)
        table->symbols = (ElfW(Sym) *)address;
    else if (entry->d_tag == DT_STRTAB)
        table->names = address;
    else if (entry->d_tag == DT_GNU_HASH)
        table->gnu_hash = address;
    else if (entry->d_tag == DT_HASH)
        table->hash = address;
}

bool os_symbols_are_read(struct os_symbols *table) {
    if (table->gnu_hash != NULL)
        table->hash = NULL;
    return table->symbols != NULL && table->names != NULL &&
           (table->gnu_hash != NULL || table->hash != NULL);
}

/* `entry`: the first of the file's dynamic section. */
static bool find_by_section(struct os_symbols *table, uintptr_t base, const ElfW(Dyn) *entry) {
    *table = (struct os_symbols){.base = base};
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++)
        os_symbols_read_entry(table, entry);
    return os_symbols_are_read(table);
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

uint32_t os_symbols_gnu_hash(const char *name) {
    uint32_t hash = 5381;
    for (; *name != 0; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

uint32_t os_symbols_hash(const char *name) {
    uint32_t hash = 0;
    for (; *name != 0; name++) {
        hash = (hash << 4) + (unsigned char)*name;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    return hash;
}

static bool has_name(const struct os_symbols *table, uint32_t i, const char *name) {
    return strcmp(table->names + table->symbols[i].st_name, name) == 0;
}

/* Symbols whose names have the same remainder follow each other; the last has its low bit set. */
static ElfW(Sym) *next_by_gnu_hash(const struct os_symbols *table, const char *name,
                                   const ElfW(Sym) *before) {
    enum { BUCKETS, FIRST_SYMBOL, BLOOM_WORDS, BLOOM_SHIFT, HEADER_WORDS };
    const uint32_t *hash = table->gnu_hash;
    const uint32_t *buckets =
        hash + HEADER_WORDS + hash[BLOOM_WORDS] * (sizeof(ElfW(Addr)) / sizeof *hash);
    const uint32_t *chains = buckets + hash[BUCKETS];
    uint32_t wanted = os_symbols_gnu_hash(name);
    uint32_t first = hash[FIRST_SYMBOL];
    uint32_t i = hash[BUCKETS] != 0 ? buckets[wanted % hash[BUCKETS]] : 0;
    bool is_last = i < first;
    if (before != NULL) {
        i = (uint32_t)(before - table->symbols);
        is_last = chains[i++ - first] & 1;
    }
    for (; !is_last; i++) {
        uint32_t found = chains[i - first];
        if ((found | 1) == (wanted | 1) && has_name(table, i, name))
            return &table->symbols[i];
        is_last = found & 1;
    }
    return NULL;
}

/* The older kind, of which programs that are linked with --hash-style=sysv have no other: lists. */
static ElfW(Sym) *next_by_hash(const struct os_symbols *table, const char *name,
                               const ElfW(Sym) *before) {
    enum { BUCKETS, SYMBOLS, HEADER_WORDS };
    const uint32_t *buckets = table->hash + HEADER_WORDS;
    const uint32_t *chains = buckets + table->hash[BUCKETS];
    uint32_t i = 0;
    if (before != NULL)
        i = chains[before - table->symbols];
    else if (table->hash[BUCKETS] != 0)
        i = buckets[os_symbols_hash(name) % table->hash[BUCKETS]];
    for (; i != 0; i = chains[i]) {
        const ElfW(Sym) *symbol = &table->symbols[i];
        bool is_defined = symbol->st_shndx != SHN_UNDEF || symbol->st_value != 0;
        if (is_defined && has_name(table, i, name))
            return &table->symbols[i];
    }
    return NULL;
}

ElfW(Sym) *os_symbols_next(const struct os_symbols *table, const char *name,
                           const ElfW(Sym) *before) {
    return table->gnu_hash != NULL ? next_by_gnu_hash(table, name, before)
                                   : next_by_hash(table, name, before);
}

struct program {
    uintptr_t base;
    const ElfW(Dyn) *section; /* NULL: it is static, or its headers do not say where it lies */
};

/* The linker leaves PT_PHDR away where there is no loader for it: in -static-pie programs. */
static struct program find_program(void) {
    const ElfW(Phdr) *parts = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    unsigned count = parts != NULL ? (unsigned)getauxval(AT_PHNUM) : 0;
    for (unsigned i = 0; i < count; i++)
        if (parts[i].p_type == PT_PHDR) {
            uintptr_t base = (uintptr_t)parts - parts[i].p_vaddr;
            return (struct program){base, section_of(base, parts, count)};
        }
    return (struct program){0, NULL};
}

/* The loader's list of files, in the order in which names are looked for; of those that were loaded
 * at the start, for they stay. */
static const struct link_map *loaded_files(const struct program *program) {
    const ElfW(Dyn) *entry = program->section;
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_DEBUG && entry->d_un.d_ptr != 0)
            return ((const struct r_debug *)entry->d_un.d_ptr)->r_map;
    return NULL;
}

static uintptr_t find_in(const struct link_map *map, const char *name) {
    struct os_symbols table;
    if (!find_by_section(&table, map->l_addr, map->l_ld))
        return 0;
    const ElfW(Sym) *symbol = os_symbols_next(&table, name, NULL);
    return symbol != NULL && symbol->st_shndx != SHN_UNDEF ? table.base + symbol->st_value : 0;
}

const struct link_map *os_symbols_files(void) {
    struct program program = find_program();
    return loaded_files(&program);
}

/* The first definition from `map` on; no further than the file that has this section. */
static uintptr_t find_from(const struct link_map *map, const char *name, const ElfW(Dyn) *last) {
    uintptr_t found = 0;
    for (; map != NULL && found == 0; map = map->l_ld != last ? map->l_next : NULL)
        found = find_in(map, name);
    return found;
}

uintptr_t os_find_behind(const char *name) {
    const struct link_map *map = os_symbols_files();
    while (map != NULL && map->l_ld != _DYNAMIC)
        map = map->l_next;
    return map != NULL ? find_from(map->l_next, name, NULL) : 0;
}

/* Behind the program; this library has the names that are asked for. */
static uintptr_t find_behind_program(const struct program *program, const char *name) {
    const struct link_map *map = loaded_files(program);
    return map != NULL ? find_from(map->l_next, name, _DYNAMIC) : 0;
}

uintptr_t os_program_stub_leads_to(const char *name, uintptr_t function) {
    struct program program = find_program();
    struct os_symbols table;
    if (!find_by_section(&table, program.base, program.section))
        return 0;
    const ElfW(Sym) *symbol = os_symbols_next(&table, name, NULL);
    bool is_stub = symbol != NULL && symbol->st_shndx == SHN_UNDEF && symbol->st_value != 0 &&
                   program.base + symbol->st_value == function;
    return is_stub ? find_behind_program(&program, name) : 0;
}
