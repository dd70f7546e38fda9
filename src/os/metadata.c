/* Purpose: metadata.h: a bump pointer over mapped chunks. */
#include "os/metadata.h"

#include "base/bits.h"

/* A chunk is three times as large as all before it, within these bounds: each takes two mappings
 * more, for its guards, so there are to be few. Pages that nobody has used cost nothing. */
enum {
    CHUNK_BYTES = 1 << 18,
    CHUNK_BYTES_MAX = 32 << 20,
    METADATA_ALIGNMENT = 64,
    HUGE_BYTES = 2 << 20,
};

/* At the start of every chunk. */
struct chunk_head {
    struct chunk_head *older;
    size_t bytes;
};

static struct {
    struct lock lock;
    struct chunk_head *newest; /* written with release: walks take no lock */
    uintptr_t next; /* guarded by lock, as is all of this */
    uintptr_t end;
    size_t mapped_bytes;
} chunk;

_Static_assert(sizeof(struct chunk_head) <= METADATA_ALIGNMENT, "a chunk's head has room");

/* A page before and a page behind it can't be accessed: who overruns what the system has put beside
 * it faults before he reaches us. If the system refuses that, they are of no use, and no harm. */
static AT_START void *map_between_guards(size_t bytes) {
    char *memory = os_map(bytes + 2 * os_page_bytes);
    if (memory == NULL)
        return NULL;
    if (bytes >= HUGE_BYTES) /* a smaller one has no room for a huge page */
        os_advise_huge(memory, bytes + 2 * os_page_bytes, false);
    os_decommit(memory, os_page_bytes);
    os_decommit(memory + os_page_bytes + bytes, os_page_bytes);
    return memory + os_page_bytes;
}

static bool chunk_grow(size_t bytes) {
    size_t needed = bytes + METADATA_ALIGNMENT; /* which has room for the head */
    size_t least = round_up(needed < CHUNK_BYTES ? CHUNK_BYTES : needed, os_page_bytes);
    size_t chunk_bytes = round_up(3 * chunk.mapped_bytes, CHUNK_BYTES);
    if (chunk_bytes > CHUNK_BYTES_MAX)
        chunk_bytes = CHUNK_BYTES_MAX;
    if (chunk_bytes < least)
        chunk_bytes = least;
    void *memory = map_between_guards(chunk_bytes);
    if (memory == NULL && chunk_bytes > least) {
        chunk_bytes = least;
        memory = map_between_guards(chunk_bytes);
    }
    if (memory == NULL)
        return false;
    /* What was left of the old chunk stays unused: at most one structure's worth. */
    struct chunk_head *head = memory;
    head->older = chunk.newest;
    head->bytes = chunk_bytes;
    store_release(&chunk.newest, head);
    chunk.next = (uintptr_t)memory + METADATA_ALIGNMENT;
    chunk.end = (uintptr_t)memory + chunk_bytes;
    store_relaxed(&chunk.mapped_bytes, chunk.mapped_bytes + chunk_bytes);
    return true;
}

AT_START void *metadata_alloc(size_t bytes) {
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

void metadata_walk(void (*visit)(uintptr_t address, size_t bytes, void *context), void *context) {
    for (const struct chunk_head *c = load_acquire(&chunk.newest); c != NULL; c = c->older)
        visit((uintptr_t)c, c->bytes, context);
}

struct lock *metadata_lock(void) { return &chunk.lock; }
