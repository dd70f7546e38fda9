/* Purpose: pagemap.h. */
#include "large/pagemap.h"

#include "base/bits.h"
#include "core/params.h"
#include "os/metadata.h"

enum { LEAF_BITS = 11, MIDDLE_BITS = 12, ROOT_BITS = 12 };
_Static_assert(PAGEMAP_PAGE_SHIFT + LEAF_BITS + MIDDLE_BITS + ROOT_BITS == ADDRESS_BITS,
               "all covered");

struct leaf {
    struct extent *extents[1 << LEAF_BITS];
};
struct middle {
    struct leaf *leaves[1 << MIDDLE_BITS];
};
static struct middle *root[1 << ROOT_BITS];

static size_t leaf_index(uintptr_t page) { return page & ((1 << LEAF_BITS) - 1); }
static size_t middle_index(uintptr_t page) {
    return page >> LEAF_BITS & ((1 << MIDDLE_BITS) - 1);
}
static size_t root_index(uintptr_t page) { return page >> (LEAF_BITS + MIDDLE_BITS); }

static struct leaf *leaf_of(uintptr_t page) {
    struct middle *middle = load_acquire(&root[root_index(page)]);
    return middle != NULL ? load_acquire(&middle->leaves[middle_index(page)]) : NULL;
}

struct extent *pagemap_get(uintptr_t address) {
    if (address >> ADDRESS_BITS != 0)
        return NULL;
    uintptr_t page = address >> PAGEMAP_PAGE_SHIFT;
    struct leaf *leaf = leaf_of(page);
    return leaf != NULL ? load_acquire(&leaf->extents[leaf_index(page)]) : NULL;
}

/* Nodes in reserve, linked through their first word, otherwise zero. */
struct spare {
    struct spare *next;
};
static struct spare *spare_middles, *spare_leaves;

static void *take_node(struct spare **list, size_t node_bytes) {
    struct spare *node = *list;
    if (node == NULL)
        return metadata_alloc(node_bytes);
    *list = node->next;
    node->next = NULL;
    return node;
}

static void give_node(struct spare **list, void *memory) {
    struct spare *node = memory;
    if (node == NULL)
        return;
    node->next = *list;
    *list = node;
}

bool pagemap_reserve_nodes(struct pagemap_nodes *nodes, unsigned pages) {
    bool complete = true;
    *nodes = (struct pagemap_nodes){0};
    for (unsigned i = 0; i < pages; i++) {
        nodes->middles[i] = take_node(&spare_middles, sizeof(struct middle));
        nodes->leaves[i] = take_node(&spare_leaves, sizeof(struct leaf));
        complete = complete && nodes->middles[i] != NULL && nodes->leaves[i] != NULL;
    }
    if (!complete)
        pagemap_return_nodes(nodes);
    return complete;
}

void pagemap_return_nodes(struct pagemap_nodes *nodes) {
    for (unsigned i = 0; i < PAGEMAP_NODES_MAX; i++) {
        give_node(&spare_middles, nodes->middles[i]);
        give_node(&spare_leaves, nodes->leaves[i]);
    }
}

static bool prepare_page(uintptr_t page) {
    struct middle **middle = &root[root_index(page)];
    if (*middle == NULL) {
        struct middle *fresh = take_node(&spare_middles, sizeof *fresh);
        if (fresh == NULL)
            return false;
        store_release(middle, fresh);
    }
    struct leaf **leaf = &(*middle)->leaves[middle_index(page)];
    if (*leaf == NULL) {
        struct leaf *fresh = take_node(&spare_leaves, sizeof *fresh);
        if (fresh == NULL)
            return false;
        store_release(leaf, fresh);
    }
    return true;
}

bool pagemap_prepare(uintptr_t first, uintptr_t second) {
    if ((first | second) >> ADDRESS_BITS != 0)
        return false;
    return prepare_page(first >> PAGEMAP_PAGE_SHIFT) && prepare_page(second >> PAGEMAP_PAGE_SHIFT);
}

void pagemap_set(uintptr_t address, struct extent *extent) {
    uintptr_t page = address >> PAGEMAP_PAGE_SHIFT;
    store_release(&leaf_of(page)->extents[leaf_index(page)], extent);
}

/* The entry of a page, and how many pages from a multiple of as many have none at all if it has
 * none.
 */
static struct extent *look(uintptr_t page, uintptr_t *span) {
    struct middle *middle = load_acquire(&root[root_index(page)]);
    *span = (uintptr_t)1 << (LEAF_BITS + MIDDLE_BITS);
    if (middle == NULL)
        return NULL;
    struct leaf *leaf = load_acquire(&middle->leaves[middle_index(page)]);
    *span = leaf == NULL ? (uintptr_t)1 << LEAF_BITS : 1;
    return leaf != NULL ? load_acquire(&leaf->extents[leaf_index(page)]) : NULL;
}

struct extent *pagemap_below(uintptr_t address) {
    if (address >> ADDRESS_BITS != 0)
        return NULL;
    uintptr_t page = address >> PAGEMAP_PAGE_SHIFT;
    uintptr_t span;
    for (;;) {
        struct extent *extent = look(page, &span);
        if (extent != NULL)
            return extent;
        page = round_down(page, span);
        if (page == 0)
            return NULL;
        page--;
    }
}

struct extent *pagemap_above(uintptr_t *address) {
    uintptr_t span;
    for (uintptr_t page = *address >> PAGEMAP_PAGE_SHIFT;
         page >> (ADDRESS_BITS - PAGEMAP_PAGE_SHIFT) == 0; page = round_down(page, span) + span) {
        struct extent *extent = look(page, &span);
        if (extent != NULL) {
            *address = page << PAGEMAP_PAGE_SHIFT;
            return extent;
        }
    }
    return NULL;
}
