/* slabmalloc: a malloc replacement for Linux.
 *
 * The functions here are those that the library also exports under their standard names, unless it
 * was built with -DSLABMALLOC_OVERRIDE=OFF; a block from either name may be given to the other.
 *
 * All of them may be called from any thread, before main and after it, and in a child after
 * fork(). From a signal handler that interrupted one of them may be called: slm_show_alloc_mem,
 * slm_memory_breakdown, slm_stats_get, slm_stats_print, slm_option_get, slm_set_error_handler.
 * Sizes and alignments are in bytes. A function that fails returns NULL (or false) with errno set,
 * and changes nothing; one that succeeds leaves errno as it was. A
 * pointer that is not a live block of the heap (freed before, inside a block, never allocated) is
 * told on standard error, and the process aborts. With the option on_error=report it goes on, with
 * on_error=ignore in silence: a free of such a pointer then does nothing, slm_realloc returns NULL
 * with EINVAL, slm_malloc_usable_size returns 0. */
#ifndef SLABMALLOC_SLABMALLOC_H
#define SLABMALLOC_SLABMALLOC_H

#include <malloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SLABMALLOC_VERSION_MAJOR 0
#define SLABMALLOC_VERSION_MINOR 1
#define SLABMALLOC_VERSION_PATCH 0

#if defined(__GNUC__)
#define SLM_API __attribute__((visibility("default")))
#define SLM_MALLOC_LIKE __attribute__((malloc))
#define SLM_SIZE_IS(...) __attribute__((alloc_size(__VA_ARGS__)))
#else
#define SLM_API
#define SLM_MALLOC_LIKE
#define SLM_SIZE_IS(...)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- allocation ------------------------------------------------------------------------------- */

/* A block of at least `size` bytes at a multiple of 16; `size` 0 gives a unique block too.
 * ENOMEM: no memory, or `size` > PTRDIFF_MAX. (C23 7.24.3.6) */
SLM_API void *slm_malloc(size_t size) SLM_MALLOC_LIKE SLM_SIZE_IS(1);

/* A block of `count` * `size` bytes, all zero. ENOMEM: also if the product overflows. */
SLM_API void *slm_calloc(size_t count, size_t size) SLM_MALLOC_LIKE SLM_SIZE_IS(1, 2);

/* The block `pointer`, resized: contents kept up to the smaller size, address perhaps new. NULL as
 * `pointer` is slm_malloc(size). `size` 0 with a block frees it and returns NULL with errno as it
 * was, as glibc does. ENOMEM: the block is as it was. */
SLM_API void *slm_realloc(void *pointer, size_t size) SLM_SIZE_IS(2);

/* slm_realloc(pointer, count * size); ENOMEM if the product overflows. (glibc 2.26, POSIX 2024) */
SLM_API void *slm_reallocarray(void *pointer, size_t count, size_t size) SLM_SIZE_IS(2, 3);

/* Frees a block; NULL does nothing. */
SLM_API void slm_free(void *pointer);

/* Frees a block allocated with that size (and alignment); a wrong hint is harmless. (C23) */
SLM_API void slm_free_sized(void *pointer, size_t size);
SLM_API void slm_free_aligned_sized(void *pointer, size_t alignment, size_t size);

/* A block at a multiple of `alignment`. EINVAL: not a power of two. `size` need not be a multiple
 * of `alignment` (C17). */
SLM_API void *slm_aligned_alloc(size_t alignment, size_t size) SLM_MALLOC_LIKE SLM_SIZE_IS(2);

/* Stores such a block in `*result`. Returns 0, EINVAL (`alignment` is not a power of two or not a
 * multiple of sizeof(void *)) or ENOMEM; on failure `*result` is left alone. (POSIX) */
SLM_API int slm_posix_memalign(void **result, size_t alignment, size_t size);

/* As slm_aligned_alloc, but any alignment is rounded up to a power of two. EINVAL: there is none.
 * (glibc) */
SLM_API void *slm_memalign(size_t alignment, size_t size) SLM_MALLOC_LIKE SLM_SIZE_IS(2);

/* A block at a page border; slm_pvalloc also rounds `size` up to whole pages. */
SLM_API void *slm_valloc(size_t size) SLM_MALLOC_LIKE SLM_SIZE_IS(1);
SLM_API void *slm_pvalloc(size_t size) SLM_MALLOC_LIKE;

/* How many bytes of a live block may be used: at least as many as were asked for, the same as long
 * as the block lives and is not resized; with checks on, exactly as many as were asked for. NULL
 * has 0. */
SLM_API size_t slm_malloc_usable_size(void *pointer);

/* --- the heap --------------------------------------------------------------------------------- */

/* Gives all memory that is free in whole slabs and cached mappings back to the system. `pad` is
 * ignored. 1: some was given back; 0: none. */
SLM_API int slm_malloc_trim(size_t pad);

/* Gives back to the system all memory that is free: empty slabs, mappings kept for reuse, and pages
 * without a live block in slabs in use. It is done for the calling thread's slabs, those that
 * nobody owns, and what others have freed in slabs of any thread; other threads do it to the rest
 * of theirs when they next need a slab. Returns the bytes; some may not have been resident.
 * slm_malloc_trim does the same. */
SLM_API size_t slm_purge(void);

/* Tuning parameters of glibc's malloc are accepted and have no effect: 1, or 0 for one that glibc
 * does not know either. */
SLM_API int slm_mallopt(int parameter, int value);

/* The figures of slm_stats_get in glibc's forms: `arena` is what the slabs hold, `hblkhd` what
 * LARGE blocks do; slm_mallinfo stops at INT_MAX. slm_malloc_stats prints slm_stats_print's tables
 * to standard error; slm_malloc_info writes XML to a stream and returns 0, or EINVAL if `options`
 * is not 0. */
SLM_API struct mallinfo slm_mallinfo(void);
SLM_API struct mallinfo2 slm_mallinfo2(void);
SLM_API void slm_malloc_stats(void);
SLM_API int slm_malloc_info(int options, FILE *stream);

/* What the heap holds, at the time of the call, by class. */
struct slm_class_stats {
    size_t slot_bytes;      /* size of the class */
    size_t slabs;           /* slabs that hold this class */
    size_t slots;           /* slots in them */
    size_t live;            /* slots that the program holds */
    uint64_t allocations;   /* calls so far */
    uint64_t frees;
};

struct slm_zone_stats {
    size_t slab_bytes;      /* size of a slab */
    size_t slabs;           /* slabs in use */
    size_t slabs_peak;      /* most slabs ever in use at once */
    size_t slabs_empty;     /* slabs used before, empty now */
    size_t slabs_dirty;     /* of these, not given back to the system */
    size_t live_bytes;      /* bytes in live slots, rounding to the class included */
    uint64_t allocations;   /* calls so far */
    uint64_t frees;
};

struct slm_large_stats {
    size_t live;            /* blocks */
    size_t live_bytes;      /* bytes mapped for them */
    size_t peak_bytes;      /* most bytes mapped, cached ones included */
    size_t cached_bytes;    /* freed mappings kept for reuse */
    uint64_t allocations;   /* calls so far */
    uint64_t frees;
    uint64_t mappings;      /* system calls to get and to give back a mapping */
    uint64_t unmappings;
};

/* The heap's locks, by what they guard. No malloc or free takes one on its usual way. */
enum slm_lock_kind {
    SLM_LOCK_QUEUE,    /* of each thread: its slabs in which others have freed */
    SLM_LOCK_CLASS,    /* of each class: slabs that nobody owns */
    SLM_LOCK_ZONE,     /* of TINY and of SMALL: empty slabs */
    SLM_LOCK_LARGE,    /* LARGE blocks */
    SLM_LOCK_THREADS,  /* the list of threads' caches */
    SLM_LOCK_SHARED,   /* the cache of threads that have none, and what checks know */
    SLM_LOCK_METADATA, /* memory for the heap's own structures */
    SLM_LOCK_KINDS,
};

struct slm_lock_stats {
    uint64_t acquired;  /* so many times */
    uint64_t contended; /* of these, found it held by another thread */
};

#define SLM_CLASS_COUNT 68

/* Freed blocks that the option quarantine keeps back: they count as freed. */
struct slm_quarantine_stats {
    size_t blocks;
    size_t bytes; /* of their slots and pages */
};

struct slm_stats {
    struct slm_zone_stats tiny, small;
    struct slm_large_stats large;
    struct slm_quarantine_stats quarantine;
    size_t metadata_bytes;  /* of slabs' headers, but for those given back, caches and tables */
    size_t caches;          /* thread caches ever made */
    uint64_t faults;        /* bad pointers given back, if the process went on */
    struct slm_lock_stats locks[SLM_LOCK_KINDS]; /* by enum slm_lock_kind */
    struct slm_class_stats classes[SLM_CLASS_COUNT];
};

/* Fills `*stats`. Takes no lock; with other threads allocating meanwhile the figures are a moving
 * picture. */
SLM_API void slm_stats_get(struct slm_stats *stats);

/* Verifies every invariant of the heap's own structures: bitmaps against their summaries, lists,
 * owners, counts. With canary=on, also the bytes behind every live block; with quarantine=, those
 * of every block kept back that is filled. True: all hold. False: the first that does not is told
 * on the file descriptor `fd`, in the words in which it would be when the block is freed. Other
 * threads may allocate meanwhile; those that need another slab or mapping wait. Takes a moment for
 * each slab: about 1 ms for 100 MiB of small blocks. */
#define SLM_HAVE_CHECK_HEAP 1
SLM_API bool slm_check_heap(int fd);

/* A call that allocated, resized or freed a block. */
struct slm_event {
    const char *call;   /* "malloc", "operator delete", ...: a constant */
    bool frees;         /* the block was given back */
    uint32_t thread;    /* that called, by gettid(2) */
    size_t bytes;       /* asked for */
    size_t depth;       /* frames in `stack` */
    void *stack[16];    /* return addresses, innermost first */
};

/* Fills `events` with the last calls about the block that `pointer` lies in, live or freed: as many
 * as are known, 4 at most, or `count`, latest first. Returns how many; 0 without the option
 * history=on. The stack is as deep as the program keeps frame pointers, or, with stacks=tables,
 * whole. Takes no lock; with other threads at the same block meanwhile, it is a moving picture. */
#define SLM_HAVE_HISTORY 1
SLM_API size_t slm_history(const void *pointer, struct slm_event *events, size_t count);

enum slm_leaks_kind {
    SLM_LEAKS_LIVE, /* every block that lives */
    SLM_LEAKS_LOST, /* live blocks that the program has no pointer to any more */
};

/* Writes the leaks of that kind to the file descriptor `fd`, by size and call stack, most bytes
 * first: nothing if there are none. Returns how many blocks: of SLM_LEAKS_LOST, those that only
 * lost ones point to are counted too. Known are blocks that were allocated with any check option
 * on; call stacks with history=on or leaks=exit; the C library's own are left out. Takes all of the
 * heap's locks; for SLM_LEAKS_LOST other threads stand still meanwhile (see docs/debugging.md for
 * what is looked through, and for how long). -1: EINVAL, no such kind; ENODATA, no check option is
 * on; ENOMEM; or the error of a write. */
#define SLM_HAVE_LEAKS 1
SLM_API ptrdiff_t slm_leaks(int fd, enum slm_leaks_kind kind);

/* Writes the heap profile to the file descriptor `fd`: for each call stack, how many blocks and
 * bytes that it allocated live, and how many it has ever allocated while the option sample was on;
 * in the text format of gperftools, which pprof reads. The figures are estimates from a sample: of
 * n samples that a stack has, off by 1/sqrt(n) of it (standard deviation). Takes no lock; with
 * other threads allocating meanwhile it is a moving picture. False: ENODATA, sampling was never
 * on; or the error of a write. docs/profiling.md has more. */
#define SLM_HAVE_HEAP_PROFILE 1
SLM_API bool slm_heap_profile(int fd);

/* --- looking into the heap -------------------------------------------------------------------- */

/* All of these allocate nothing, change errno only on failure, and write through a small buffer on
 * the caller's stack (they need 16 KiB of it at most) with no lock held: a reader that sleeps stops
 * nobody but the caller. A descriptor that is closed or full, or a pipe that nobody reads any more,
 * ends the output, never the process: they return false with the write's errno. */

enum slm_stats_format { SLM_STATS_TEXT, SLM_STATS_JSON };

/* Prints slm_stats_get's and slm_memory_breakdown's figures, as tables for people or as JSON for
 * programs; docs/statistics.md has each field. EINVAL: no such format. */
SLM_API bool slm_stats_print(int fd, enum slm_stats_format format);

/* A part of the heap's memory. */
struct slm_part {
    size_t bytes;          /* of addresses */
    size_t resident_bytes; /* of these in memory, as mincore(2) tells */
};

struct slm_class_breakdown {
    size_t slot_bytes;          /* size of the class */
    struct slm_part live;       /* slots that the program holds, rounding to the class included */
    struct slm_part free_slots; /* the others, in slabs in use */
    struct slm_part quarantine; /* slots of freed blocks that the option quarantine keeps back */
    struct slm_part rests;      /* before a slab's first slot and behind its last */
};

/* A page that is in memory is divided among what lies in it, by bytes. So the resident bytes of the
 * parts add up to `total.resident_bytes`, which is counted apart: to the byte if no other thread
 * uses the heap meanwhile. */
struct slm_breakdown {
    struct slm_part live_slots, free_slots, rests; /* of slabs in use: the sums of `classes` */
    struct slm_part quarantine;  /* of freed blocks that are kept back: the sum, and LARGE ones */
    struct slm_part empty_slabs; /* used before; what is in memory goes back after a second */
    struct slm_part large_live;  /* LARGE blocks */
    struct slm_part large_spare; /* room to grow behind LARGE blocks */
    struct slm_part large_free;  /* mappings of freed LARGE blocks, kept for reuse */
    struct slm_part metadata;    /* slabs' headers and bitmaps, thread caches, tables */
    struct slm_part total;       /* what the kernel holds for all of these */
    struct slm_part huge_pages;  /* of it, what lies in huge pages; 0: perhaps not told */
    struct slm_class_breakdown classes[SLM_CLASS_COUNT];
};

/* Fills `*breakdown`; takes no lock. About 1 ms for 100 MiB. Not counted: the library's own code
 * and static data, pages that were swapped out. Counted although it costs no memory: a page that
 * was only ever read. False, and all `resident_bytes` are 0: the system does not tell (ENOSYS,
 * EPERM). */
SLM_API bool slm_memory_breakdown(struct slm_breakdown *breakdown);

/* Prints every live block: zone by zone (TINY, SMALL, LARGE) its address, each block's first byte,
 * the byte behind its last, and its size; then the sum.
 *
 *     TINY : 0x7a8c10010000
 *     0x7a8c10010100 - 0x7a8c10010130 : 48 bytes
 *     LARGE : 0x7a8c0fe00000
 *     0x7a8c0fe00000 - 0x7a8c0ff00000 : 1048576 bytes
 *     Total : 1048624 bytes
 *
 * A block's size is what may be used of it (slm_malloc_usable_size): which part of it was asked for
 * is not kept. Other threads may allocate meanwhile: a block that lives all the time is listed, one
 * that comes or goes may be. Takes no lock at all, so that it may be called from a signal handler
 * and from a debugger, whatever was interrupted. */
SLM_API bool slm_show_alloc_mem(int fd);

enum slm_show_zones { SLM_SHOW_TINY = 1, SLM_SHOW_SMALL = 2, SLM_SHOW_LARGE = 4 };

enum slm_show_parts {
    SLM_SHOW_BLOCKS = 1, /* a line for each live block */
    SLM_SHOW_SLABS = 2,  /* two for each slab: its state, class, owner, slots; a bar: which live */
    SLM_SHOW_FREE = 4,   /* empty slabs, counted, and mappings kept for reuse, a line each */
    SLM_SHOW_HISTORY = 8, /* the last calls about each block, with the option history=on */
};

/* What to print; all zero: everything, without contents. */
struct slm_show_options {
    unsigned zones;      /* of SLM_SHOW_TINY, ...; 0: all */
    unsigned parts;      /* of SLM_SHOW_BLOCKS, ...; 0: all but SLM_SHOW_HISTORY */
    size_t min_bytes;    /* blocks, and slabs of slots, of this size or more */
    size_t max_bytes;    /* and up to this; 0: no limit */
    const void *from;    /* what lies, in part at least, in [from, to); NULL: no limit */
    const void *to;
    size_t dump_bytes;   /* the first so many bytes of each block: 16 a line, in hex and ASCII */
};

/* As slm_show_alloc_mem, with more and about less. `options` NULL: all, and 64 bytes of each block.
 * Contents are read without touching them, so a block that is freed meanwhile does no harm. */
SLM_API bool slm_show_alloc_mem_ex(int fd, const struct slm_show_options *options);

/* The same to standard output, which stdio's buffer does not pass through; exported with the other
 * names that have no prefix. */
void show_alloc_mem(void);
void show_alloc_mem_ex(void);

/* --- options and faults ----------------------------------------------------------------------- */

/* What can be chosen at run time: docs/options.md has the table; SLABMALLOC_OPTIONS=help prints it.
 *
 * A program may define this, with values to begin with ("name=value,name=value"); the environment
 * overrides them. It is read before the program's constructors run, so it has to be initialised
 * with a constant. In an executable that is not linked with the library (LD_PRELOAD), it has to be
 * exported (-rdynamic, or a dynamic list). Undefined elsewhere: not to be read. */
SLM_API extern const char *slabmalloc_options;

/* Writes an option's value, as text that slm_option_set and SLABMALLOC_OPTIONS take, and its NUL to
 * `buffer`. False, and nothing is written: ENOENT: no option `name`; ERANGE: the text needs more
 * than `bytes` (256 are enough for all, 64 for all but paths). */
SLM_API bool slm_option_get(const char *name, char *buffer, size_t bytes);

/* Changes an option, for all threads, from now on. False, and nothing changes: ENOENT: no option
 * `name`; EINVAL: no value of it; EPERM: it is fixed when the process starts. */
SLM_API bool slm_option_set(const char *name, const char *value);

enum slm_limit_kind {
    SLM_LIMIT_SOFT = 1, /* more is held than the option heap_soft_limit says, and nothing is free */
    SLM_LIMIT_HARD,     /* an allocation is about to fail */
};

struct slm_limit {
    enum slm_limit_kind kind;
    size_t held_bytes;  /* slabs in use or not yet given back, and mappings of LARGE blocks */
    size_t limit_bytes; /* the option's; 0: there is none, the system has refused memory */
};

struct slm_limit_handler {
    bool (*handle)(const struct slm_limit *limit, void *context);
    void *context;
};

/* Has `handler->handle` called when the heap reaches a limit, after all that is free has gone back.
 * True: it has freed some; that goes back too, and an allocation that failed is tried once more.
 * False: an allocation that failed returns NULL with ENOMEM. Above the soft limit it is called
 * again when the heap has grown by an eighth. NULL: nobody is asked. Returns the handler before, or
 * NULL. `*handler` has to last as long as any thread may be in it.
 *
 * It runs in the thread that allocates, wherever that is, with no lock of the library held: it may
 * allocate and free, but not take a lock that a caller of malloc may hold. One thread at a time is
 * in it; one that comes meanwhile is not asked. It must not leave by longjmp or an exception. errno
 * is kept. What it changes and others read across a call of malloc has to be volatile or atomic if
 * it is static in its file: libc's header tells the compiler that malloc calls nobody there. */
SLM_API const struct slm_limit_handler *
slm_set_limit_handler(const struct slm_limit_handler *handler);

enum slm_error_kind {
    SLM_ERROR_DOUBLE_FREE = 1,  /* a free of a block that is free already */
    SLM_ERROR_USE_AFTER_FREE,   /* another call (realloc, malloc_usable_size) with such a block */
    SLM_ERROR_INTERIOR_POINTER, /* inside a block or a slot, not at its start */
    SLM_ERROR_INVALID_POINTER,  /* no block was ever allocated there */
    /* Found with options that check for it (docs/debugging.md), perhaps by a later call: */
    SLM_ERROR_OVERFLOW,         /* bytes behind the size asked for were written */
    SLM_ERROR_WRITE_AFTER_FREE, /* bytes of a freed block were written */
    SLM_ERROR_MISMATCHED_FREE,  /* new undone by free, malloc by delete, ... */
    SLM_ERROR_WRONG_SIZE,       /* a free told another size than was asked for */
    SLM_ERROR_WRONG_ALIGNMENT,  /* the same of the alignment, or of whether there was one */
};

/* A fault of the program. More kinds may be added. */
struct slm_error {
    enum slm_error_kind kind;
    const void *pointer; /* what the program gave back, or the start of the damaged block */
    const char *call;    /* the function that found it: "free", "realloc", "operator delete", ... */
    const char *line;    /* what is printed about it, without the end of the (last) line */
};

struct slm_error_handler {
    void (*handle)(const struct slm_error *error, void *context);
    void *context;
};

/* Has `handler->handle` called for every fault that is found, before the option on_error decides
 * what becomes of the process; with on_error=ignore, too. NULL: nobody is told. Returns the handler
 * before, or NULL. `*handler` has to last as long as any thread may be in it.
 *
 * It runs in the thread that made the bad call, which has not changed the heap, with no lock of the
 * library held: it may allocate and free, take locks, print, unwind the stack for a trace, end the
 * process; several threads may be in it at once. It must not leave by longjmp or an exception. A
 * fault of its own is not given to it, but told as the option says. errno is kept. `*error` and its
 * line are gone when it returns. */
SLM_API const struct slm_error_handler *
slm_set_error_handler(const struct slm_error_handler *handler);

#ifdef __cplusplus
}
#endif

#endif
