/* Purpose: modules.h. From the kernel's list of mappings: dladdr takes the loader's lock. */
#include "report/modules.h"

#include "os/maps.h"

struct search {
    uintptr_t address;
    struct text *text;
};

static bool visit(const struct os_mapping *mapping, void *context) {
    const struct search *search = context;
    if (search->address - mapping->start >= mapping->end - mapping->start)
        return true;
    if (mapping->name[0] != 0)
        text_format(search->text, " (%s+%p)", mapping->name,
                    (void *)(search->address - mapping->start + mapping->offset));
    return false;
}

void modules_put(struct text *text, uintptr_t return_address) {
    struct search search = {return_address - 1, text};
    text_format(text, "%p", (void *)search.address);
    os_maps_walk(visit, &search);
}
