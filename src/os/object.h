/* Purpose: which loaded file an address of code lies in.
 * Owns:    nothing.
 * Locking: none, and none of the loader's: a caller of malloc may hold any lock (glibc's
 *          _dl_find_object, from 2.35 on, is made for that; without it nothing is found). */
#ifndef SLM_OS_OBJECT_H
#define SLM_OS_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "os/maps.h"

struct os_object {
    uintptr_t start, end;
    const void *map; /* the loader's entry for it */
    const uint8_t *unwind_header; /* .eh_frame_hdr; NULL: it has none */
};

/* Until then, nothing is found. Takes the loader's lock: not inside malloc. */
void os_object_init(void);

/* False: in none, as far as is known. */
bool os_object_find(uintptr_t address, struct os_object *object);

/* The segment of the object in which the address lies, which is code that is running or will be
 * returned to: so the object stays meanwhile. The name is "" for the program itself. False: its
 * headers can't be read. */
bool os_object_look(const struct os_object *object, uintptr_t address, struct os_mapping *segment);

#endif
