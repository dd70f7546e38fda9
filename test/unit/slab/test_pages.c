/* Protects: of a slab in use, exactly the pages in which no live slot lies are given back, in every
 * class; what lives keeps its contents; and a system that refuses changes nothing. */
#include "zones.h"

#include <sys/mman.h>

enum { ME = 64, PAGES_MAX = 256 };

static void take_all(struct slab *slab) {
    for (size_t slot; slab_take(slab, &slot);)
        memset(slab_slot_address(slab, slot), (int)(slot % 251) + 1, slab->slot_bytes);
}

/* Page by page: whether any byte of it belongs to a live slot. */
static void find_live_pages(const struct slab *slab, bool live[]) {
    uintptr_t memory = zone_slab_memory(slab);
    memset(live, 0, PAGES_MAX * sizeof *live);
    for (size_t slot = 0; slot < slab->slots; slot++) {
        uintptr_t start = (uintptr_t)slab_slot_address(slab, slot) - memory;
        if (slab_is_free(slab, slot))
            continue;
        for (size_t page = start / os_page_bytes;
             page * os_page_bytes < start + slab->slot_bytes; page++)
            live[page] = true;
    }
}

static void expect_resident(const struct slab *slab, const bool live[], unsigned cls) {
    unsigned char resident[PAGES_MAX];
    size_t pages = slab_bytes_of(slab) / os_page_bytes;
    EXPECT(mincore((void *)zone_slab_memory(slab), slab_bytes_of(slab), resident) == 0);
    for (size_t page = 0; page < pages; page++)
        EXPECT_AT((resident[page] & 1) == live[page] || (SLM_TORTURE && !live[page]),
                  cls * 1000 + page); /* the torture build refuses now and then */
}

static void expect_contents(const struct slab *slab, unsigned cls) {
    for (size_t slot = 0; slot < slab->slots; slot++) {
        const unsigned char *bytes = slab_slot_address(slab, slot);
        for (size_t i = 0; !slab_is_free(slab, slot) && i < slab->slot_bytes; i++)
            EXPECT_AT(bytes[i] == slot % 251 + 1, cls);
    }
}

static size_t resident_bytes(const struct slab *slab) {
    unsigned char resident[PAGES_MAX];
    size_t bytes = 0;
    EXPECT(mincore((void *)zone_slab_memory(slab), slab_bytes_of(slab), resident) == 0);
    for (size_t page = 0; page < slab_bytes_of(slab) / os_page_bytes; page++)
        bytes += (resident[page] & 1) * os_page_bytes;
    return bytes;
}

static void purge_with_live_part(unsigned cls, unsigned part, uint64_t *seed) {
    bool live[PAGES_MAX];
    struct slab *slab = zone_acquire(cls, ME);
    EXPECT(slab != NULL);
    take_all(slab);
    size_t before = resident_bytes(slab);
    for (size_t slot = 0; slot < slab->slots; slot++)
        if (random_below(seed, 100) >= part)
            EXPECT(slab_give_slot(slab, slot));
    slab->countdown--; /* as frees do */
    find_live_pages(slab, live);
    size_t bytes = slab_purge_pages(slab);
    expect_resident(slab, live, cls);
    EXPECT_AT(SLM_TORTURE || bytes >= before - resident_bytes(slab), cls);
    EXPECT_AT(bytes <= slab_bytes_of(slab) - resident_bytes(slab), cls);
    EXPECT_EQ(slab_purge_pages(slab), 0); /* nothing was freed since */
    expect_contents(slab, cls);
}

Test(pages, only_pages_without_a_live_slot_go, .init = set_up, .timeout = 60) {
    static const unsigned parts[] = {0, 1, 10, 50, 99};
    uint64_t seed = 5;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++)
            purge_with_live_part(cls, parts[i], &seed);
}

Test(pages, a_full_slab_keeps_all_and_an_empty_one_nothing, .init = set_up) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        struct slab *slab = zone_acquire(cls, ME);
        EXPECT(slab_purge_pages(slab) == slab_bytes_of(slab) || SLM_TORTURE);
        take_all(slab);
        slab->countdown--;
        EXPECT_EQ(slab_purge_pages(slab), 0);
        expect_contents(slab, cls);
    }
}

Test(pages, a_refusal_changes_nothing, .init = set_up) {
    struct slab *slab = zone_acquire(TINY_CLASSES - 1, ME);
    take_all(slab);
    for (size_t slot = 0; slot < slab->slots; slot += 8)
        for (size_t i = 0; i < 7 && slot + i < slab->slots; i++)
            EXPECT(slab_give_slot(slab, slot + i));
    os_inject(OS_PURGE, 0, 1000000);
    EXPECT_EQ(slab_purge_pages(slab), 0);
    EXPECT(os_injected() > 0);
    os_inject(0, 0, 0);
    expect_contents(slab, TINY_CLASSES - 1);
    slab->countdown--;
    EXPECT(slab_purge_pages(slab) > 0);
    expect_contents(slab, TINY_CLASSES - 1);
}
