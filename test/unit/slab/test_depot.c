/* Protects: the depots: slabs with free slots are shelved and found again, full ones are orphans,
 * and who owns a slab at each step. */
#include "../expect.h"

#include <pthread.h>
#include <string.h>

#include "slab/depot.h"

enum { CLS = 7, ME = 64, YOU = 128 };

static struct slab slabs[4];
static uint64_t remote_bits[4][SLAB_WORDS];

static struct slab *make(unsigned index, size_t live) {
    struct slab *slab = &slabs[index];
    memset(slab, 0, sizeof *slab);
    slab->state = SLAB_CLAIMED;
    slab->owner = ME;
    slab->remote_bits = remote_bits[index];
    slab_format(slab, (uintptr_t)1 << 40, CLS, false);
    for (size_t i = 0; i < live; i++)
        slab_take(slab, &(size_t){0});
    return slab;
}

static void put(struct slab *slab) {
    struct depot *depot = &depots[slab->cls];
    lock_acquire(&depot->lock, RANK_CLASS);
    depot_put_locked(depot, slab);
    lock_release(&depot->lock, RANK_CLASS);
}

static void adopt(struct slab *slab, uintptr_t owner) {
    struct depot *depot = &depots[slab->cls];
    lock_acquire(&depot->lock, RANK_CLASS);
    depot_adopt_locked(depot, slab, owner);
    lock_release(&depot->lock, RANK_CLASS);
}

Test(depot, an_empty_shelf_gives_nothing) {
    for (unsigned cls = 0; cls < TINY_CLASSES; cls++)
        EXPECT(depot_take(cls, ME) == NULL);
}

Test(depot, a_slab_with_free_slots_is_shelved_and_taken) {
    struct slab *slab = make(0, 10);
    put(slab);
    EXPECT_EQ(slab->state, SLAB_SHELVED);
    EXPECT_EQ(slab->owner, 0);
    EXPECT_EQ(depots[CLS].count, 1);
    EXPECT(depot_take(CLS + 1, YOU) == NULL);
    EXPECT(depot_take(CLS, YOU) == slab);
    EXPECT_EQ(slab->owner, YOU);
    EXPECT_EQ(depots[CLS].count, 0);
    EXPECT_EQ(depots[CLS].adopted, 1);
    EXPECT(depot_take(CLS, YOU) == NULL);
    EXPECT_EQ(slab_count_free(slab), slab->slots - 10);
}

Test(depot, a_full_slab_is_an_orphan_until_it_is_adopted) {
    struct slab *slab = make(0, class_slots(CLS, 0));
    EXPECT_EQ(slab->summary, 0);
    put(slab);
    EXPECT_EQ(slab->state, SLAB_ORPHANED);
    EXPECT_EQ(slab->owner, 0);
    EXPECT_EQ(depots[CLS].count, 0);
    EXPECT(depot_take(CLS, YOU) == NULL);
    adopt(slab, YOU);
    EXPECT_EQ(slab->owner, YOU);
    EXPECT_EQ(slab->state, SLAB_FULL);
    EXPECT_EQ(depots[CLS].count, 0);
    EXPECT_EQ(depots[CLS].adopted, 1);
}

Test(depot, a_shelved_slab_is_adopted_from_anywhere_on_the_shelf) {
    for (unsigned i = 0; i < 4; i++)
        put(make(i, 1 + i));
    EXPECT_EQ(depots[CLS].count, 4);
    adopt(&slabs[2], YOU);
    adopt(&slabs[0], YOU);
    EXPECT_EQ(depots[CLS].count, 2);
    struct slab *one = depot_take(CLS, ME);
    struct slab *other = depot_take(CLS, ME);
    EXPECT((one == &slabs[1] && other == &slabs[3]) || (one == &slabs[3] && other == &slabs[1]));
    EXPECT(depot_take(CLS, ME) == NULL);
    EXPECT_EQ(depots[CLS].count, 0);
    EXPECT_EQ(depots[CLS].adopted, 4);
}

/* --- threads ---- */

enum { THREADS = 3, ROUNDS = 20000 };

static uint64_t stolen;

static void *take_and_put(void *context) {
    uintptr_t me = (uintptr_t)context;
    for (int i = 0; i < ROUNDS; i++) {
        struct slab *slab = depot_take(CLS, me);
        if (slab == NULL)
            continue;
        if (load_relaxed(&slab->owner) != me)
            fetch_add_relaxed(&stolen, 1);
        put(slab);
    }
    return NULL;
}

Test(depot, a_slab_has_one_owner_at_a_time, .timeout = 120) {
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < 2; i++)
        put(make(i, 1));
    for (uintptr_t i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, take_and_put, (void *)((i + 1) * 64)) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    EXPECT_EQ(stolen, 0);
    EXPECT_EQ(depots[CLS].count, 2);
    EXPECT(depot_take(CLS, ME) != NULL && depot_take(CLS, ME) != NULL);
    EXPECT(depot_take(CLS, ME) == NULL);
}
