/* Purpose: apart.h.
 * Owns:    nothing.
 * Source:  elf(5); the System V ABI, "Dynamic Linking"; symbols.h for the tables of names. */
#include "os/apart.h"

#include <elf.h>
#include <string.h>

#include "base/attr.h"
#include "os/look.h"
#include "os/symbols.h"

/* Of damaged lists and tables, no more is read. */
enum { FILES_MAX = 1 << 14, ENTRIES_MAX = 1 << 10, CHAIN_MAX = 1 << 16 };
enum { NAME_BYTES_MAX = 64, RELOCATIONS_AT_ONCE = 128 };

struct relocations {
    uintptr_t start;
    size_t bytes, skipped; /* the first `skipped` refer to no symbol */
};

/* What `table` points to is only copied. */
struct file {
    struct os_peek *peek;
    struct os_symbols table;
    struct relocations calls, others;
};

static bool copy(struct os_peek *peek, void *to, uintptr_t address, size_t bytes) {
    return os_peek(peek, to, address, bytes) == bytes;
}

/* 0 if it can't be read, which ends chains of both kinds of hash tables (or soon will). */
static uint32_t word(const struct file *file, const uint32_t *table, size_t index) {
    uint32_t value;
    return copy(file->peek, &value, (uintptr_t)&table[index], sizeof value) ? value : 0;
}

static void read_entry(struct file *file, const ElfW(Dyn) *entry) {
    os_symbols_read_entry(&file->table, entry);
    if (entry->d_tag == DT_JMPREL)
        file->calls.start = os_symbols_address(file->table.base, entry);
    else if (entry->d_tag == DT_PLTRELSZ)
        file->calls.bytes = entry->d_un.d_val;
    else if (entry->d_tag == DT_RELA)
        file->others.start = os_symbols_address(file->table.base, entry);
    else if (entry->d_tag == DT_RELASZ)
        file->others.bytes = entry->d_un.d_val;
    else if (entry->d_tag == DT_RELACOUNT)
        file->others.skipped = entry->d_un.d_val;
}

static bool read_section(struct file *file, const ElfW(Dyn) *section) {
    ElfW(Dyn) entry = {.d_tag = DT_NULL};
    for (unsigned i = 0; i < ENTRIES_MAX; i++) {
        if (!copy(file->peek, &entry, (uintptr_t)&section[i], sizeof entry))
            return false;
        if (entry.d_tag == DT_NULL)
            break;
        read_entry(file, &entry);
    }
    return os_symbols_are_read(&file->table);
}

static bool is_definition(const struct file *file, uint32_t index, const char *name) {
    ElfW(Sym) symbol;
    char found[NAME_BYTES_MAX];
    size_t bytes = strlen(name) + 1;
    return copy(file->peek, &symbol, (uintptr_t)&file->table.symbols[index], sizeof symbol) &&
           symbol.st_shndx != SHN_UNDEF &&
           copy(file->peek, found, (uintptr_t)file->table.names + symbol.st_name, bytes) &&
           memcmp(found, name, bytes) == 0;
}

/* The index of the file's symbol, or 0. */
static uint32_t find_by_gnu_hash(const struct file *file, const char *name) {
    enum { BUCKETS, FIRST_SYMBOL, BLOOM_WORDS, BLOOM_SHIFT, HEADER_WORDS };
    uint32_t wanted = os_symbols_gnu_hash(name);
    uint32_t buckets = word(file, file->table.gnu_hash, BUCKETS);
    uint32_t first = word(file, file->table.gnu_hash, FIRST_SYMBOL);
    size_t start = HEADER_WORDS + (size_t)word(file, file->table.gnu_hash, BLOOM_WORDS) *
                                      (sizeof(ElfW(Addr)) / sizeof buckets);
    uint32_t i = buckets != 0 ? word(file, file->table.gnu_hash, start + wanted % buckets) : 0;
    uint32_t last = i != 0 && i >= first ? i + CHAIN_MAX : i;
    for (; i < last; i++) {
        uint32_t hash = word(file, file->table.gnu_hash, start + buckets + (i - first));
        if ((hash | 1) == (wanted | 1) && is_definition(file, i, name))
            return i;
        if (hash & 1)
            break;
    }
    return 0;
}

static uint32_t find_by_hash(const struct file *file, const char *name) {
    enum { BUCKETS, SYMBOLS, HEADER_WORDS };
    uint32_t buckets = word(file, file->table.hash, BUCKETS);
    uint32_t i = 0;
    if (buckets != 0)
        i = word(file, file->table.hash, HEADER_WORDS + os_symbols_hash(name) % buckets);
    for (unsigned looked_at = 0; i != 0 && looked_at < CHAIN_MAX; looked_at++) {
        if (is_definition(file, i, name))
            return i;
        i = word(file, file->table.hash, (size_t)HEADER_WORDS + buckets + i);
    }
    return 0;
}

static bool refers_to(const struct file *file, const struct relocations *table, uint32_t symbol) {
    ElfW(Rela) chunk[RELOCATIONS_AT_ONCE];
    size_t count = table->start != 0 ? table->bytes / sizeof *chunk : 0;
    for (size_t i = table->skipped; i < count; i += RELOCATIONS_AT_ONCE) {
        size_t now = count - i < RELOCATIONS_AT_ONCE ? count - i : RELOCATIONS_AT_ONCE;
        if (!copy(file->peek, chunk, table->start + i * sizeof *chunk, now * sizeof *chunk))
            return true;
        for (size_t k = 0; k < now; k++)
            if (ELF64_R_SYM(chunk[k].r_info) == symbol)
                return true;
    }
    return false;
}

static bool keeps_to_its_own(struct os_peek *peek, const struct link_map *map, const char *name) {
    struct file file = {.peek = peek, .table = {.base = map->l_addr}};
    if (map->l_ld == _DYNAMIC || !read_section(&file, map->l_ld))
        return false;
    uint32_t symbol = file.table.gnu_hash != NULL ? find_by_gnu_hash(&file, name)
                                                  : find_by_hash(&file, name);
    return symbol != 0 && !refers_to(&file, &file.calls, symbol) &&
           !refers_to(&file, &file.others, symbol);
}

COLD bool os_is_defined_apart(const char *name) {
    struct os_peek peek;
    struct link_map map;
    uintptr_t next = (uintptr_t)os_symbols_files();
    bool found = false;
    os_peek_begin(&peek);
    for (unsigned i = 0; i < FILES_MAX && !found && next != 0; i++) {
        if (!copy(&peek, &map, next, sizeof map))
            break;
        found = keeps_to_its_own(&peek, &map, name);
        next = (uintptr_t)map.l_next;
    }
    os_peek_end(&peek);
    return found;
}
