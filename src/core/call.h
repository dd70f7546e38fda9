/* Purpose: by which function a program asked for a block or gave one back: the names that diagnoses
 *          use, and which of them belong together.
 * Owns:    a constant table. */
#ifndef SLM_CORE_CALL_H
#define SLM_CORE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(CALL, "name", family, gives back): a block of a family is to be given back by a function of the
 * same. */
#define SLM_CALLS(X)                                                                              \
    X(CALL_NONE, "nobody", FAMILY_MALLOC, false)                                                  \
    X(CALL_MALLOC, "malloc", FAMILY_MALLOC, false)                                                \
    X(CALL_CALLOC, "calloc", FAMILY_MALLOC, false)                                                \
    X(CALL_REALLOC, "realloc", FAMILY_MALLOC, false)                                              \
    X(CALL_ALIGNED_ALLOC, "aligned_alloc", FAMILY_MALLOC, false)                                  \
    X(CALL_NEW, "operator new", FAMILY_NEW, false)                                                \
    X(CALL_NEW_ARRAY, "operator new[]", FAMILY_NEW_ARRAY, false)                                  \
    X(CALL_USABLE_SIZE, "malloc_usable_size", FAMILY_MALLOC, false)                               \
    X(CALL_CHECK_HEAP, "slm_check_heap", FAMILY_MALLOC, false)                                    \
    X(CALL_FREE, "free", FAMILY_MALLOC, true)                                                     \
    X(CALL_FREE_BY_REALLOC, "free by realloc", FAMILY_MALLOC, true)                               \
    X(CALL_FREE_SIZED, "free_sized", FAMILY_MALLOC, true)                                         \
    X(CALL_FREE_ALIGNED_SIZED, "free_aligned_sized", FAMILY_MALLOC, true)                         \
    X(CALL_DELETE, "operator delete", FAMILY_NEW, true)                                           \
    X(CALL_DELETE_ARRAY, "operator delete[]", FAMILY_NEW_ARRAY, true)                             \
    X(CALL_EXIT, "exit", FAMILY_MALLOC, false)                                                    \
    X(CALL_MALLOCX, "mallocx", FAMILY_MALLOC, false)                                              \
    X(CALL_DALLOCX, "dallocx", FAMILY_MALLOC, true)                                               \
    X(CALL_SDALLOCX, "sdallocx", FAMILY_MALLOC, true)

enum family { FAMILY_MALLOC, FAMILY_NEW, FAMILY_NEW_ARRAY };

enum call {
#define X(call, name, family, gives_back) call,
    SLM_CALLS(X)
#undef X
        CALL_COUNT
};

struct call_facts {
    const char *name;
    uint8_t family; /* enum family */
    bool gives_back;
};

extern const struct call_facts call_facts[CALL_COUNT];

/* What a program tells of a block that it gives back: nothing of what the function takes no
 * argument for. */
struct told {
    size_t bytes;     /* SIZE_NOT_TOLD: nothing */
    size_t alignment; /* 0: nothing */
};

#define SIZE_NOT_TOLD SIZE_MAX
#define NOTHING_TOLD ((struct told){SIZE_NOT_TOLD, 0})
#define TOLD_SIZE(bytes) ((struct told){(bytes), 0})

#endif
