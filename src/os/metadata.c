/* Purpose: metadata.h: a bump pointer over mapped chunks. */
#include "os/metadata.h"

#include "base/bits.h"

enum { CHUNK_BYTES = 1 << 18, METADATA_ALIGNMENT = 64 };

static struct {
    struct lock lock;
    uintptr_t next; /* guarded by lock, as is all of this */
    uintptr_t end;
    size_t mapped_bytes;
} chunk;

static bool chunk_grow(size_t bytes) {
    size_t chunk_bytes = round_up(bytes < CHUNK_BYTES ? CHUNK_BYTES : bytes, os_page_bytes);
    void *memory = os_map(chunk_bytes);
    if (memory == NULL)
        return false;
    /* What was left of the old chunk stays unused: at most one structure's worth. */
    chunk.next = (uintptr_t)memory;
    chunk.end = chunk.next + chunk_bytes;
    chunk.mapped_bytes += chunk_bytes;
    return true;
}

void *metadata_alloc(size_t bytes) {
    void *result = NULL;
    bytes = round_up(bytes, METADATA_ALIGNMENT);
    lock_acquire(&chunk.lock, RANK_METADATA);
    if (chunk.end - chunk.next >= bytes || chunk_grow(bytes)) {
        result = (void *)chunk.next;
        chunk.next += bytes;
    }
    lock_release(&chunk.lock, RANK_METADATA);
    return result;
}

size_t metadata_bytes(void) { return load_relaxed(&chunk.mapped_bytes); }

struct lock *metadata_lock(void) { return &chunk.lock; }
