/* Purpose: jemalloc's own functions, as jemalloc(3) has them, for programs that are built where its
 *          header is not. Header only. */
#ifndef TEST_JEMALLOC_H
#define TEST_JEMALLOC_H

#include <stddef.h>

void *mallocx(size_t size, int flags);
void *rallocx(void *pointer, size_t size, int flags);
size_t xallocx(void *pointer, size_t size, size_t extra, int flags);
size_t sallocx(const void *pointer, int flags);
void dallocx(void *pointer, int flags);
void sdallocx(void *pointer, size_t size, int flags);
size_t nallocx(size_t size, int flags);
int mallctl(const char *name, void *old_value, size_t *old_size, void *value, size_t size);

#define MALLOCX_LG_ALIGN(power) ((int)(power))
#define MALLOCX_ALIGN(alignment) __builtin_ctzl(alignment)
#define MALLOCX_ZERO 0x40
#define MALLOCX_TCACHE(number) ((int)(((number) + 2) << 8))
#define MALLOCX_TCACHE_NONE MALLOCX_TCACHE(-1)
#define MALLOCX_ARENA(number) ((int)(((number) + 1) << 20))

#endif
