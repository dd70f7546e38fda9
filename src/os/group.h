/* Purpose: the memory limit of the process's control group.
 * Owns:    nothing.
 * Source:  cgroups(7); Documentation/admin-guide/cgroup-v2.rst, memory.max. */
#ifndef SLM_OS_GROUP_H
#define SLM_OS_GROUP_H

#include <stddef.h>

/* The least memory.max (version 2) of the group and those above it, or memory.limit_in_bytes
 * (version 1); SIZE_MAX: there is none, or it can't be read. Opens files, allocates nothing, keeps
 * errno. */
size_t group_memory_limit(void);

#endif
