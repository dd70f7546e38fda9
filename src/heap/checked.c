/* Purpose: malloc and its kin while checks are on: memory comes from the heap as it is without
 *          them, and what becomes of it is check/'s to say (check/check.h).
 * Owns:    nothing.
 * Locking: none of its own; each step takes what it needs. */
#include "heap/checked.h"

#include <string.h>

#include "check/log.h"
#include "heap/heap.h"
#include "large/large.h"

/* A block in a slab stays where it is while it fills this part of its slot. */
enum { KEEP_PART = 2 };

/* A guard before a LARGE block is as long as the block is to be aligned, but not longer. */
enum { FRONT_MAX_BYTES = 1 << 20 };

/* Blocks that leave the quarantine go back to the heap. */
static void evict(enum call call, bool all) {
    void *evicted;
    while ((evicted = check_evict(call, all)) != NULL)
        heap_raw_free(evicted);
}

AT_START void heap_end_checks(void) {
    struct check_finding finding;
    if (!load_relaxed(&check_active) || !heap_is_set_up())
        return;
    evict(CALL_EXIT, true);
    check_log_finish();
    if (heap_verify_blocks(&finding))
        return;
    finding.call = CALL_EXIT;
    check_note(&finding);
}

/* What the heap is asked for: with room for the canary and, LARGE, for the guard page behind. */
static size_t with_tail(size_t bytes) {
    bytes += check_policy.tail_bytes; /* below SIZE_MAX: both are small enough */
    if (check_policy.guard && bytes > SMALL_MAX_BYTES)
        bytes += os_page_bytes;
    return bytes;
}

/* And for the one before, which leaves the block as aligned as the heap makes it. */
static size_t front_bytes(size_t raw_bytes, size_t alignment) {
    if (!check_policy.guard || raw_bytes <= SMALL_MAX_BYTES || alignment > FRONT_MAX_BYTES)
        return 0;
    return alignment > os_page_bytes ? alignment : os_page_bytes;
}

static void *raw_malloc(size_t bytes, size_t alignment, bool *is_zero) {
    return check_policy.random
               ? heap_raw_malloc_random(bytes, alignment, check_random(), is_zero)
               : heap_raw_malloc(bytes, alignment, is_zero);
}

static void *make(size_t bytes, size_t asked, enum call call) {
    bool is_zero = false;
    size_t alignment = asked > MIN_ALIGNMENT ? asked : MIN_ALIGNMENT;
    size_t raw_bytes = with_tail(bytes);
    size_t front = front_bytes(raw_bytes, alignment);
    heap_join_checks();
    if (UNLIKELY(bytes == 0) && check_policy.guard && alignment <= MIN_ALIGNMENT) {
        void *empty = check_take_empty(call);
        if (empty != NULL)
            return empty;
    }
    void *pointer = raw_malloc(front + raw_bytes, alignment, &is_zero);
    if (UNLIKELY(pointer == NULL)) {
        evict(call, true);
        pointer = raw_malloc(front + raw_bytes, alignment, &is_zero);
    }
    if (UNLIKELY(pointer == NULL))
        return NULL;
    cpu_prefetch_to_write(pointer); /* is about to be verified, or used, and its record first */
    if (check_policy.guard && raw_bytes > SMALL_MAX_BYTES)
        pointer = large_guard(pointer, front);
    check_born(pointer, bytes, asked, call, is_zero);
    return pointer;
}

void *checked_malloc(size_t bytes, size_t alignment, enum call call) {
    void *pointer = make(bytes, alignment, call);
    if (log_is_on())
        check_log_made(pointer, bytes, call);
    return pointer;
}

enum fault checked_free(void *pointer, enum call call, struct told told) {
    enum check_outcome outcome;
    enum call made_by;
    enum fault fault;
    heap_join_checks();
    if (UNLIKELY(check_is_empty((uintptr_t)pointer, &made_by, &fault))) {
        if (log_is_on() && fault == FAULT_NONE)
            check_log_freed((uintptr_t)pointer, 0, call);
        return check_give_empty(pointer, call, told);
    }
    fault = check_release(pointer, call, told, &outcome);
    if (fault != FAULT_NONE)
        return fault;
    if (outcome == CHECK_GIVE)
        return heap_raw_free(pointer);
    evict(call, false);
    return FAULT_NONE;
}

size_t checked_usable(const void *pointer, enum fault *fault) {
    bool known;
    enum call made_by;
    if (UNLIKELY(check_is_empty((uintptr_t)pointer, &made_by, fault)))
        return 0;
    size_t bytes = check_size(pointer, &known, fault);
    return known || *fault != FAULT_NONE ? bytes : heap_raw_usable(pointer, fault);
}

static void *resize_large(void *pointer, size_t raw_bytes) {
    if (!large_open(pointer))
        return NULL;
    void *resized = large_resize(pointer, raw_bytes);
    if (check_policy.guard)
        large_guard(resized != NULL ? resized : pointer, 0);
    return resized;
}

/* Resizes a known block without moving its contents by hand; NULL: that can't be. */
static void *resize_known(void *pointer, size_t old_bytes, size_t bytes, bool must_stay,
                          enum fault *fault) {
    size_t room = heap_raw_usable(pointer, fault);
    size_t raw_bytes = with_tail(bytes);
    bool stays = raw_bytes <= room && room <= SMALL_MAX_BYTES &&
                 (raw_bytes >= room / KEEP_PART || must_stay);
    bool is_large = large_usable(pointer) != 0 && raw_bytes > SMALL_MAX_BYTES;
    if (*fault != FAULT_NONE || !(stays || is_large || (must_stay && raw_bytes <= room)))
        return NULL;
    if (!check_claim(pointer, CALL_REALLOC, &old_bytes, fault))
        return NULL;
    void *resized = is_large ? resize_large(pointer, raw_bytes) : pointer;
    if (resized != NULL)
        check_resized(resized, old_bytes, bytes, CALL_REALLOC);
    else
        check_resized(pointer, old_bytes, old_bytes, CALL_NONE);
    return resized;
}

void *checked_realloc(void *pointer, size_t bytes, enum fault *fault) {
    bool known = false;
    enum call made_by;
    size_t old_bytes = 0;
    heap_join_checks();
    bool is_empty = check_is_empty((uintptr_t)pointer, &made_by, fault);
    if (LIKELY(!is_empty))
        old_bytes = check_size(pointer, &known, fault);
    if (*fault == FAULT_NONE && !known && !is_empty)
        old_bytes = heap_raw_usable(pointer, fault);
    if (*fault != FAULT_NONE)
        return NULL;
    struct log_block from = check_log_before_realloc(pointer, old_bytes);
    void *resized = known ? resize_known(pointer, old_bytes, bytes, false, fault) : NULL;
    if (*fault != FAULT_NONE)
        return resized;
    void *copy = resized == NULL ? make(bytes, 0, CALL_REALLOC) : NULL;
    if (resized == NULL && copy == NULL && bytes <= old_bytes) /* what shrinks can always stay */
        resized = known ? resize_known(pointer, old_bytes, bytes, true, fault) : pointer;
    if (log_is_on() && *fault == FAULT_NONE)
        check_log_realloc(&from, copy != NULL ? copy : resized, bytes);
    if (copy == NULL)
        return resized;
    memcpy(copy, pointer, old_bytes < bytes ? old_bytes : bytes);
    *fault = checked_free(pointer, CALL_REALLOC, NOTHING_TOLD);
    return copy;
}
