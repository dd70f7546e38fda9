/* Purpose: page -> extent, for the first and the last page of every extent: how a pointer to a
 *          LARGE block is looked up, and how a freed extent finds its neighbours.
 * Owns:    a three-level radix tree over page numbers; its nodes come from os/metadata.
 * Locking: written under RANK_LARGE; read by anybody without a lock.
 *
 *   address bits   46..35   34..23   22..12
 *                  root     middle   leaf (one pointer per 4 KiB page)
 *
 * Total: any 64-bit value may be looked up. */
#ifndef SLM_LARGE_PAGEMAP_H
#define SLM_LARGE_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent;

/* What an entry stands for, however large the system's pages are: those are multiples of it. */
#define PAGEMAP_PAGE_SHIFT 12
#define PAGEMAP_PAGE_BYTES ((uintptr_t)1 << PAGEMAP_PAGE_SHIFT)

/* The extent whose first or last page holds `address`, or NULL. */
struct extent *pagemap_get(uintptr_t address);

/* Nodes set aside by one caller across an unlock: as many as `pages` can need. */
enum { PAGEMAP_NODES_MAX = 3 };
struct pagemap_nodes {
    void *middles[PAGEMAP_NODES_MAX];
    void *leaves[PAGEMAP_NODES_MAX];
};
bool pagemap_reserve_nodes(struct pagemap_nodes *nodes, unsigned pages);

/* Puts them back where the next pagemap_prepare finds them, so that it can't fail for memory. */
void pagemap_return_nodes(struct pagemap_nodes *nodes);

/* Makes room for the entries of two pages; false: no memory, or no address of user space. */
bool pagemap_prepare(uintptr_t first, uintptr_t second);

/* Sets (or with NULL clears) the entry of one page; room for it was made. */
void pagemap_set(uintptr_t address, struct extent *extent);

/* The extent with an entry at the highest page at or below that of `address`, or NULL. */
struct extent *pagemap_below(uintptr_t address);

/* The extent with an entry at the lowest page at or above that of `*address`, which becomes that
 * page's address, or NULL. */
struct extent *pagemap_above(uintptr_t *address);

#endif
