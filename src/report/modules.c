/* Purpose: modules.h. From the kernel's list of mappings: dladdr takes the loader's lock. */
#include "report/modules.h"

#include <string.h>

#include "check/origins.h"
#include "os/maps.h"

struct search {
    uintptr_t address;
    struct os_mapping found; /* without a name: none was */
};

static bool visit(const struct os_mapping *mapping, void *context) {
    struct search *search = context;
    if (search->address - mapping->start >= mapping->end - mapping->start)
        return true;
    search->found = *mapping;
    return false;
}

static void put_file(struct text *text, const struct os_mapping *file, uintptr_t address) {
    text_format(text, " (%s+%p)", file->name, (void *)(address - file->start + file->offset));
}

/* Files that lay there when a call stack was seen: whether this one is of before or after another
 * came is not known. */
static void put_unloaded(struct text *text, const char *present, uintptr_t address) {
    const struct os_mapping *file;
    bool is_latest = origins_is_loaded(address); /* perhaps by a link's name, not by its own */
    for (unsigned at = 0; (file = origins_find(address, &at)) != NULL; is_latest = false) {
        if (is_latest || file->name[0] == 0 || strcmp(file->name, present) == 0)
            continue;
        text_format(text, present[0] != 0 ? " or" : "");
        put_file(text, file, address);
        text_format(text, ", unloaded");
        return;
    }
}

void modules_put(struct text *text, uintptr_t return_address) {
    struct search search = {.address = return_address - 1};
    text_format(text, "%p", (void *)search.address);
    bool has_list = os_maps_walk(visit, &search);
    if (search.found.name[0] != 0)
        put_file(text, &search.found, search.address);
    if (has_list)
        put_unloaded(text, search.found.name, search.address);
}
