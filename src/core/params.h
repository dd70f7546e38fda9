/* Purpose: every number of the design, once, with the asserts that tie them together.
 * Owns:    nothing. */
#ifndef SLM_CORE_PARAMS_H
#define SLM_CORE_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* Every pointer handed out is a multiple of this. */
#define MIN_ALIGNMENT ((size_t)16)

/* Zones: what a request size means, and how the zone's range is cut into slabs. */
#define TINY_MAX_BYTES ((size_t)4096)
#define SMALL_MAX_BYTES ((size_t)128 << 10)
#define TINY_SLAB_SHIFT 16
#define SMALL_SLAB_SHIFT 20

/* Size classes. TINY: steps of 16 to 128 bytes, then four per doubling. SMALL: eight per doubling,
 * for all threads share its slabs, so that more classes cost little (cache/common.h). A class is
 * found by steps of 16 bytes up to FINE_MAX_BYTES, and of 256 beyond. */
#define FINE_MAX_BYTES ((size_t)1024)
#define FINE_STEP_SHIFT 4
#define FINE_STEPS_PER_CLASS 8 /* at most */
#define COARSE_STEP_SHIFT 8
#define FINE_CLASSES 20
#define COARSE_CLASSES 8 /* the other ones of TINY */
#define TINY_CLASSES (FINE_CLASSES + COARSE_CLASSES)
#define SMALL_CLASSES 40
#define CLASS_COUNT (TINY_CLASSES + SMALL_CLASSES)
#define FINE_STEPS ((FINE_MAX_BYTES >> FINE_STEP_SHIFT) + 1)      /* step 0 is malloc(0) */
#define COARSE_STEPS ((SMALL_MAX_BYTES >> COARSE_STEP_SHIFT) + 1) /* up to 1 KiB unused */

/* Bitmaps: 64 words of 64 slots. The last one stays empty: a malloc that leaves the summary as it
 * was clears that one's bit, which is shorter than a choice. */
#define SLAB_WORDS 64
#define SLAB_SLOTS_MAX ((SLAB_WORDS - 1) * 64)

/* Slot 0 of a TINY slab starts at one of COLOURS multiples of COLOUR_BYTES, so that the hot first
 * slots of slabs do not all fight for the same cache sets (design.md, measurement 3). */
#define COLOURS 8
#define COLOUR_BYTES ((size_t)128)
/* But for those of a large zone, which are not all hot: 0.7 % of its memory is worth more. */
#define COLOURED_SLABS 1024

/* A full slab is looked at again for allocation when this part of its slots has been freed. Of
 * slots beyond FINE_MAX_BYTES, one is enough. (perf/bench replace: with 1/8 of slots of which a
 * slab has fewer than 256, 0.8 of the mispredictions, 3 % more memory and 6 % more time.) */
#define RELINK_FRACTION 16
/* While a zone uses so much, slabs that have waited for less are used first (cache.h), and while it
 * uses four times as much, 1/64 of the slots of slabs that become full is enough. (perf/memory
 * evict, 512 MiB live: 1/64 instead of 1/32 saves 0.9 % of memory for 0 to 4 % more time.) */
#define RELINK_LARGE_BYTES ((size_t)64 << 20)

/* A slab is sparse, and its free pages may go back, when at most this part of its slots is live.
 * (perf/bench phases: 1/2, 1/4 and 1/8 save as much memory; 1/2 takes 8 % more time.) */
#define SPARSE_LIVE_PART 8

/* With the option random, a SMALL slot is one that was used before or one of so many others. (With
 * any, a program comes to use all of each slab.) */
#define RANDOM_AHEAD 4

/* For a zone that grows beyond this, other memory is given back. (Looking for some was a third of
 * what `ls` executed in the allocator.) */
#define MAKE_UP_FROM_BYTES ((size_t)(SLM_TORTURE ? 0 : 1) << 20)
/* The same for the heap as a whole, of which a slab of SMALL counts as a whole one. */
#define MAKE_UP_ALL_FROM_BYTES ((size_t)(SLM_TORTURE ? 0 : 16) << 20)

/* Twice this part of purge_delay, at most, a slab stays sparse before they go. An empty slab serves
 * all classes, and is worth waiting for; a sparse one only its own, and many of them mean that the
 * program's sizes have changed. (perf/memory evict, 512 MiB live: 1/1 leaves 2.4 x live resident
 * after the shortest phase, 1/10 and 1/100 leave 1.24.) */
#define LOOK_DELAY_PART 64

/* First reservation of each zone; halved until the system grants it. Further ranges follow. Smaller
 * under ThreadSanitizer, whose shadow leaves 1.5 TiB to the program. */
#ifndef SLM_RESERVE_SHIFT
#define SLM_RESERVE_SHIFT 40
#endif
#define RESERVE_BYTES ((size_t)1 << SLM_RESERVE_SHIFT)
#define RESERVE_MIN_BYTES ((size_t)4 << 20)
/* The same where an emulator runs the program, which may keep a record of each page (qemu-user 7.2:
 * 24 bytes, 12 GB in all); each further range is twice as large. */
#define RESERVE_EMULATED_BYTES ((size_t)1 << 30)
#define RANGES_MAX 512
/* Under RLIMIT_AS, one range takes at most this part of the limit. */
#define RESERVE_LIMIT_PART 16

/* Slabs are made writable in steps: an eighth of what is in use already, within these bounds. */
#define COMMIT_MIN_BYTES ((size_t)2 << 20)
#define COMMIT_MAX_BYTES ((size_t)64 << 20)
#define COMMIT_METADATA_BYTES ((size_t)256 << 10)

/* Transparent huge pages. A heap's first slabs never take any: of a small one, most would be memory
 * that nobody uses. With the option huge_pages, zones ask for them beyond so many bytes, and blocks
 * of LARGE from so many on. */
#define HUGE_PAGE_BYTES ((size_t)2 << 20)
#define HUGE_ZONE_FROM_BYTES ((size_t)32 << 20)
#define HUGE_BLOCK_BYTES ((size_t)4 << 20)

/* LARGE: freed mappings kept for reuse (default of the option large_cache). */
/* Between samples for the heap profile, if the option profile asks for one. */
#define SAMPLE_BYTES ((uint64_t)512 << 10)

#define LARGE_CACHE_MIN_BYTES ((size_t)64 << 20)
#define LARGE_CACHE_LIVE_PART 1 /* or this part of the live bytes, if that is more */
/* A new mapping is as long as this part of the live bytes, if the block is shorter: for those to
 * come, so that a process has few mappings however many blocks. (perf/memory maps.) */
#define LARGE_SPARE_LIVE_PART 8
/* A cached mapping of at least this part of a request is lengthened rather than another one
 * made. */
#define LARGE_LENGTHEN_PART 2
/* But none while so many have been moved by that, or by realloc. (perf/memory maps: 44 mappings
 * instead of 54 to 69. With 24 it is 36, but perf/bench large-slots, which has 20 large blocks,
 * holds 416 MiB instead of 363.) */
#define LARGE_MOVED_MAX 40
/* calloc clears cached memory from this size on by having the system replace it. (perf/bench
 * zeroed: 1 MiB and 2 MiB were best, 0.3 of the time without; 256 KiB and 8 MiB lost 10 and 60
 * %.) */
#define CLEAR_BY_PURGE_BYTES ((size_t)1 << 20)
/* Room left behind a block that realloc had to grow: 1/8 of it, not touched until used. */
#define LARGE_GROWTH_PART 8

/* Empty slabs and cached mappings keep their memory this long before it is given back (default of
 * the option purge_delay). */
#define PURGE_DELAY_MS (SLM_TORTURE ? 1u : 1000u)

/* So much of it is kept at least, each of TINY, SMALL and LARGE (default of the option keep_free),
 * or this part of what zones have in use; more goes at once, until it is missed. Until there has
 * been KEEP_FREE_CREDIT times as much, that is kept (core/keep.h). */
#define KEEP_FREE_BYTES (SLM_TORTURE ? (uint64_t)64 << 10 : (uint64_t)8 << 20)
#define KEEP_FREE_LIVE_PART 4
#define KEEP_FREE_CREDIT 16

/* With the option background=lazy: a heap that never held so much has no background thread. */
#define BACKGROUND_MIN_BYTES ((size_t)32 << 20)

/* While the other zone grows, a zone keeps so much memory of empty slabs, and this part of what it
 * has in use. */
#define KEEP_DIRTY_BYTES ((size_t)2 << 20)
#define KEEP_DIRTY_PART 16

/* Under want of memory, runs of empty slabs at least this long are decommitted. */
#define DECOMMIT_MIN_BYTES ((size_t)1 << 20)

/* Of LARGE's cache at least so much at once is given back to make up for growth elsewhere. */
#define MAKE_UP_LEAST_BYTES ((size_t)1 << 20)

/* Addresses above this are no user-space addresses on the supported machines. */
#define ADDRESS_BITS 47

_Static_assert(FINE_STEPS == 65, "steps 0..64 of 16 bytes");
_Static_assert(COARSE_STEPS == 513, "steps 0..512 of 256 bytes");
_Static_assert(((size_t)1 << TINY_SLAB_SHIFT) / MIN_ALIGNMENT - COLOURS * COLOUR_BYTES / 16 ==
                   SLAB_SLOTS_MAX,
               "two levels of 64, less one, cover the smallest class but for its colour");
_Static_assert(SMALL_MAX_BYTES <= (size_t)1 << SMALL_SLAB_SHIFT, "a slot fits into its slab");
_Static_assert(RESERVE_MIN_BYTES >= (size_t)2 << SMALL_SLAB_SHIFT, "a range holds a slab");
_Static_assert(COLOUR_BYTES % MIN_ALIGNMENT == 0, "colours keep the alignment");

#endif
