/* Purpose: a library loaded with RTLD_DEEPBIND allocates where all others do.
 * Owns:    nothing.
 * Source:  dlopen(3); field case A8.
 *
 * Such a library looks for names in the files that it depends on, libc among them, before it looks
 * in those of the program and of LD_PRELOAD. So it takes libc's malloc and free, while libc's own
 * functions, which allocate for it, and everybody else have ours; the first block that goes from
 * one to the other ends the process. It happens in programs that many use (PHP loads its
 * extensions so), with every replacement of malloc.
 *
 * The flag is for the library's other names, so it stays. But before the first of them is loaded,
 * libc's malloc and its kin are made to lead to what everybody else finds under these names
 * (os/rebind.h). Not in the static library: a static program loads nothing. */
#include <dlfcn.h>

#include "base/attr.h"
#include "core/options.h"
#include "os/rebind.h"

#define NAMES(X)                                                                                   \
    X(malloc) X(calloc) X(realloc) X(reallocarray) X(free) X(cfree) X(free_sized)                  \
    X(free_aligned_sized) X(aligned_alloc) X(memalign) X(posix_memalign) X(valloc) X(pvalloc)      \
    X(malloc_usable_size) X(malloc_trim) X(mallopt) X(mallinfo) X(mallinfo2) X(malloc_stats)       \
    X(malloc_info) X(__libc_malloc) X(__libc_calloc) X(__libc_realloc) X(__libc_reallocarray)      \
    X(__libc_free) X(__libc_memalign) X(__libc_valloc) X(__libc_pvalloc) X(__libc_mallinfo)        \
    X(__libc_mallopt) X(__posix_memalign)

#define BINDING(name) {#name, NULL},

/* If the system refuses, it is as if we had not been here. */
static COLD void lead_libc_here(void) {
    struct os_binding bindings[] = {NAMES(BINDING)};
    enum { COUNT = sizeof bindings / sizeof *bindings };
    const void *libc = dlsym(RTLD_NEXT, "gnu_get_libc_version");
    if (libc == NULL)
        return;
    for (unsigned i = 0; i < COUNT; i++)
        bindings[i].target = dlsym(RTLD_DEFAULT, bindings[i].name);
    os_rebind(libc, bindings, COUNT);
}

/* The next one has to be left to by a jump, not called: it looks up its caller, for whom it
 * searches the directories that the caller's file names (DT_RUNPATH, $ORIGIN). */
#if defined(__clang__)
#define LEAVE_TO __attribute__((musttail)) return
#define WITH_JUMPS
#else
#define LEAVE_TO return
#define WITH_JUMPS __attribute__((optimize("O2")))
#endif

typedef void *opener(const char *path, int mode);

WITH_JUMPS SLM_EXPORT void *dlopen(const char *path, int mode) {
    opener *next = (opener *)dlsym(RTLD_NEXT, "dlopen");
    if (next == NULL)
        return NULL; /* and dlerror says why */
    if ((mode & RTLD_DEEPBIND) != 0 && option_get(OPTION_deepbind) != 0)
        lead_libc_here();
    LEAVE_TO next(path, mode);
}
