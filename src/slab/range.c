/* Purpose: range.h. */
#include "slab/range.h"

#include "core/account.h"
#include "core/options.h"

enum { RANGE_LARGE_BYTES = 64 << 20, GONE_STEP_BYTES = 16 << 10 };

static size_t headers_bytes(size_t slabs) { return slabs * sizeof(struct slab); }
static size_t remote_bytes(size_t slabs) { return slabs * SLAB_REMOTE_BYTES; }

static size_t layout_bytes(size_t slabs) {
    return slabs + os_page_bytes + 2 * hbitmap_bytes(slabs) + CACHE_LINE + headers_bytes(slabs) +
           os_page_bytes + remote_bytes(slabs);
}

/* Where everything lies in `bytes` of reserved memory; false if nothing is left for slabs. */
static bool lay_out(struct range *range, size_t shift) {
    size_t slab_bytes = (size_t)1 << shift;
    size_t count = (range->mapped_bytes >> shift) - 1; /* at least one's room goes to the tables */
    size_t tables = round_up(layout_bytes(count), os_page_bytes);
    uintptr_t start = range_tables(range);
    uintptr_t end = (uintptr_t)range->mapping + range->mapped_bytes;
    /* A small range has no address to spare for what huge pages need. */
    size_t border = range->mapped_bytes < RANGE_LARGE_BYTES ? slab_bytes : HUGE_PAGE_BYTES;
    range->base = round_up(start + tables + os_page_bytes, border);
    if (range->base + slab_bytes > end)
        return false;
    range->count = (uint32_t)((end - range->base) >> shift);
    range->span = (size_t)range->count << shift;
    range->bitmaps = round_up(start + count, os_page_bytes);
    range->headers = round_up(range->bitmaps + 2 * hbitmap_bytes(count), CACHE_LINE);
    range->remote = round_up(range->headers + headers_bytes(count), os_page_bytes);
    hbitmap_init(&range->empty, (void *)range->bitmaps, count);
    hbitmap_init(&range->dirty, (char *)range->bitmaps + hbitmap_bytes(count), count);
    return true;
}

/* How much more of `gone` is made writable at once: what will do for a GiB of slabs. */
static size_t gone_step(const struct range *range) {
    size_t left = range->bitmaps - range->gone_writable - range_tables(range);
    size_t step = round_up(GONE_STEP_BYTES, os_page_bytes);
    return left < step ? left : step;
}

/* The bitmaps, which are small and touched sparsely, are made writable whole; of `gone`, in front
 * of them, a step; of the headers, only what shares their last page. */
static bool prepare_bitmaps(struct range *range, enum zone_kind kind) {
    range->gone_writable = kind == ZONE_TINY ? gone_step(range) : 0;
    uintptr_t start = range->bitmaps - range->gone_writable;
    size_t bytes = round_up(range->headers - start, os_page_bytes);
    range->headers_writable = start + bytes - range->headers;
    return os_commit((void *)start, bytes);
}

/* `gone` grows towards lower addresses: so it is one mapping with the bitmaps, and what lies in
 * front of it one with the guard. */
static bool extend_gone(struct range *range, size_t slabs) {
    if (slabs <= range->gone_writable)
        return true;
    size_t step = gone_step(range);
    if (!os_commit((void *)(range->bitmaps - range->gone_writable - step), step))
        return false;
    store_relaxed(&range->gone_writable, range->gone_writable + step);
    return true;
}

AT_START bool range_reserve(struct range *range, enum zone_kind kind, size_t bytes) {
    size_t shift = slab_shift_of(kind);
    *range = (struct range){0};
    range->mapped_bytes = bytes + ((size_t)1 << shift); /* slab 0 is moved up to a border */
    range->huge_from = UINT32_MAX;
    range->mapping = os_reserve(range->mapped_bytes);
    if (range->mapping == NULL)
        return false;
    os_advise_huge(range->mapping, range->mapped_bytes, false);
    if (lay_out(range, shift) && prepare_bitmaps(range, kind))
        return true;
    os_unmap(range->mapping, range->mapped_bytes);
    return false;
}

/* Makes the first `needed` bytes of a table writable, of which `*writable` are, and which ends
 * before `end`. */
static bool extend_table(uintptr_t table, uintptr_t end, size_t *writable, size_t needed) {
    if (needed <= *writable)
        return true;
    size_t step = round_up(needed - *writable, COMMIT_METADATA_BYTES);
    size_t left = end - table - *writable;
    if (step > left)
        step = left;
    if (!os_commit((void *)(table + *writable), step)) {
        step = round_up(needed - *writable, os_page_bytes); /* as little as will do */
        if (step > left || !os_commit((void *)(table + *writable), step))
            return false;
    }
    store_relaxed(writable, *writable + step);
    return true;
}

/* Makes all that `slabs` slabs have in tables writable. */
static bool extend_tables(struct range *range, enum zone_kind kind, size_t slabs) {
    return extend_table(range->headers, range->remote, &range->headers_writable,
                        headers_bytes(slabs)) &&
           extend_table(range->remote, range_tables_end(range), &range->remote_writable,
                        remote_bytes(slabs)) &&
           (kind != ZONE_TINY || extend_gone(range, slabs));
}

/* What has just become writable, if the heap is large enough. It lies on borders of huge pages, for
 * it is made so in steps of whole ones. */
static void ask_for_huge_pages(struct range *range, size_t shift, uintptr_t from, size_t step) {
    if (!option_get(OPTION_huge_pages) || range->mapped_bytes < RANGE_LARGE_BYTES ||
        from - range->base < HUGE_ZONE_FROM_BYTES)
        return;
    if (range->huge_from == UINT32_MAX)
        range->huge_from = (uint32_t)((from - range->base) >> shift);
    os_advise_huge((void *)from, step, true);
}

bool range_extend(struct range *range, enum zone_kind kind) {
    size_t shift = slab_shift_of(kind);
    if (range->fresh < range->writable)
        return true;
    size_t used = (size_t)range->writable << shift;
    size_t step = round_up(used / 8, COMMIT_MIN_BYTES);
    if (step < COMMIT_MIN_BYTES)
        step = COMMIT_MIN_BYTES;
    if (step > COMMIT_MAX_BYTES)
        step = COMMIT_MAX_BYTES;
    size_t left = (size_t)(range->count - range->writable) << shift;
    if (step > left)
        step = left;
    if (step == 0 || !extend_tables(range, kind, range->writable + (step >> shift)))
        return false;
    void *from = (void *)(range->base + ((uintptr_t)range->writable << shift));
    if (!os_commit(from, step)) {
        step = (size_t)1 << shift; /* as little as will do */
        if (!os_commit(from, step))
            return false;
    }
    ask_for_huge_pages(range, shift, (uintptr_t)from, step);
    store_release(&range->writable, range->writable + (uint32_t)(step >> shift));
    return true;
}

static bool is_committed_empty(const struct range *range, size_t number) {
    if (number >= range->fresh || !hbitmap_has(&range->empty, number))
        return false;
    unsigned gone = range_gone(range, number);
    return gone != 0 ? gone < GONE_DECOMMITTED : !range_slab(range, number)->is_decommitted;
}

/* A header that was given back stays so. */
static void note_decommitted(const struct range *range, size_t number) {
    unsigned gone = range_gone(range, number);
    if (gone != 0)
        range_set_gone(range, number, gone | GONE_DECOMMITTED);
    else
        range_slab(range, number)->is_decommitted = range_slab(range, number)->is_zero = 1;
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
            os_advise_huge((void *)(range->base + (start << shift)), length, false);
            for (size_t number = start; number < end; number++) {
                note_decommitted(range, number);
                if (hbitmap_has(&range->dirty, number)) {
                    store_relaxed(dirty, *dirty - 1);
                    account_give((size_t)1 << shift);
                }
                hbitmap_remove(&range->dirty, number);
            }
        }
        start = hbitmap_next(&range->empty, end > start ? end : start + 1);
    }
    return bytes;
}

bool range_recommit(struct range *range, enum zone_kind kind, struct slab *slab) {
    size_t shift = slab_shift_of(kind);
    if (!os_commit((void *)(range->base + ((uintptr_t)slab->number << shift)), (size_t)1 << shift))
        return false;
    slab->is_decommitted = 0;
    return true;
}
