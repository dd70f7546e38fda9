/* Purpose: memory that other threads have freed in slabs of a thread that does not call any more
 *          goes back to the system: it has yet to merge those frees, and may sleep for ever (field
 *          cases 21, F1).
 * Owns:    the slots that are being purged; when that was last done.
 * Locking: none while memory is given back; one thread at a time does it, the others go on.
 *
 * A slot that is free in remote_bits is its owner's only when it has merged it. So any thread may
 * take such slots out of remote_bits, by the same kind of locked instruction as a merge: from then
 * on they are free for nobody, as if a program held them, and the slab can neither be empty nor
 * change its class. Their whole pages are purged, and they are freed again, as a remote free does
 * it.
 *
 * A double free of a slot that is lent is found when it is given back, or by the merge; in a child
 * of a fork, what was lent is given back. At most one word of slots is lost to the child, if the
 * fork comes between the two instructions that take and note it, or strike it off and free it.
 *
 * remote.pml has it, as `lend`. */
#include "cache/cache.h"

#include "core/options.h"
#include "slab/zone.h"

/* A thread that frees gives back so much at a time, and looks no more often. */
enum { LOOK_BYTES_MAX = 32 << 20, LOOK_MS_MIN = 100 };

struct lending cache_lending;

static bool enter(void) {
    uint32_t expected = 0;
    return cas_acquire(&cache_lending.is_busy, &expected, 1);
}

static void leave(void) { store_release(&cache_lending.is_busy, 0); }

/* Is there more than last time, and might it fill a page? A look, no more: others go on freeing and
 * merging. */
static bool is_worth_it(const struct slab *slab) {
    unsigned slots = 0;
    for (unsigned w = 0; w < SLAB_WORDS; w++)
        slots += bit_count(load_relaxed(&slab_remote_bits(slab)[w]));
    return slots != load_relaxed(&slab->lent) &&
           slots * load_relaxed(&slab->slot_bytes) >= os_page_bytes;
}

/* How many slots. */
static unsigned take(struct slab *slab) {
    unsigned slots = 0;
    store_relaxed(&cache_lending.slab, slab);
    for (unsigned w = 0; w < SLAB_WORDS; w++) {
        if (load_relaxed(&slab_remote_bits(slab)[w]) == 0)
            continue;
        uint64_t bits = exchange_seq_cst(&zone_remote_bits(slab)[w], 0);
        store_relaxed(&cache_lending.taken[w], bits);
        slots += bit_count(bits);
    }
    return slots;
}

/* As cache_free_remote does for one. A slot that is free again already was freed twice. What is
 * given back is struck off first: it may be live again by the time that a fork copies the note. */
static void put_back(struct cache *self, struct slab *slab) {
    for (unsigned w = 0; w < SLAB_WORDS; w++) {
        uint64_t bits = cache_lending.taken[w];
        if (bits == 0)
            continue;
        store_relaxed(&cache_lending.taken[w], 0);
        uint64_t twice = fetch_or_seq_cst(&zone_remote_bits(slab)[w], bits) & bits;
        if (UNLIKELY(twice != 0)) {
            self->late_slab = slab;
            self->late_slot = w * 64 + bit_lowest(twice);
        }
    }
    store_relaxed(&cache_lending.slab, NULL);
    cache_announce(self, slab);
}

static size_t purge_slab(struct cache *self, struct slab *slab) {
    size_t bytes = 0;
    unsigned slots = take(slab);
    if (slots > 0) { /* now it stays what it is */
        bytes = slab_purge_slots(slab, cache_lending.taken);
        store_relaxed(&slab->lent, (uint16_t)slots);
    }
    put_back(self, slab);
    return bytes;
}

/* Whose thread has not merged what was freed in its slabs since the last look. */
static bool is_asleep(struct cache *owner) {
    return load_relaxed(&owner->drains) == load_relaxed(&owner->drains_seen);
}

struct round {
    struct cache *self;
    bool all;
    size_t bytes;
};

static bool visit_slab(struct slab *slab, void *context) {
    struct round *round = context;
    uintptr_t owner = load_relaxed(&slab->owner);
    uint8_t state = load_relaxed(&slab->state);
    if ((owner & OWNER_PENDING) == 0 || owner_cache(owner) == round->self ||
        state == SLAB_EMPTY || state == SLAB_CLAIMED)
        return true;
    if ((round->all || is_asleep(owner_cache(owner))) && is_worth_it(slab))
        round->bytes += purge_slab(round->self, slab);
    return round->all || round->bytes < LOOK_BYTES_MAX;
}

static void note_drains(struct cache *cache, void *unused) {
    (void)unused;
    store_relaxed(&cache->drains_seen, load_relaxed(&cache->drains));
}

size_t cache_purge_lent(struct cache *self, bool all) {
    struct round round = {self, all, 0};
    if (!enter())
        return 0;
    zone_walk(visit_slab, &round);
    cache_walk(note_drains, NULL);
    leave();
    return round.bytes;
}

void cache_look_for_sleepers(struct cache *self) {
    uint64_t now = os_clock_ms();
    uint64_t next = load_relaxed(&cache_lending.next_ms);
    uint64_t delay = option_get(OPTION_purge_delay);
    if (now < next || delay > UINT64_MAX - now)
        return;
    if (delay < LOOK_MS_MIN)
        delay = LOOK_MS_MIN;
    if (cas_acquire(&cache_lending.next_ms, &next, now + delay) && next != 0)
        cache_purge_lent(self, false);
}

bool cache_is_lending(void) { return load_relaxed(&cache_lending.is_busy) != 0; }

void cache_return_lent(struct cache *self) {
    struct slab *slab = cache_lending.slab;
    if (slab != NULL)
        put_back(self, slab);
    leave();
}
