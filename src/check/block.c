/* Purpose: the life of a block under checks; see check.h. */
#include <string.h>

#include "check/check.h"
#include "check/fill.h"
#include "check/history.h"
#include "check/locks.h"
#include "check/log.h"
#include "check/quarantine.h"
#include "check/record.h"
#include "check/trace.h"
#include "large/large.h"

static struct check_finding describe(enum fault fault, enum call call, uintptr_t start,
                                     const struct record *record, const struct damage *damage,
                                     struct told told) {
    struct check_finding finding = {
        .fault = fault, .call = call, .made_by = (enum call)record->call,
        .thread = os_thread_number(), .start = start, .bytes = record->bytes, .told = told,
        .alignment = record->alignment > 0 ? (size_t)1 << (record->alignment - 1) : 0,
    };
    if (damage != NULL) {
        finding.offset = damage->offset;
        finding.count = damage->count;
        finding.byte = damage->byte;
    }
    return finding;
}

static COLD void find(enum fault fault, enum call call, uintptr_t start,
                      const struct record *record, const struct damage *damage,
                      struct told told) {
    struct check_finding finding = describe(fault, call, start, record, damage, told);
    check_note(&finding);
}

/* --- birth ------------------------------------------------------------------------------------ */

void check_born(void *pointer, size_t bytes, size_t alignment, enum call call, bool is_zero) {
    uintptr_t start = (uintptr_t)pointer;
    struct moment moment;
    struct damage damage;
    struct record before = {0};
    history_prepare(&moment);
    struct lock *lock = check_lock_block(start);
    struct place place = record_find(start, true);
    if (place.record != NULL) {
        before = *place.record;
        *place.record = (struct record){0}; /* not known: it has no canary yet */
        history_add(place.events, &moment, call, false, bytes);
    }
    check_unlock_block(lock);
    if ((before.flags & RECORD_FILLED) &&
        !fill_verify(start, place.room, check_policy.freed_byte, &damage)) {
        find(FAULT_WRITE_AFTER_FREE, call, start, &before, &damage, NOTHING_TOLD);
        is_zero = false;
    }
    if (call == CALL_CALLOC) {
        if (!is_zero)
            memset(pointer, 0, bytes);
    } else if (check_policy.fill_new) {
        memset(pointer, FILL_NEW, bytes);
    }
    if (place.record == NULL)
        return;
    if (check_policy.canary)
        canary_write(start, bytes, place.room);
    record_store(place.record, (struct record){bytes, call, record_alignment(alignment),
                                               RECORD_LIVE});
}

/* --- verification when it is given back ------------------------------------------------------- */

static void verify_canary(uintptr_t start, const struct record *record, size_t room,
                          enum call call) {
    struct damage damage;
    if (check_policy.canary && !canary_verify(start, record->bytes, room, &damage))
        find(FAULT_OVERFLOW, call, start, record, &damage, NOTHING_TOLD);
}

/* A delete that takes no alignment says that none was asked for; a free says nothing.
 * Source: C++20 [new.delete], C23 7.24.3.3 and 7.24.3.5. */
static bool is_aligned_as_told(const struct record *record, enum call call, struct told told) {
    if (told.alignment == 0 && call_facts[call].family == FAMILY_MALLOC)
        return true;
    return (told.alignment & (told.alignment - 1)) == 0 &&
           record_alignment(told.alignment) == record->alignment;
}

static void verify_kind(uintptr_t start, const struct record *record, enum call call,
                        struct told told) {
    if (!check_policy.kinds)
        return;
    if (call_facts[record->call].family != call_facts[call].family) {
        if (check_is_mismatch(record->call, call))
            find(FAULT_MISMATCH, call, start, record, NULL, told);
        return;
    }
    if (told.bytes != SIZE_NOT_TOLD && told.bytes != record->bytes)
        find(FAULT_WRONG_SIZE, call, start, record, NULL, told);
    else if (!is_aligned_as_told(record, call, told))
        find(FAULT_WRONG_ALIGNMENT, call, start, record, NULL, told);
}

/* --- death ------------------------------------------------------------------------------------ */

static bool is_to_be_kept(const struct place *place) {
    return place->room <= check_policy.quarantine_bytes;
}

/* Rather than filled, and then neither written nor read. */
static bool is_to_be_sealed(const struct place *place) {
    return check_policy.guard && place->is_large && is_to_be_kept(place);
}

/* Small blocks are filled whole, so that they can be verified whole. */
static void fill(uintptr_t start, const struct place *place, const struct record *record) {
    if (is_to_be_sealed(place))
        large_seal((void *)start);
    else if (check_policy.fill_freed)
        memset((void *)start, check_policy.freed_byte,
               place->is_large && !is_to_be_kept(place) ? record->bytes : place->room);
}

static void drop_large(uintptr_t start) {
    struct lock *lock = check_lock_block(start);
    record_drop_large(start);
    check_unlock_block(lock);
}

static enum check_outcome put_away(uintptr_t start, const struct place *place) {
    if (is_to_be_kept(place)) {
        if (quarantine_put((struct kept){start, place->record, place->room, place->is_large}))
            return CHECK_KEEP;
    }
    if (place->is_large && !large_open((void *)start))
        return CHECK_KEEP; /* for ever: the system refuses to make it accessible */
    if (place->is_large)
        drop_large(start);
    return CHECK_GIVE;
}

enum fault check_release(void *pointer, enum call call, struct told told,
                         enum check_outcome *outcome) {
    uintptr_t start = (uintptr_t)pointer;
    struct moment moment;
    struct place place;
    history_prepare(&moment);
    *outcome = CHECK_GIVE;
    struct lock *lock = check_lock_block(start);
    enum fault fault = record_examine(start, &place);
    if (fault != FAULT_NONE || place.record == NULL || place.record->flags == 0) {
        check_unlock_block(lock);
        if (log_is_on() && fault == FAULT_NONE)
            check_log_freed(start, place.room, call);
        return fault;
    }
    struct record record = *place.record;
    bool filled = check_policy.fill_freed && !is_to_be_sealed(&place);
    place.record->flags = RECORD_DEAD | (filled ? RECORD_FILLED : 0);
    history_add(place.events, &moment, call, true, record.bytes);
    check_unlock_block(lock);
    if (log_is_on())
        check_log_freed(start, record.bytes, call);
    verify_canary(start, &record, place.room, call);
    verify_kind(start, &record, call, told);
    fill(start, &place, &record);
    *outcome = put_away(start, &place);
    return FAULT_NONE;
}

/* The next that has to leave; its record as it is. */
static struct kept take_evicted(bool all, struct record *record) {
    struct kept block = quarantine_take(all);
    *record = block.record != NULL ? *block.record : (struct record){0};
    return block;
}

void *check_evict(enum call call, bool all) {
    struct damage damage;
    struct record record;
    struct kept block;
    do
        block = take_evicted(all, &record);
    while (block.is_large && !large_open((void *)block.start)); /* then it is kept for ever */
    if (block.start == 0)
        return NULL;
    if ((record.flags & RECORD_FILLED) &&
        !fill_verify(block.start, block.room, check_policy.freed_byte, &damage)) {
        find(FAULT_WRITE_AFTER_FREE, call, block.start, &record, &damage, NOTHING_TOLD);
        /* Told once: it is not to be found again when the slot is used. */
        memset((void *)(block.start + damage.offset), check_policy.freed_byte, damage.count);
    }
    if (block.is_large)
        drop_large(block.start);
    return (void *)block.start;
}

/* --- sizes ------------------------------------------------------------------------------------ */

size_t check_size(const void *pointer, bool *known, enum fault *fault) {
    struct place place;
    size_t bytes = 0;
    struct lock *lock = check_lock_block((uintptr_t)pointer);
    *fault = record_examine((uintptr_t)pointer, &place);
    *known = *fault == FAULT_NONE && place.record != NULL && place.record->flags != 0;
    if (*known)
        bytes = place.record->bytes;
    check_unlock_block(lock);
    return bytes;
}

bool check_claim(void *pointer, enum call call, size_t *bytes, enum fault *fault) {
    uintptr_t start = (uintptr_t)pointer;
    struct place place;
    struct record record = {0};
    struct lock *lock = check_lock_block(start);
    *fault = record_examine(start, &place);
    bool known = *fault == FAULT_NONE && place.record != NULL && place.record->flags != 0;
    if (known) {
        record = *place.record;
        place.record->flags = RECORD_DEAD;
    }
    check_unlock_block(lock);
    if (!known)
        return false;
    *bytes = record.bytes;
    verify_canary(start, &record, place.room, call);
    verify_kind(start, &record, call, NOTHING_TOLD);
    return true;
}

void check_resized(void *pointer, size_t old_bytes, size_t bytes, enum call call) {
    uintptr_t start = (uintptr_t)pointer;
    struct moment moment;
    history_prepare(&moment);
    struct lock *lock = check_lock_block(start);
    struct place place = record_find(start, true);
    if (place.record != NULL && call != CALL_NONE)
        history_add(place.events, &moment, call, false, bytes);
    check_unlock_block(lock);
    if (check_policy.fill_new && bytes > old_bytes)
        memset((void *)(start + old_bytes), FILL_NEW, bytes - old_bytes);
    if (place.record == NULL)
        return;
    if (check_policy.canary)
        canary_write(start, bytes, place.room);
    struct record record = {bytes, call, 0, RECORD_LIVE};
    if (call == CALL_NONE) {
        record.call = place.record->call;
        record.alignment = place.record->alignment;
    }
    record_store(place.record, record);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void note_first(struct check_finding *first, enum fault fault, uintptr_t start,
                       const struct record *record, const struct damage *damage) {
    if (first->fault == FAULT_NONE)
        *first = describe(fault, CALL_CHECK_HEAP, start, record, damage, NOTHING_TOLD);
}

static void visit_live(uintptr_t start, const struct place *place, void *context) {
    struct record record = *place->record;
    struct damage damage;
    if (check_policy.canary && !canary_verify(start, record.bytes, place->room, &damage))
        note_first(context, FAULT_OVERFLOW, start, &record, &damage);
}

/* What is in quarantine was filled before it came there. */
static bool visit_kept(uintptr_t start, void *context) {
    struct place place = record_find(start, false);
    struct damage damage;
    if (place.record != NULL && (place.record->flags & RECORD_FILLED) &&
        !fill_verify(start, place.room, check_policy.freed_byte, &damage))
        note_first(context, FAULT_WRITE_AFTER_FREE, start, place.record, &damage);
    return true;
}

bool check_verify_blocks(struct check_finding *finding) {
    *finding = (struct check_finding){.fault = FAULT_NONE};
    if (!load_relaxed(&check_active))
        return true;
    record_walk(visit_live, finding);
    quarantine_walk(visit_kept, finding);
    return finding->fault == FAULT_NONE;
}
