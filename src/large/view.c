/* Purpose: view.h. */
#include "large/view.h"

#include "base/atomic.h"
#include "large/extent.h"
#include "large/pagemap.h"

/* A descriptor may be put to another use while it is read: what was read counts if the page map
 * still names it at both ends. (Acquire: in this order.) */
static bool see(const struct extent *extent, uintptr_t entry, struct large_view *view) {
    uint8_t state = load_acquire(&extent->state);
    *view = (struct large_view){
        .address = load_acquire(&extent->address),
        .bytes = load_acquire(&extent->bytes),
        .block = load_acquire(&extent->front_bytes), /* from its address on */
        .used_bytes = load_acquire(&extent->used_bytes),
        .is_live = state == EXTENT_LIVE,
    };
    return (state == EXTENT_LIVE || state == EXTENT_FREE) && view->address == entry &&
           view->bytes > 0 && load_relaxed(&extent->state) == state &&
           pagemap_get(entry) == extent && pagemap_get(entry + view->bytes - 1) == extent;
}

void large_walk(void (*visit)(const struct large_view *view, void *context), void *context) {
    struct extent *extent;
    struct large_view view;
    for (uintptr_t entry = 0; (extent = pagemap_above(&entry)) != NULL;) {
        if (!see(extent, entry, &view)) {
            entry += os_page_bytes;
            continue;
        }
        if (view.block >= view.bytes)
            view.block = 0;
        if (view.used_bytes > view.bytes - view.block)
            view.used_bytes = view.bytes - view.block;
        view.block += view.address;
        visit(&view, context);
        entry += view.bytes;
    }
}
