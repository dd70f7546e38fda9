/* Purpose: common.h. */
#include "cache/common.h"

#include "core/options.h"
#include "slab/zone.h"

/* One look sends so much away of each doubling; one that grows the heap looks at so many slabs. */
enum { LOOK_BYTES_MAX = 8 << 20, LOOKED_AT_MAX = 32 };

/* Rows that are asked for a slot that is in memory. */
enum { ROWS_ASKED = 4 };

/* Sizes that a block may get a slot of, its own included, where its class has many. */
enum { NEAR_SIZES = 2 };

/* A slab of which so much is free is worth taking over from another row. */
enum { TAKE_OVER_PART = 4 };

#define NO_SLAB ((struct slab *)&cache_no_slab)

struct common commons[ROWS_MAX * ROW];
uint64_t common_rows;

void common_set_up(struct common *common) {
    unsigned place = (unsigned)(common - commons) % ROW;
    unsigned first = place == DOUBLINGS ? 0 : TINY_CLASSES + place * COARSE_CLASSES;
    unsigned end = place == DOUBLINGS ? TINY_CLASSES : first + COARSE_CLASSES;
    struct cache *cache = &common->cache;
    cache_clear(cache);
    cache->state = CACHE_LIVE;
    cache->is_common = true;
    cache->first_class = (uint8_t)first;
    store_release(&cache->end_class, (uint8_t)end); /* walks look */
}

struct common *common_next(struct common *before) {
    size_t index = before == NULL ? 0 : (size_t)(before - commons) + 1;
    size_t row = index / ROW;
    uint64_t rows = row < ROWS_MAX ? load_relaxed(&common_rows) >> row : 0;
    if (rows == 0)
        return NULL;
    return &commons[(rows & 1) != 0 ? index : (row + bit_lowest(rows)) * ROW];
}

/* In a handler of fork, which holds every lock, those of the row are taken as well: it will let go
 * of all that it finds then, and other threads see the row by that time. */
void common_add_row(unsigned row) {
    struct lock *registry = cache_registry_lock();
    lock_acquire(registry, RANK_REGISTRY);
    for (unsigned place = 0; place < ROW && lock_is_nested(registry); place++)
        lock_take_new(&commons[row * ROW + place].lock, RANK_COMMON);
    store_release(&common_rows, common_rows | (uint64_t)1 << row);
    lock_release(registry, RANK_REGISTRY);
}

static struct common *common_of_cache(struct cache *cache) { return (struct common *)cache; }

void common_note_empty(struct cache *cache, struct slab *slab) {
    struct common *common = common_of_cache(cache);
    slab->next = common->emptied;
    common->emptied = slab;
}

void common_leave_slow(struct common *common) {
    struct slab *emptied = common->emptied;
    bool look = common->calls % COMMON_LOOK_EVERY == 0;
    common->emptied = NULL;
    lock_release_often(&common->lock, RANK_COMMON);
    zone_release_all(emptied);
    if (look && cache_is_live(cache_self))
        cache_look(cache_self);
}

bool common_is_inside(void) {
    for (struct common *c = NULL; (c = common_next(c)) != NULL;)
        if (common_is_entered(c))
            return true;
    return false;
}

/* Somebody has entered it; not this thread, of which this may be a signal handler. */
static bool is_used(const struct common *common) {
    return load_acquire(&common->cache.end_class) != 0 && !common_is_entered(common);
}

/* --- slabs of other rows ---------------------------------------------------------------------- */

/* With both locks held. One that remote frees are pending of has to be merged first; who frees in
 * it from here on queues it on its new owner. */
static bool hand_over(struct cache *from, struct cache *to, struct slab *slab) {
    uintptr_t owner = (uintptr_t)from;
    if (slab_count_free(slab) < slab->slots / TAKE_OVER_PART ||
        !cas_seq_cst(&slab->owner, &owner, (uintptr_t)to))
        return false;
    cache_unlist(from, slab);
    cache_restart_countdown(from, slab, COUNTDOWN_NEVER);
    return true;
}

static struct slab *take_over_from(struct common *other, struct cache *cache, unsigned cls) {
    struct slab *taken = NULL;
    if (!lock_try_often(&other->lock, RANK_UNCHECKED))
        return NULL;
    for (unsigned list = LIST_PARTIAL; taken == NULL && list <= LIST_PURGED; list++) {
        struct slab *slab = cache_bin(&other->cache, cls)->lists[list];
        if (slab != NULL && hand_over(&other->cache, cache, slab))
            taken = slab;
    }
    lock_release_often(&other->lock, RANK_UNCHECKED);
    return taken;
}

/* The same sizes' in the next row, and in the first after the last. */
static struct common *next_of_doubling(const struct common *common) {
    size_t index = (size_t)(common - commons);
    uint64_t rows = load_relaxed(&common_rows);
    uint64_t later = rows & ~(((uint64_t)2 << index / ROW) - 1);
    return &commons[bit_lowest(later != 0 ? later : rows) * ROW + index % ROW];
}

/* In no order of their locks: none is waited for. */
struct slab *common_take_over(struct cache *cache, unsigned cls) {
    struct slab *slab = NULL;
    for (uint64_t rows = load_relaxed(&common_rows); slab == NULL && rows != 0; rows &= rows - 1) {
        struct common *other = &commons[bit_lowest(rows) * ROW + common_place(cls)];
        if (&other->cache != cache && is_used(other))
            slab = take_over_from(other, cache, cls);
    }
    return slab;
}

/* --- slots that are in memory ----------------------------------------------------------------- */

/* Whether the slab's next slot was used before: it is the lowest, or the last one freed. */
static bool is_warm(const struct slab *slab) {
    return slab->summary != 0 && slab->hint_slot < slab->fresh_from;
}

/* From a slab that stays on its list: its countdown has one free more to wait for. */
static bool take_listed_slot(struct cache *cache, struct slab *slab, void **pointer) {
    size_t slot;
    if (slab == NULL || slab->countdown == COUNTDOWN_NEVER || !is_warm(slab) ||
        !slab_take_hinted(slab, pointer, &slot))
        return false;
    store_relaxed(&slab->countdown_start, slab->countdown_start + 1);
    store_relaxed(&slab->countdown, slab->countdown + 1);
    if (slab->summary == 0) {
        cache_unlist(cache, slab);
        cache_restart_countdown(cache, slab, cache_relink_mark(slab));
        cache_list_as(cache, slab, SLAB_FULL);
    }
    return true;
}

static void *take_warm_of(struct cache *cache, unsigned cls) {
    struct slab *slab = cache_current(cache, cls);
    void *pointer;
    size_t slot;
    if (is_warm(slab) && slab_take_hinted(slab, &pointer, &slot))
        return pointer;
    for (unsigned list = LIST_PARTIAL; list <= LIST_SPARSE; list++) {
        slab = cache_bin(cache, cls)->lists[list];
        if (take_listed_slot(cache, slab, &pointer))
            return pointer;
    }
    return NULL;
}

/* At most: none but the current one. */
static bool has_one_slab(struct cache *cache, unsigned cls) {
    for (unsigned list = 0; list < LISTS; list++)
        if (cache_bin(cache, cls)->lists[list] != NULL)
            return false;
    return true;
}

/* A class of few blocks takes any larger slot of the doubling. One of many takes the next size
 * only: how many live of each size goes up and down, and less so of two sizes together.
 * (perf/memory flow: 1.16 x live instead of 1.18; three or five sizes save no more.) */
static void *take_warm(struct cache *cache, unsigned cls) {
    unsigned end = cache->end_class;
    if (!has_one_slab(cache, cls) && cls + NEAR_SIZES < end)
        end = cls + NEAR_SIZES;
    void *pointer = NULL;
    for (unsigned from = cls; pointer == NULL && from < end; from++)
        pointer = take_warm_of(cache, from);
    return pointer;
}

void *common_take_warm(struct common *common, unsigned cls) {
    void *pointer = take_warm(&common->cache, cls);
    struct common *other = common;
    for (unsigned i = 0; pointer == NULL && i < ROWS_ASKED; i++) {
        other = next_of_doubling(other);
        if (other == common)
            break;
        if (is_used(other) && lock_try_often(&other->lock, RANK_UNCHECKED)) {
            pointer = take_warm(&other->cache, cls);
            lock_release_often(&other->lock, RANK_UNCHECKED);
        }
    }
    return pointer;
}

/* --- slabs that are away ---------------------------------------------------------------------- */

/* Returns how many bytes of it are free. */
static size_t send_away(struct common *common, struct slab *slab) {
    cache_unlist(&common->cache, slab);
    store_relaxed(&slab->state, SLAB_AWAY);
    slab->next = common->away;
    common->away = slab;
    return slab_count_free(slab) * (size_t)slab->slot_bytes;
}

static void list_again(struct cache *cache, struct slab *slab) {
    unsigned free_slots = slab_count_free(slab);
    uint32_t live = (uint32_t)slab->slots - free_slots;
    slab->next = slab->prev = NULL;
    if (live > 0 && free_slots >= cache_sparse_mark(slab)) {
        cache_list_purged(cache, slab, live);
        return;
    }
    cache_settle(cache, slab);
    if (live > 0)
        slab->purged_at = slab->countdown;
}

static void list_all_again(struct common *common) {
    struct slab *slab = common->away;
    common->away = NULL;
    while (slab != NULL) {
        struct slab *next = slab->next;
        list_again(&common->cache, slab);
        slab = next;
    }
}

/* Leaves; if this thread may have sent slabs away, gives their pages back and lists them again. */
static size_t leave_and_purge(struct common *common, bool mine) {
    bool sent = mine && common->away != NULL;
    size_t bytes = 0;
    common_leave(common);
    if (!sent)
        return 0;
    for (struct slab *slab = common->away; slab != NULL; slab = slab->next)
        bytes += slab_purge_slots(slab, slab->bits);
    common_enter(common);
    list_all_again(common);
    common_leave(common);
    return bytes;
}

/* --- which ones go ---------------------------------------------------------------------------- */

/* A current slab in which nothing has happened since the last look, and little lives. */
static void retire_if_idle(struct cache *cache, unsigned cls) {
    struct slab *slab = cache_current(cache, cls);
    unsigned free_slots = slab == NO_SLAB ? 0 : slab_count_free(slab);
    struct bin *bin = cache_bin(cache, cls);
    uint32_t seen = (uint32_t)bin->frees + slab_frees_since_set(slab) + free_slots;
    if (slab != NO_SLAB && seen == bin->seen &&
        free_slots >= cache_sparse_mark(slab))
        cache_retire_current(cache, cls);
    bin->seen = seen;
}

static bool look_at_class(struct common *common, unsigned cls, size_t *bytes) {
    struct cache *cache = &common->cache;
    struct slab *next;
    retire_if_idle(cache, cls);
    if (option_get(OPTION_huge_pages)) /* a page or two of them are not worth a split */
        return true;
    for (struct slab *slab = cache_bin(cache, cls)->lists[LIST_SPARSE]; slab != NULL; slab = next) {
        next = slab->next;
        if ((uint8_t)(cache->looks - slab->sparse_at) >= 2)
            *bytes += send_away(common, slab);
        if (*bytes >= LOOK_BYTES_MAX)
            return false;
    }
    return true;
}

static void look_at(struct common *common, uint64_t now, uint64_t delay) {
    struct cache *cache = common_enter(common);
    bool mine = common->away == NULL && now >= cache->next_look_ms;
    if (load_relaxed(&cache->remote_queue) != NULL)
        cache_drain(cache);
    bool done = mine;
    size_t bytes = 0;
    for (unsigned cls = cache->first_class; done && cls < cache->end_class; cls++)
        done = look_at_class(common, cls, &bytes);
    if (done) {
        cache->looks++;
        store_relaxed(&cache->next_look_ms, now + delay / LOOK_DELAY_PART);
    }
    leave_and_purge(common, mine);
}

void common_look(void) {
    uint64_t delay = option_get(OPTION_purge_delay);
    if (delay == OPTION_UNLIMITED || common_is_inside())
        return;
    uint64_t now = os_clock_ms();
    for (struct common *c = NULL; (c = common_next(c)) != NULL;)
        if (is_used(c) && now >= load_relaxed(&c->cache.next_look_ms))
            look_at(c, now, delay);
}

static size_t purge_sparse_of(struct common *common, unsigned needed, size_t bytes) {
    struct cache *cache = common_enter(common);
    bool mine = common->away == NULL;
    unsigned looked_at = 0;
    size_t sent = 0;
    for (unsigned cls = cache->first_class; mine && cls < cache->end_class; cls++) {
        struct slab *slab;
        while (cls != needed && sent < bytes && looked_at++ < LOOKED_AT_MAX &&
               (slab = cache_bin(cache, cls)->lists[LIST_SPARSE]) != NULL)
            sent += send_away(common, slab);
    }
    return leave_and_purge(common, mine);
}

size_t common_purge_sparse(unsigned needed, size_t bytes) {
    size_t purged = 0;
    if (common_is_inside())
        return 0;
    for (struct common *c = NULL; purged < bytes && (c = common_next(c)) != NULL;)
        if (is_used(c))
            purged += purge_sparse_of(c, needed, bytes - purged);
    return purged;
}

static void send_class_away(struct common *common, unsigned cls) {
    struct cache *cache = &common->cache;
    if (cache_current(cache, cls)->purged_at != cache_current(cache, cls)->countdown)
        cache_retire_current(cache, cls);
    for (unsigned list = 0; list < LISTS; list++) {
        struct slab *next;
        for (struct slab *slab = cache_bin(cache, cls)->lists[list]; slab != NULL; slab = next) {
            next = slab->next;
            if (slab->purged_at != slab->countdown)
                send_away(common, slab);
        }
    }
}

size_t common_purge_pages(void) {
    size_t bytes = 0;
    if (common_is_inside())
        return 0;
    for (struct common *common = NULL; (common = common_next(common)) != NULL;) {
        if (!is_used(common))
            continue;
        struct cache *cache = common_enter(common);
        bool mine = common->away == NULL;
        cache_drain(cache);
        for (unsigned cls = cache->first_class; mine && cls < cache->end_class; cls++)
            send_class_away(common, cls);
        bytes += leave_and_purge(common, mine);
    }
    return bytes;
}

void common_give_up_empty(void) {
    if (common_is_inside())
        return;
    for (struct common *common = NULL; (common = common_next(common)) != NULL;) {
        if (!is_used(common))
            continue;
        struct cache *cache = common_enter(common);
        for (unsigned cls = cache->first_class; cls < cache->end_class; cls++) {
            const struct slab *slab = cache_current(cache, cls);
            if (slab != NO_SLAB && slab_count_free(slab) == slab->slots)
                cache_retire_current(cache, cls);
        }
        common_leave(common);
    }
}

/* --- fork ------------------------------------------------------------------------------------- */

void common_after_fork(void) {
    for (struct common *c = NULL; (c = common_next(c)) != NULL;)
        list_all_again(c);
}

void common_leave_all(void) {
    for (struct common *c = NULL; (c = common_next(c)) != NULL;) {
        if (is_used(c)) {
            common_enter(c);
            common_leave(c);
        }
    }
}
