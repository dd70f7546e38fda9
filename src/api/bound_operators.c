/* Purpose: bound.h, of C++: an object of its own, as src/api/operators.c is.
 * Owns:    nothing.
 * Source:  the names are those of the Itanium C++ ABI. */
#include <malloc.h>
#include <stdlib.h>

#include "api/bound.h"

extern void *_Znwm(size_t size);
extern void *_Znam(size_t size);
extern void *_ZnwmSt11align_val_t(size_t size, size_t alignment);
extern void *_ZnamSt11align_val_t(size_t size, size_t alignment);
extern void _ZdlPv(void *pointer);
extern void _ZdaPv(void *pointer);
extern void _ZdlPvSt11align_val_t(void *pointer, size_t alignment);
extern void _ZdaPvSt11align_val_t(void *pointer, size_t alignment);

const struct bound_operators bound_operators = {
    .malloc = malloc,
    .aligned_alloc = aligned_alloc,
    .posix_memalign = posix_memalign,
    .memalign = memalign,
    .free = free,
    .new_one = _Znwm,
    .new_array = _Znam,
    .new_one_aligned = _ZnwmSt11align_val_t,
    .new_array_aligned = _ZnamSt11align_val_t,
    .delete_one = _ZdlPv,
    .delete_array = _ZdaPv,
    .delete_one_aligned = _ZdlPvSt11align_val_t,
    .delete_array_aligned = _ZdaPvSt11align_val_t,
};
