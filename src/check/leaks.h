/* Purpose: which blocks are leaks, by size and by place of allocation.
 * Owns:    nothing but the result.
 * Locking: the caller of check_collect_leaks holds all of the heap's locks. */
#ifndef SLM_CHECK_LEAKS_H
#define SLM_CHECK_LEAKS_H

#include "check/check.h"
#include "os/tasks.h"

/* Blocks of one size from one place. */
struct check_leak {
    size_t count;
    size_t bytes; /* asked for, of one */
    enum call call;
    uint32_t stack;
    const uintptr_t *frames;
    unsigned depth;
};

enum check_leaks_kind {
    CHECK_LEAKS_LIVE, /* all that lives */
    CHECK_LEAKS_LOST, /* what the program has no pointer to any more */
};

struct check_leaks {
    enum check_leaks_kind kind;
    struct check_leak *groups; /* most bytes first; but for what others hold */
    size_t group_count;
    size_t blocks, bytes;           /* of all groups */
    size_t own_blocks, own_bytes;   /* libc's, which are in no group */
    size_t held_blocks, held_bytes; /* lost, but lost ones point to them */
    size_t unstopped;               /* threads that ran meanwhile; SIZE_MAX: not known */
    bool saw_mappings;              /* LOST: all that the process has mapped was looked through */
    size_t memory_bytes;            /* of the groups' mapping */
};

struct span {
    uintptr_t start, end;
};

enum { DATA_MAX = 128, LIBC_DATA_MAX = 16 };

/* What is found out before locks are taken: where the caller's own pointers are, what it keeps in
 * registers, and where modules are. */
struct check_caller {
    uintptr_t registers[OS_REGISTERS];
    uintptr_t stack;
    struct span libc, loader;            /* all of each, code and data */
    struct span libc_data[LIBC_DATA_MAX]; /* of both */
    struct span data[DATA_MAX];          /* of all modules, and the thread-local variables */
    unsigned libc_data_count, data_count;
};

/* Fills in the modules: takes the loader's lock. */
void check_find_modules(struct check_caller *caller);

/* What of that which was allocated with checks on is a leak; LOST: with the other threads stopped,
 * which are `tasks`. False: no memory. */
bool check_collect_leaks(enum check_leaks_kind kind, const struct check_caller *caller,
                         const struct os_tasks *tasks, struct check_leaks *leaks);

/* Gives the memory of the groups back. */
void check_drop_leaks(struct check_leaks *leaks);

#endif
