/* Purpose: who takes malloc from libc itself gets the one that all others have.
 * Owns:    whether it has been done.
 * Source:  dlopen(3), dlmopen(3); field case A8.
 *
 * A library that is loaded with RTLD_DEEPBIND looks for names in the files that it depends on, libc
 * among them, before it looks in those of the program and of LD_PRELOAD. So it takes libc's malloc
 * and free, while libc's own functions, which allocate for it, and everybody else have ours; the
 * first block that goes from one to the other ends the process. PHP loads its extensions so. The
 * same befalls a program that loads libc by its name and looks up `free` in it, to free what others
 * have allocated for it: languages that call C do so (ctypes of Python, FFI of PHP, ...).
 *
 * The flag is for the library's other names, so it stays. But before the first of these loads,
 * libc's malloc and its kin are made to lead to ours (os/rebind.h). Not if the program or another
 * library has a malloc that goes before ours: it may be the one that takes libc's to work on. Not
 * in the static library: a static program loads nothing. */
#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <stdbool.h>
#include <string.h>

#include "api/bound.h"
#include "base/atomic.h"
#include "base/attr.h"
#include "core/options.h"
#include "os/os.h"
#include "os/rebind.h"
#include "os/symbols.h"

/* libc's, and which of ours it is to lead to. */
static const char names[][2][28] = {
    {"malloc", "slm_malloc"},
    {"calloc", "slm_calloc"},
    {"realloc", "slm_realloc"},
    {"reallocarray", "slm_reallocarray"},
    {"free", "slm_free"},
    {"cfree", "slm_free"},
    {"free_sized", "slm_free_sized"},
    {"free_aligned_sized", "slm_free_aligned_sized"},
    {"aligned_alloc", "slm_aligned_alloc"},
    {"memalign", "slm_memalign"},
    {"posix_memalign", "slm_posix_memalign"},
    {"valloc", "slm_valloc"},
    {"pvalloc", "slm_pvalloc"},
    {"malloc_usable_size", "slm_malloc_usable_size"},
    {"malloc_trim", "slm_malloc_trim"},
    {"mallopt", "slm_mallopt"},
    {"mallinfo", "slm_mallinfo"},
    {"mallinfo2", "slm_mallinfo2"},
    {"malloc_stats", "slm_malloc_stats"},
    {"malloc_info", "slm_malloc_info"},
    {"__libc_malloc", "slm_malloc"},
    {"__libc_calloc", "slm_calloc"},
    {"__libc_realloc", "slm_realloc"},
    {"__libc_reallocarray", "slm_reallocarray"},
    {"__libc_free", "slm_free"},
    {"__libc_memalign", "slm_memalign"},
    {"__libc_valloc", "slm_valloc"},
    {"__libc_pvalloc", "slm_pvalloc"},
    {"__libc_mallinfo", "slm_mallinfo"},
    {"__libc_mallopt", "slm_mallopt"},
    {"__posix_memalign", "slm_posix_memalign"},
};

enum { NAMES = sizeof names / sizeof *names };

typedef void *opener(const char *path, int mode);
typedef void *space_opener(Lmid_t space, const char *path, int mode);

/* libc's, or another library's behind us. Who has a dlsym of his own, from which he calls libc's,
 * makes us the next one behind himself. */
static uintptr_t find_next(const char *name, uintptr_t own) {
    uintptr_t next = (uintptr_t)dlsym(RTLD_NEXT, name);
    return next != own ? next : os_find_behind(name);
}

OWN(own_dlopen, dlopen);
OWN(own_dlmopen, dlmopen);

static opener *next_dlopen(void) { return (opener *)find_next("dlopen", (uintptr_t)own_dlopen); }

/* Whether what all others find under this name is ours. */
static bool is_ours(void *program, const char *name, uintptr_t own) {
    return bound_is(name, (uintptr_t)dlsym(program, name), own);
}

/* Addresses are looked up: references would be, too, when the library is loaded, in each process.
 * If the system refuses, it is as if we had not been here. */
static void lead_libc_here(void) {
    struct os_binding bindings[NAMES];
    opener *next = next_dlopen();
    const void *libc = dlsym(RTLD_NEXT, "gnu_get_libc_version");
    void *program = next != NULL ? next(NULL, RTLD_LAZY) : NULL;
    if (libc == NULL || program == NULL || !is_ours(program, "malloc", (uintptr_t)own_malloc) ||
        !is_ours(program, "free", (uintptr_t)own_free))
        return;
    for (unsigned i = 0; i < NAMES; i++)
        bindings[i] = (struct os_binding){names[i][0], dlsym(program, names[i][1])};
    os_rebind(libc, bindings, NAMES);
}

/* 0, then the process in which a thread is at it, then DONE: whatever came out, for a library that
 * has bound itself meanwhile would have some of its functions from here, the others from libc. */
static uint32_t state;
#define DONE UINT32_MAX /* no process has that number, but one may have 1 */
enum { WAIT_MS = 1, WAITS_MAX = 1000 };

/* Not by pthread_once: who waits may hold the loader's lock (in a constructor), for which the other
 * waits, so the wait has an end. */
static COLD void lead_libc_here_once(void) {
    uint32_t self = os_process_id();
    for (unsigned waits = 0; waits < WAITS_MAX; waits++) {
        uint32_t now = load_acquire(&state);
        if (now == DONE)
            return;
        if (now == self) {
            os_wait_for(&state, now, WAIT_MS);
        } else if (cas_acquire(&state, &now, self)) { /* from 0, or a fork left it behind */
            if (option_get(OPTION_rebind_libc) != 0)
                lead_libc_here();
            store_release(&state, DONE);
            os_wake(&state, INT32_MAX);
            return;
        }
    }
}

static bool is_libc(const char *path) {
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    return path != NULL && strcmp(slash != NULL ? slash + 1 : path, LIBC_SO) == 0;
}

static void before_load(const char *path, int mode) {
    if ((mode & RTLD_DEEPBIND) != 0 || is_libc(path))
        lead_libc_here_once();
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

WITH_JUMPS SLM_EXPORT void *dlopen(const char *path, int mode) {
    opener *next = next_dlopen();
    if (next == NULL)
        return NULL; /* and dlerror says why */
    before_load(path, mode);
    LEAVE_TO next(path, mode);
}

WITH_JUMPS SLM_EXPORT void *dlmopen(Lmid_t space, const char *path, int mode) {
    space_opener *next = (space_opener *)find_next("dlmopen", (uintptr_t)own_dlmopen);
    if (next == NULL)
        return NULL;
    if (space == LM_ID_BASE) /* others have a libc of their own */
        before_load(path, mode);
    LEAVE_TO next(space, path, mode);
}
