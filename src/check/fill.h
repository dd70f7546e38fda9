/* Purpose: bytes: fills and canaries, written and verified. Pure, but for the block's memory.
 * Owns:    nothing. */
#ifndef SLM_CHECK_FILL_H
#define SLM_CHECK_FILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of bytes that differ from what was written there. */
struct damage {
    size_t offset;      /* of the first */
    size_t count;       /* up to the last */
    unsigned char byte; /* the first */
};

/* Fills `room` bytes at `start` from offset `bytes` on with the block's canary, in which no byte is
 * zero. */
void canary_write(uintptr_t start, size_t bytes, size_t room);

/* False: it was written to. */
bool canary_verify(uintptr_t start, size_t bytes, size_t room, struct damage *damage);

/* Whether all of `room` bytes are `byte`. */
bool fill_verify(uintptr_t start, size_t room, unsigned char byte, struct damage *damage);

#endif
