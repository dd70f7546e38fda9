/* Purpose: what is logged (os/log.h) of blocks, as the options say; and lines of it.
 * Owns:    nothing.
 * Locking: nothing here is called with a lock held. */
#ifndef SLM_CHECK_LOG_H
#define SLM_CHECK_LOG_H

#include "core/call.h"
#include "os/log.h"

/* Reads the options; true if they ask for a log and there is one. Why there is none is told. */
bool check_log_start(void);

/* The options that say which events are logged may have changed. */
void check_log_apply_options(void);

/* While log_is_on(): the program has asked for a block, and got it or, NULL, did not. */
void check_log_made(const void *pointer, size_t bytes, enum call call);

/* It gives back a block, which is not the heap's yet. (Nothing, if that is part of realloc.) */
void check_log_freed(uintptr_t start, size_t bytes, enum call call);

/* It resizes one: what that was, and what came of it; NULL: nothing, it is as it was. */
struct log_block check_log_before_realloc(const void *pointer, size_t bytes);
void check_log_realloc(const struct log_block *from, const void *pointer, size_t bytes);

/* The process ends: what has no line yet gets one. */
void check_log_finish(void);

/* --- log_lines.c ------------------------------------------------------------------------------ */

/* Writes a line to standard error for each event that has none yet, in their order. If another
 * thread is at it, these are left to that one, unless it can't keep up. */
void check_log_tell(void);

#endif
