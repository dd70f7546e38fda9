/* Purpose: origins.h: a list that only grows, in the order in which files were seen. */
#include "check/origins.h"

#include "base/atomic.h"
#include "os/metadata.h"
#include "os/object.h"

/* One for each segment of code: more files than programs load, unless they do so all the time. */
enum { ORIGINS_MAX = 512 };

struct origin {
    struct os_object object;
    struct os_mapping segment;
};

static struct origin *origins;
static uint32_t origin_count; /* written with release, after the origin is complete */

static bool holds(const struct origin *origin, uintptr_t address) {
    return address - origin->segment.start < origin->segment.end - origin->segment.start;
}

/* Another file may come to lie where one was: it has another length or entry. */
static bool is_known(const struct os_object *object, uintptr_t address) {
    for (uint32_t i = load_acquire(&origin_count); i-- > 0;)
        if (holds(&origins[i], address))
            return origins[i].object.map == object->map &&
                   origins[i].object.start == object->start && origins[i].object.end == object->end;
    return false;
}

static void note(uintptr_t address) {
    struct os_object object;
    if (!os_object_find(address, &object) || is_known(&object, address) ||
        origin_count == ORIGINS_MAX)
        return;
    if (origins == NULL)
        store_release(&origins, metadata_alloc(ORIGINS_MAX * sizeof *origins));
    if (origins == NULL)
        return;
    struct origin *origin = &origins[origin_count];
    origin->object = object;
    if (os_object_look(&object, address, &origin->segment))
        store_release(&origin_count, origin_count + 1);
}

void origins_note(const struct trace *trace) {
    for (unsigned i = 0; i < trace->depth; i++)
        note(trace->frames[i] - 1);
}

bool origins_is_loaded(uintptr_t address) {
    struct os_object object;
    return os_object_find(address, &object) && is_known(&object, address);
}

const struct os_mapping *origins_find(uintptr_t address, unsigned *at) {
    uint32_t count = load_acquire(&origin_count);
    for (uint32_t i = *at != 0 && *at <= count ? *at - 1 : count; i-- > 0;) {
        if (!holds(&origins[i], address))
            continue;
        *at = i + 1;
        return &origins[i].segment;
    }
    return NULL;
}
