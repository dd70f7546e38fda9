/* Purpose: object.h.
 * Owns:    nothing.
 * Source:  the glibc manual, "Dynamic Linker Introspection"; elf(5). */
#include "os/object.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#include "base/bits.h"
#include "os/os.h"

/* As <dlfcn.h> has it since 2.35, with room for what may come. */
struct found {
    unsigned long long flags;
    void *start, *end;
    struct link_map *map;
    void *eh_frame;
    void *others[11];
};

static int (*find_object)(void *address, struct found *found);

/* Looked up, for a reference would make 2.35 the oldest glibc that the library works with. Static
 * programs, which unload nothing, have no dlsym for it. */
extern __typeof__(dlsym) dlsym __attribute__((weak));

void os_object_init(void) {
    if (&dlsym != NULL)
        find_object = (int (*)(void *, struct found *))(uintptr_t)dlsym(RTLD_DEFAULT,
                                                                        "_dl_find_object");
}

bool os_object_find(uintptr_t address, struct os_object *object) {
    struct found found;
    if (find_object == NULL || find_object((void *)address, &found) != 0 || found.map == NULL)
        return false;
    *object = (struct os_object){(uintptr_t)found.start, (uintptr_t)found.end, found.map,
                                 found.eh_frame};
    return true;
}

/* The last part of the path, as os_maps_walk tells it. */
static void copy_name(char *name, const char *path) {
    const char *slash = strrchr(path, '/');
    size_t used = 0;
    for (path = slash != NULL ? slash + 1 : path; *path != 0 && used < OS_MAPPING_NAME_BYTES - 1;
         path++)
        name[used++] = *path < ' ' || *path == 0x7f ? '?' : *path;
    name[used] = 0;
}

bool os_object_look(const struct os_object *object, uintptr_t address, struct os_mapping *segment) {
    const struct link_map *map = object->map;
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)object->start;
    const ElfW(Phdr) *parts = (const ElfW(Phdr) *)(object->start + header->e_phoff);
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_phentsize != sizeof *parts ||
        header->e_phoff + header->e_phnum * sizeof *parts > os_page_bytes)
        return false;
    *segment = (struct os_mapping){0};
    for (unsigned i = 0; i < header->e_phnum; i++) {
        uintptr_t start = map->l_addr + round_down(parts[i].p_vaddr, os_page_bytes);
        uintptr_t end = map->l_addr + round_up(parts[i].p_vaddr + parts[i].p_memsz, os_page_bytes);
        if (parts[i].p_type != PT_LOAD || address - start >= end - start)
            continue;
        segment->start = start;
        segment->end = end;
        segment->offset = round_down(parts[i].p_offset, os_page_bytes);
        copy_name(segment->name, map->l_name);
        return true;
    }
    return false;
}
