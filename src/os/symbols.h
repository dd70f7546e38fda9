/* Purpose: the dynamic symbols of a loaded file, by name, without the loader.
 * Owns:    nothing.
 * Locking: none, and none of the loader's. */
#ifndef SLM_OS_SYMBOLS_H
#define SLM_OS_SYMBOLS_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct os_symbols {
    uintptr_t base; /* what a symbol's value is added to */
    ElfW(Sym) *symbols;
    const char *names;
    const uint32_t *gnu_hash; /* one of them is NULL */
    const uint32_t *hash;
};

/* This library's own dynamic section, by which it is told in the loader's list. The linker makes
 * it, but not in static programs. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((weak, visibility("hidden")));

/* The first entry of that list; NULL: there is none. The program's own, at least, stays. */
const struct link_map *os_symbols_files(void);

/* As the two kinds of tables have them. */
uint32_t os_symbols_gnu_hash(const char *name);
uint32_t os_symbols_hash(const char *name);

/* An entry of a dynamic section that holds an address: that, in a file that lies at `base`. */
uintptr_t os_symbols_address(uintptr_t base, const ElfW(Dyn) *entry);

/* For who goes through a dynamic section himself: `table` is that of `base`, else empty. False at
 * the end: it has no table of symbols, or none that is understood. */
void os_symbols_read_entry(struct os_symbols *table, const ElfW(Dyn) *entry);
bool os_symbols_are_read(struct os_symbols *table);

/* `parts`: the program headers of a file that lies at `base`. False: it has no table of symbols, or
 * none that is understood. */
bool os_symbols_find(struct os_symbols *table, uintptr_t base, const ElfW(Phdr) *parts,
                     unsigned count);

/* The file's first symbol of that name; with `before`, the one that follows it: there may be
 * several, of different versions. NULL: there are no more. Of what the file does not define itself,
 * none is found but stubs (see below). */
ElfW(Sym) *os_symbols_next(const struct os_symbols *table, const char *name,
                           const ElfW(Sym) *before);

/* What the program's own stub of this name leads to, if `function` is that stub; else 0. A program
 * that is not position-independent has such for functions of others whose address it takes, and
 * then it is the address that everybody finds. */
uintptr_t os_program_stub_leads_to(const char *name, uintptr_t function);

/* Where the name is defined in the files that were loaded behind this library; 0: in none. For
 * names that libc defines, in a process that was started with this library. */
uintptr_t os_find_behind(const char *name);

#endif
