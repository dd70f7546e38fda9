/* Purpose: code addresses as a tool can look them up: file and offset.
 * Owns:    nothing. */
#ifndef SLM_REPORT_MODULES_H
#define SLM_REPORT_MODULES_H

#include <stdint.h>

#include "base/attr.h"
#include "base/format.h"

/* Appends "0x7f12a0b3 (libx.so.1+0x1b3)", the offset in the file, and ", unloaded" if that is not
 * there any more; only the address where /proc/self/maps can't be read. It is the last byte of the
 * call, not what is behind it, which may be another line's or another function's. Takes no lock,
 * allocates nothing. */
COLD void modules_put(struct text *text, uintptr_t return_address);

#endif
