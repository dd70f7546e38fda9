/* The names under which the programs here call the heap. They are written with the standard names;
 * where the library does not override those (SLM_PREFIXED=1: the builds for sanitizers, whose
 * run-time library brings a malloc of its own), they get the public prefix. */
#ifndef SLM_TEST_THREADS_NAMES_H
#define SLM_TEST_THREADS_NAMES_H

#include <malloc.h>
#include <stdlib.h>

#include "slabmalloc/slabmalloc.h"

#ifndef SLM_PREFIXED
#define SLM_PREFIXED 0
#endif

#if SLM_PREFIXED
#define malloc slm_malloc
#define calloc slm_calloc
#define realloc slm_realloc
#define reallocarray slm_reallocarray
#define free slm_free
#define aligned_alloc slm_aligned_alloc
#define posix_memalign slm_posix_memalign
#define memalign slm_memalign
#define valloc slm_valloc
#define pvalloc slm_pvalloc
#define malloc_usable_size slm_malloc_usable_size
#define malloc_trim slm_malloc_trim
#define mallopt slm_mallopt
#define mallinfo slm_mallinfo
#define mallinfo2 slm_mallinfo2
#define malloc_stats slm_malloc_stats
#endif

#endif
