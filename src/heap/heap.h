/* Purpose: the whole allocator behind one small interface: routes by size and by owner. The only
 *          layer that knows all others below it.
 * Owns:    process-wide initialisation; the shared cache's use; fork.
 * Locking: RANK_SHARED_CACHE while a thread without a cache borrows the shared one.
 *
 * Sizes have been checked against PTRDIFF_MAX by the API layer; errno is the API layer's too. No
 * function here reports a fault: it returns it. */
#ifndef SLM_HEAP_HEAP_H
#define SLM_HEAP_HEAP_H

#include "cache/cache.h"
#include "check/check.h"
#include "core/call.h"

/* The slow way of an allocation, for every size and every state of the thread. NULL: no memory. */
void *heap_malloc(size_t bytes);

/* As heap_malloc, at a multiple of `alignment`, a power of two. */
void *heap_malloc_aligned(size_t bytes, size_t alignment);

/* The same, while checks are on, for another call of the program than malloc or aligned_alloc.
 * `alignment` 0: none was asked for. */
void *heap_malloc_by(enum call call, size_t bytes, size_t alignment);

/* As heap_malloc, and the bytes asked for read as zero. */
void *heap_calloc(size_t bytes);

/* The slow way of a free, for every pointer but NULL. What it finds wrong it returns, and has done
 * nothing. */
enum fault heap_free(void *pointer);

/* The same; `call` is what the program called. Only checks look at that, and at `told`. */
enum fault heap_free_by(enum call call, void *pointer, struct told told);

/* Bytes that a live block may use; 0 and the fault if there is no such block. */
size_t heap_usable(const void *pointer, enum fault *fault);

/* A block in a slab stays where it is while it fills at least half of its slot, or if the slot is
 * so small that a copy would be dearer than the waste. */
enum { REALLOC_KEEP_PART = 2, REALLOC_KEEP_BYTES = 128 };

HOT_INLINE bool heap_block_stays(size_t old_bytes, size_t bytes) {
    return bytes <= old_bytes && old_bytes <= SMALL_MAX_BYTES &&
           (bytes >= old_bytes / REALLOC_KEEP_PART || old_bytes <= REALLOC_KEEP_BYTES);
}

/* Resizes a live block; on failure it stays as it was, and NULL is returned. */
void *heap_realloc(void *pointer, size_t bytes, enum fault *fault);

/* The same where it lies, as far as that goes: blocks of more than SMALL_MAX_BYTES do so alone.
 * `old_bytes` are what it may use now (heap_usable); returns what it may use then. */
size_t heap_resize_in_place(void *pointer, size_t old_bytes, size_t bytes);

/* What a block of so many bytes, at most PTRDIFF_MAX, may use, if it is to be had at a multiple of
 * `alignment`, a power of two. It may turn out more where memory is short. */
size_t heap_good_size(size_t bytes, size_t alignment);

/* A double free by two threads at once that was found only when their frees were merged, by a call
 * of this thread; once. A slab that is CHECK_HAS_FINDINGS: checks have found something. */
bool heap_late_fault(struct slab **slab, size_t *slot);

/* Gives back to the system what is free: cached mappings, empty slabs. Returns the bytes. */
size_t heap_trim(void);

/* --- init.c ----------------------------------------------------------------------------------- */

/* Does what the first allocation would do; may be called at any time, or never. */
void heap_set_up(void);

bool heap_is_set_up(void);

/* Reads the options again, as of before main, and begins the checks that they ask for. */
void heap_start_checks(void);

/* At exit: what was freed and kept back is given to the heap, and found if it was written to; so
 * is the first live block that was written behind (diagnose_findings has it told). Other threads
 * may go on. */
void heap_end_checks(void);

/* The calling thread's cache, made if need be; a thread that can have none gets the shared one,
 * locked. NULL: the heap could not be set up. */
struct cache *heap_borrow_cache(void);
void heap_return_cache(struct cache *cache);

/* The same after an allocation: the heap may have grown so that it needs a background thread. Not
 * after a free. */
void heap_return_grown_cache(struct cache *cache);
extern struct lock heap_shared_lock HIDDEN;

/* --- verify.c --------------------------------------------------------------------------------- */

/* Verifies every invariant of the heap, with all locks held meanwhile; other threads may allocate
 * and free as long as they need none. The first violation is described. */
bool heap_verify(struct violation *violation);

/* The same of what was written into blocks, as far as checks can tell. */
bool heap_verify_blocks(struct check_finding *finding);

/* --- fork.c ----------------------------------------------------------------------------------- */

/* Registers the fork handlers; called once. */
void heap_register_fork(void);

/* In a child of a fork that no handler saw: other threads' locks are free, their caches vanished.
 */
void heap_disown(void);

/* All locks there are, in the order of their ranks. */
void heap_lock_all(void);
void heap_unlock_all(void);

#endif
