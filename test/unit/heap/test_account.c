/* Protects: what the heap counts as held is what it holds, to the byte: after allocations and frees
 * of all kinds, refused system calls, purges and decommits; and the hard limit ends it there. */
#include "../expect.h"

#include "heap/limits.h"
#include "os/os.h"
#include "slab/zone.h"

static void set_up(void) {
    slm_free(slm_malloc(1));
    os_inject(0, 0, 0);
}

/* To the byte, whatever the way by which memory was taken or went back. */
static void expect_account(const char *when) {
    size_t counted = limits_count_held();
    cr_assert_eq(load_relaxed(&account.held), counted, "%s: %zu instead of %zu", when,
                 load_relaxed(&account.held), counted);
}

Test(account, agrees_with_what_is_held, .init = set_up) {
    static void *blocks[2000];
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < 2000; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t bytes = (size_t)(random >> 33) % ((size_t)16 << (round % 16));
            if (random >> 63 != 0) {
                slm_free(blocks[i]);
                blocks[i] = i % 7 == 0 ? slm_memalign(65536, bytes) : slm_malloc(bytes);
            } else {
                void *moved = slm_realloc(blocks[i], bytes + 1);
                blocks[i] = moved != NULL ? moved : blocks[i];
            }
        }
        expect_account("at work");
        os_inject(OS_UNMAP | OS_PURGE | OS_COMMIT | OS_MAP | OS_REMAP, (uint32_t)round % 5, 3);
        slm_purge();
        slm_free(slm_malloc(3 << 20));
        os_inject(0, 0, 0);
        expect_account("after refusals");
        if (round % 4 == 3)
            for (size_t i = round % 8 == 3; i < 2000; i += 2) {
                slm_free(blocks[i]);
                blocks[i] = NULL;
            }
        for (unsigned kind = 0; round % 5 == 4 && kind < ZONE_COUNT; kind++)
            zone_decommit((enum zone_kind)kind);
        expect_account("after frees");
    }
    slm_purge();
    expect_account("at the end");
}

Test(account, ends_at_the_limit_and_counts_nothing_that_was_refused, .init = set_up) {
    store_relaxed(&account.hard, load_relaxed(&account.held) + ((size_t)8 << 20));
    size_t most = load_relaxed(&account.hard);
    void *last = NULL;
    for (void **block; (block = slm_malloc(50000)) != NULL; last = block)
        *block = last;
    EXPECT(load_relaxed(&account.held) <= most && load_relaxed(&account.held) + 65536 > most);
    expect_account("at the limit");
    EXPECT(slm_malloc((size_t)9 << 20) == NULL);
    expect_account("after a refusal");
    while (last != NULL) {
        void **block = last;
        last = *block;
        slm_free(block);
    }
    store_relaxed(&account.hard, SIZE_MAX);
    expect_account("without the limit");
}
