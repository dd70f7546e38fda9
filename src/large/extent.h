/* Purpose: extents, the page-granular pieces of address space that LARGE blocks are made of, and
 *          the cache of free ones: split to serve smaller requests, merged with free neighbours.
 * Owns:    every extent descriptor; the free extents and their memory.
 * Locking: RANK_LARGE, held by the caller, unless said otherwise. No system call is made here.
 *
 *   bins[size class] -> extent <-> extent ...      free extents by size, four bins per doubling
 *   oldest <-> ... <-> newest                      the same extents by time
 *
 * Twice: those that are cached, with their memory, and those that are empty: their memory went
 * back, their addresses stayed, for they lie between others of ours, and to unmap them would leave
 * two mappings where there was one (a process may have 65530).
 *
 * Invariants: extents do not overlap; the page map names each extent at its first and last page,
 * and at its block's first if that is another; no two free extents of a kind touch; descriptors are
 * type-stable, so that a reader without the lock sees an extent, though maybe not the one it looked
 * for. */
#ifndef SLM_LARGE_EXTENT_H
#define SLM_LARGE_EXTENT_H

#include "base/atomic.h"
#include "core/violation.h"
#include "os/lock.h"

enum extent_state {
    EXTENT_UNUSED, /* a descriptor without memory */
    EXTENT_LIVE,   /* a block of the program */
    EXTENT_FREE,   /* in the cache */
    EXTENT_BUSY,   /* on its way to or from the system */
};

enum extent_closed {
    EXTENT_OPEN,
    EXTENT_GUARDED, /* front_bytes, and the page behind used_bytes, can't be accessed */
    EXTENT_SEALED,  /* none of it can */
};

struct extent {
    uintptr_t address;
    size_t bytes;      /* whole pages */
    size_t used_bytes; /* EXTENT_LIVE: what the block may use; the rest is room to grow */
    size_t front_bytes; /* EXTENT_LIVE: the block begins behind so many, which are a guard */
    uint8_t state;     /* enum extent_state */
    bool is_zero;      /* all of it reads as zero */
    bool is_empty;     /* of a free one: it holds no memory, and is not charged for */
    uint8_t closed;    /* EXTENT_LIVE: enum extent_closed */
    bool is_moved;     /* some of it was moved by the system: a mapping that never joins others */
    uint64_t freed_ms;
    void *note;        /* EXTENT_LIVE: what check/ knows of the block; no other layer looks */
    struct extent *bin_next, *bin_prev; /* EXTENT_UNUSED: bin_next links the pool */
    struct extent *newer, *older;
};

/* Allocates descriptors ahead of need, so that nothing can fail half way; false: no memory. */
bool extent_reserve_descriptors(unsigned count);

/* A descriptor for memory that is new here; entries in the page map were prepared. */
struct extent *extent_new(uintptr_t address, size_t bytes, bool is_zero, enum extent_state state);

/* Forgets an extent that is in no list. */
void extent_forget(struct extent *extent);

/* Takes a free extent, cached or else empty, that holds `bytes` at a multiple of `alignment`, cut
 * to fit; NULL: none. Needs two descriptors in reserve. */
struct extent *extent_take(size_t bytes, size_t alignment);

/* Takes the longest cached extent if it holds at least `least_bytes`, cut to `bytes` if it is
 * longer; NULL: there is none. Needs a descriptor in reserve. */
struct extent *extent_take_longest(size_t least_bytes, size_t bytes);

/* Puts an unlisted extent among the free of its kind, merged with such neighbours. */
void extent_put(struct extent *extent, uint64_t now_ms);

/* Cuts an extent after `bytes`; the rest is a new extent of the same state. Needs a descriptor.
 * NULL, and the extent is whole: no memory for the page map. */
struct extent *extent_split(struct extent *extent, size_t bytes);

/* If the memory right behind `extent` is a cached extent, takes up to `bytes` of it in. */
bool extent_grow_in_place(struct extent *extent, size_t bytes);

/* Takes the oldest cached extent, if it was freed before `before_ms` or if the cache holds more
 * than `limit_bytes`, and then the end of it, if less than half of it is too much; it becomes
 * EXTENT_BUSY. */
struct extent *extent_take_expired(uint64_t before_ms, size_t limit_bytes);

/* Takes the empty extent that is so for longest, or NULL; it becomes EXTENT_BUSY. */
struct extent *extent_take_empty(void);

/* Whether memory of ours begins and ends right beside it. */
bool extent_is_between(const struct extent *extent);

/* Takes empty neighbours into an unlisted extent, which may become part of one of them. */
struct extent *extent_absorb_empty(struct extent *extent);

/* Takes a live extent out of the page map while the system may be moving it, so that another
 * mapping at its old address can be entered at once; and back, perhaps elsewhere (entries for
 * that were prepared). */
void extent_hide(struct extent *extent);
void extent_show(struct extent *extent, uintptr_t address, size_t bytes);

/* Where the block of a live extent begins. */
static inline uintptr_t extent_block(const struct extent *extent) {
    return load_relaxed(&extent->address) + load_relaxed(&extent->front_bytes);
}

/* Lets the block of a live extent begin `front_bytes` behind the extent's start, or, with 0, there.
 * False, and it begins where it did: no memory for the page map. */
bool extent_set_front(struct extent *extent, size_t front_bytes);

/* The live extent whose block begins there, or NULL. Takes no lock. */
struct extent *extent_live_at(const void *pointer);

/* The extent that `address` lies in, whatever its state, or NULL. Takes no lock, is not fast. */
struct extent *extent_find(uintptr_t address);

/* Verifies the invariants above; adds up the live extents. */
bool extent_verify(size_t *live_count, size_t *live_bytes, struct violation *violation);

/* Of an extent that is or was in the page map. With the lock held. */
void extent_note_moved(struct extent *extent, bool is_moved);

/* How many extents were moved, or are parts of such. With the lock held. */
size_t extent_moved_count(void);

/* Of those that are cached, and empty. */
size_t extent_free_bytes(void);
size_t extent_free_count(void);
size_t extent_empty_bytes(void);
size_t extent_empty_count(void);

#endif
