/* Purpose: LARGE blocks: a direct mapping each, freed ones kept for a while, resized in place or
 *          by moving pages, never by copying.
 * Owns:    all extents.
 * Locking: RANK_LARGE, taken inside; no system call is made while it is held.
 *
 * A block is an extent: its pointer is the extent's address, a multiple of the page size. With a
 * guard before it, it begins behind that. */
#ifndef SLM_LARGE_LARGE_H
#define SLM_LARGE_LARGE_H

#include "core/fault.h"
#include "core/violation.h"
#include "os/lock.h"

struct large_stats {
    size_t live_bytes, live_count;  /* blocks of the program */
    size_t peak_bytes;              /* highest live_bytes + cached_bytes */
    size_t cached_bytes, cached_count;
    uint64_t allocations, frees;    /* calls */
    uint64_t mappings, unmappings;  /* system calls */
};

/* A block of at least `bytes` (<= PTRDIFF_MAX) at a multiple of `alignment`, a power of two.
 * `*is_zero` (unless NULL): it is known to read as zero. NULL: no memory. */
void *large_alloc(size_t bytes, size_t alignment, bool *is_zero);

enum fault large_free(void *pointer);

/* Resizes the block without copying; a guard before it goes with it. NULL: not possible that way;
 * the block is as it was. */
void *large_resize(void *pointer, size_t bytes);

/* The same, and it stays where it is. False: it does as it was. */
bool large_resize_in_place(void *pointer, size_t bytes);

/* Bytes that the block may use; 0: no live LARGE block starts there. Takes no lock. */
size_t large_usable(const void *pointer);

/* Of a block that its caller has just allocated: it may use so many bytes only, the class's whose
 * slot it stands for. */
void large_set_usable(const void *pointer, size_t bytes);

/* Where check/ keeps its note about the live block that starts there; NULL: there is none. Takes no
 * lock; the note is NULL in a new block, and whoever frees the block takes it out before. */
void **large_note(const void *pointer);

/* Takes the last page of what the block may use away from it, and the first `front_bytes`, whole
 * pages: an access faults. Returns where the block begins now: behind `front_bytes`, or, with 0,
 * where it did (a guard that it had there before large_open is back). Where it did, too, if that is
 * refused, or there are many already, each of which costs the system mappings. */
void *large_guard(void *pointer, size_t front_bytes);

/* Makes all of a block inaccessible and gives its memory up. False: refused. */
bool large_seal(void *pointer);

/* Undoes both: the block is as it was, perhaps with other contents, and may use all of its pages
 * from its beginning on. It must not be freed before that has succeeded, nor resized. */
bool large_open(void *pointer);

/* What is wrong with freeing `address`, and the block whose memory it lies in, or whose guard, if
 * any. Takes no lock. */
enum fault large_examine(uintptr_t address, uintptr_t *start, size_t *bytes);

/* Gives the whole cache back to the system, memory and addresses; returns the bytes. */
size_t large_purge(void);

/* The same with what was freed before `before_ms`, or is more than the cache may hold; but for
 * addresses between others of ours, which stay (extent.h). */
size_t large_purge_expired(uint64_t before_ms);

/* After the heap has grown by so much elsewhere: gives back as much of the cache, however young; a
 * little at a time is put off until it is worth a system call. Returns the bytes. */
size_t large_purge_some(size_t bytes);

/* With the lock held: verifies extents, lists and counters. */
bool large_verify(struct violation *violation);

/* Takes no lock: beside other threads, a moving picture. */
void large_stats(struct large_stats *stats);
struct lock *large_lock(void);

#endif
