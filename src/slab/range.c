/* Purpose: range.h. */
#include "slab/range.h"

static size_t headers_bytes(size_t slabs) {
    return round_up(slabs * sizeof(struct slab), sizeof(uint64_t));
}

static size_t layout_bytes(size_t slabs) {
    return headers_bytes(slabs) + 2 * hbitmap_bytes(slabs);
}

/* Bitmaps lie behind the headers; they are small, and made writable whole but touched sparsely. */
static bool prepare_headers(struct range *range, size_t all_bytes) {
    size_t headers = round_down(headers_bytes(range->count), os_page_bytes);
    if (!os_allow_read((void *)range->base, round_up(all_bytes, os_page_bytes)))
        return false;
    if (!os_commit((void *)(range->base + headers),
                   round_up(all_bytes, os_page_bytes) - headers))
        return false;
    char *bitmaps = (char *)range->base + headers_bytes(range->count);
    hbitmap_init(&range->empty, bitmaps, range->count);
    hbitmap_init(&range->dirty, bitmaps + hbitmap_bytes(range->count), range->count);
    return true;
}

bool range_reserve(struct range *range, enum zone_kind kind, size_t bytes) {
    size_t shift = slab_shift_of(kind);
    size_t slab_bytes = (size_t)1 << shift;
    size_t reserved = bytes + slab_bytes; /* the start is moved up to a slab border */
    void *memory = os_reserve(reserved);
    if (memory == NULL)
        return false;

    size_t count = bytes >> shift;
    size_t all_bytes = layout_bytes(count);
    *range = (struct range){0};
    range->base = round_up((uintptr_t)memory, slab_bytes);
    range->span = count << shift;
    range->count = (uint32_t)count;
    range->first = (uint32_t)((all_bytes + slab_bytes - 1) >> shift);
    range->fresh = range->writable = range->first;
    if (range->first >= range->count || !prepare_headers(range, all_bytes)) {
        os_unmap(memory, reserved);
        return false;
    }
    return true;
}

static bool extend_headers(struct range *range, size_t slabs) {
    size_t limit = round_down(headers_bytes(range->count), os_page_bytes);
    size_t needed = round_up(headers_bytes(slabs), COMMIT_METADATA_BYTES);
    if (needed > limit)
        needed = limit;
    if (needed <= range->headers_writable)
        return true;
    /* The first headers belong to slabs that do not exist; they stay read-only zeros. */
    size_t from = range->headers_writable;
    if (from == 0)
        from = round_down(headers_bytes(range->first), os_page_bytes);
    if (!os_commit((void *)(range->base + from), needed - from))
        return false;
    range->headers_writable = needed;
    return true;
}

bool range_extend(struct range *range, enum zone_kind kind) {
    size_t shift = slab_shift_of(kind);
    if (range->fresh < range->writable)
        return true;
    size_t used = (size_t)(range->writable - range->first) << shift;
    size_t step = round_up(used / 8, COMMIT_MIN_BYTES);
    if (step < COMMIT_MIN_BYTES)
        step = COMMIT_MIN_BYTES;
    if (step > COMMIT_MAX_BYTES)
        step = COMMIT_MAX_BYTES;
    size_t left = (size_t)(range->count - range->writable) << shift;
    if (step > left)
        step = left;
    if (step == 0 || !extend_headers(range, range->writable + (step >> shift)))
        return false;
    void *from = (void *)(range->base + ((uintptr_t)range->writable << shift));
    if (!os_commit(from, step)) {
        step = (size_t)1 << shift; /* as little as will do */
        if (!os_commit(from, step))
            return false;
    }
    store_relaxed(&range->writable, range->writable + (uint32_t)(step >> shift));
    return true;
}

static bool is_committed_empty(const struct range *range, size_t number) {
    return number < range->fresh && hbitmap_has(&range->empty, number) &&
           !slab_header(range->base, number)->is_decommitted;
}

size_t range_decommit_empty(struct range *range, enum zone_kind kind, size_t *dirty) {
    size_t shift = slab_shift_of(kind);
    size_t bytes = 0;
    for (size_t start = hbitmap_lowest(&range->empty); start != SIZE_MAX;) {
        size_t end = start;
        while (is_committed_empty(range, end))
            end++;
        /* Each run can cost a mapping: only what is worth it. */
        size_t length = (end - start) << shift;
        if (length >= DECOMMIT_MIN_BYTES &&
            os_decommit((void *)(range->base + (start << shift)), length)) {
            bytes += length;
            for (size_t number = start; number < end; number++) {
                struct slab *slab = slab_header(range->base, number);
                slab->is_decommitted = slab->is_zero = 1;
                if (hbitmap_has(&range->dirty, number))
                    --*dirty;
                hbitmap_remove(&range->dirty, number);
            }
        }
        start = hbitmap_next(&range->empty, end > start ? end : start + 1);
    }
    return bytes;
}

bool range_recommit(struct range *range, enum zone_kind kind, struct slab *slab) {
    size_t shift = slab_shift_of(kind);
    if (!os_commit((void *)(range->base + ((uintptr_t)slab->number << shift)),
                   (size_t)1 << shift))
        return false;
    slab->is_decommitted = 0;
    return true;
}
