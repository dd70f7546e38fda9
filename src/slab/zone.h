/* Purpose: the two zones of slabs: address -> slab for every 64-bit value, empty slabs, growth.
 * Owns:    the reserved ranges, the slab headers at their start, every slab without an owner or
 *          a depot (SLAB_EMPTY), and the limit up to which a range is writable.
 * Locking: one lock per zone (RANK_ZONE) guards all of it; zone_find takes none.
 *
 * A range:
 *
 *   | guard .. gone | bitmaps | headers .. no access | remote bits .. | slabs ..  no access |
 *                     ^bitmaps  ^headers               ^remote    guard ^base ^fresh ^writable
 *
 * number = (address - base) >> shift, header = headers + number * sizeof(struct slab). What a slab
 * has in the tables becomes accessible together with it, some MiB of slabs at a time; what has no
 * header yet is looked up as `slab_never_used`. So what can be read is what is in use: core dumps,
 * debuggers and mlockall find no terabytes here.
 *
 * Invariants:
 *  - fresh <= writable <= count.
 *  - `empty` holds exactly the numbers below fresh whose state is SLAB_EMPTY, but for guards and
 *    those that a purge has in hand; `dirty` is its subset whose memory is not known to be zero. */
#ifndef SLM_SLAB_ZONE_H
#define SLM_SLAB_ZONE_H

#include "base/hbitmap.h"
#include "core/keep.h"
#include "os/lock.h"
#include "slab/slab.h"

/* With guards, some numbers are left out: their pages are never accessible, so that nothing gets
 * from one slab to the next. Each costs the system two mappings and holds no memory. At first every
 * other is one, and later one of a few more, for the system allows 65530 mappings. */
enum { GUARDS_CLOSE = 1024, GUARDS_MAX = 2048, GUARDS_APART = 16, SLAB_LEFT_OUT = 2 };

struct range {
    uintptr_t base; /* of slab 0 */
    size_t span;    /* bytes, up to slab `count` */
    uintptr_t bitmaps; /* behind `gone`: TINY's has a byte of each slab, the last one slab 0's */
    uintptr_t headers;
    uintptr_t remote; /* remote_bits, SLAB_REMOTE_BYTES of each slab */
    uint32_t fresh, writable, count; /* slab numbers */
    size_t headers_writable, remote_writable, gone_writable; /* bytes */
    uint32_t huge_from;              /* slabs from here on may lie in huge pages */
    bool has_remote;                 /* some slab has had remote bits */
    void *mapping;
    size_t mapped_bytes;
    struct hbitmap empty, dirty;
};

struct zone {
    struct lock lock;
    uint32_t range_count; /* written with release, after the range is complete */
    size_t used;          /* slabs not empty */
    size_t used_peak;
    size_t dirty;         /* empty slabs that still hold memory */
    size_t purging;       /* empty slabs that a purge has in hand */
    size_t bare;          /* those that hold no memory, and whose headers it has in hand */
    size_t held_peak;     /* most slabs ever that were used, dirty or in a purge's hands */
    size_t guards;        /* slabs left out */
    size_t growth;        /* how much it has grown since zone_take_growth */
    uint8_t relink_fraction; /* by what it uses: of slabs from now on, when they are full */
    struct keep keep;
    uint32_t has_purger;  /* a thread is giving back excess */
    uint64_t next_purge_ms;
    uint64_t purges; /* system calls that gave memory back */
    struct range ranges[RANGES_MAX];
};

/* What the hot paths need of the first range of each zone: where slabs and headers begin, and how
 * many bytes of slabs are writable. The spans are zero until zone_init, and grow. And which sizes
 * they may serve, unless it is none. */
struct zone_map {
    uintptr_t tiny_base;
    size_t tiny_span;
    uintptr_t tiny_headers;
    size_t fine_end; /* FINE_MAX_BYTES + 1, or 0 */
    size_t tiny_end; /* TINY_MAX_BYTES + 1, or 0 */
    uintptr_t small_base;
    size_t small_span;
    uintptr_t small_headers;
    size_t small_sizes; /* above TINY_MAX_BYTES, so many; or 0 */
} CACHE_ALIGNED;

extern struct zone_map zone_map HIDDEN;

/* Where C++ has fine_end and tiny_end of its own (api/operators.c), or NULL. It looks itself
 * whether they are to be opened. */
struct zone_gate {
    size_t fine_end, tiny_end;
};
extern struct zone_gate *zone_gate_of_operators;

/* From here on every allocation goes the slow way, or none has to; other threads may see so a
 * little later. */
void zone_close_hot_paths(void);
void zone_open_hot_paths(void);

/* All zero: no slot starts in it, whatever the address. */
extern const struct slab slab_never_used;
extern struct zone zones[ZONE_COUNT];

/* Reserves the first ranges; false if the system grants not even the smallest. */
bool zone_init(void);

/* The slab that `address` lies in, or NULL. Reads no memory but ours; takes no lock. */
struct slab *zone_find_slow(uintptr_t address);

/* One multiplication: the compiler would shift and add, which is one instruction more, and there is
 * time for it in free. */
HOT_INLINE struct slab *slab_header(uintptr_t headers, size_t number) {
#if defined(__x86_64__)
    size_t offset;
    __asm__("imulq %2, %1, %0" : "=r"(offset) : "r"(number), "i"(sizeof(struct slab)) : "cc");
    return (struct slab *)(headers + offset);
#else
    return (struct slab *)(headers + number * sizeof(struct slab));
#endif
}

HOT_INLINE struct slab *range_slab(const struct range *range, size_t number) {
    return slab_header(range->headers, number);
}

HOT_INLINE struct slab *zone_find(uintptr_t address) {
    uintptr_t offset = address - load_own(&zone_map.tiny_base);
    if (LIKELY(offset < load_own(&zone_map.tiny_span)))
        return slab_header(load_own(&zone_map.tiny_headers), offset >> TINY_SLAB_SHIFT);
    offset = address - load_own(&zone_map.small_base);
    if (LIKELY(offset < load_own(&zone_map.small_span)))
        return slab_header(load_own(&zone_map.small_headers), offset >> SMALL_SLAB_SHIFT);
    return zone_find_slow(address);
}

/* headers.c: whether the slab is empty and its header was given back. Who only looks at slabs
 * leaves those out: a look would have the system map the page again, and where a kernel maps no
 * shared page of zeros, take memory for it. */
bool range_header_is_gone(const struct range *range, size_t number);
static inline const struct slab *range_slab_seen(const struct range *range, size_t number) {
    return range_header_is_gone(range, number) ? &slab_never_used : range_slab(range, number);
}

/* The slab's remote_bits, to be written to. */
COLD uint64_t *zone_give_remote_bits(struct slab *slab);
HOT_INLINE uint64_t *zone_remote_bits(struct slab *slab) {
    uint64_t *bits = load_relaxed(&slab->remote_bits);
    return LIKELY(bits != NULL) ? bits : zone_give_remote_bits(slab);
}

/* Whether `address` lies in the first SMALL range. */
HOT_INLINE bool zone_is_small(uintptr_t address) {
    return address - load_own(&zone_map.small_base) < load_own(&zone_map.small_span);
}

/* The first byte of a slab that zone_find or zone_acquire returned. */
uintptr_t zone_slab_memory(const struct slab *slab);

/* Takes the empty slab with the lowest address for `owner`, formatted as `cls`, or NULL if there
 * is no memory. Its state is SLAB_CLAIMED until the caller sets another. */
struct slab *zone_acquire(unsigned cls, uintptr_t owner);

/* Gives back a slab without live slots that is SLAB_CLAIMED and on no list; it is nobody's from
 * here on. Now and then gives the memory of slabs that were empty for long to the system. */
void zone_release(struct slab *slab);

/* The same for a list of them, linked by next. */
void zone_release_all(struct slab *list);

/* Gives the memory of all slabs that were empty before `before_ms` back; returns the bytes. Of huge
 * pages, whole ones only, unless it is PURGE_EVERYTHING. */
#define PURGE_EVERYTHING UINT64_MAX
#define PURGE_ANY_AGE (UINT64_MAX - 1)
size_t zone_purge(enum zone_kind kind, uint64_t before_ms);

/* The same for what has been kept in vain: less is kept from then on (core/keep.h). */
size_t zone_purge_expired(enum zone_kind kind, uint64_t before_ms);

/* The same for both zones and what purge_delay says, if the last look was long ago: one in which
 * nothing is freed any more has emptied slabs that grow old all the same. With no lock held. */
void zone_purge_due(uint64_t now);

/* With the lock held: there are more empty slabs that hold memory than are to be kept, by a part
 * that is worth system calls. */
bool zone_has_excess(enum zone_kind kind);

/* After that: gives those back, but for the lowest ones. */
void zone_purge_excess(enum zone_kind kind);

/* The next release looks for slabs that were empty for long, whenever the last one did: the option
 * purge_delay has changed, or the background thread is to be woken. */
void zone_look_soon(void);

/* Bytes by which the zone holds more than it ever did before, since the last call. */
size_t zone_take_growth(enum zone_kind kind);

/* Gives back some `bytes` of empty slabs' memory, however young, of what is more than a zone may
 * keep for itself (KEEP_DIRTY_BYTES and KEEP_DIRTY_PART); returns the bytes. */
size_t zone_purge_some(enum zone_kind kind, size_t bytes);

/* headers.c: a copy of the slab's header, in `*copy`; if that was given back, one of an empty slab
 * of the class that it had last. No slots: there never was one. */
const struct slab *zone_shape(const struct slab *slab, struct slab *copy);

/* Headers stay as they are from now on: other layers keep more of empty slabs. */
void zone_keep_headers(void);

/* Slabs that are used for the first time have guards between them, from now on. */
void zone_use_guards(void);

/* Left out as a guard? */
static inline bool slab_is_guard(const struct slab *slab) {
    return load_relaxed(&slab->is_decommitted) == SLAB_LEFT_OUT;
}

/* Under want of memory: gives up what is charged to this process for empty slabs, so that the other
 * zone or LARGE can have it; returns the bytes. */
size_t zone_decommit(enum zone_kind kind);

/* In a forked child, with all locks held: takes back what purges of threads that were not copied
 * had in hand. */
void zone_recover_purged(void);

/* Calls `visit` for every slab that was ever used and has its header; takes no lock, so what it
 * sees may be changing. Stops when `visit` returns false. */
void zone_walk(bool (*visit)(struct slab *slab, void *context), void *context);

#endif
