/* Protects: what show_alloc_mem's extended form says of slabs: state, class, owner, which part of
 * the slots lives, frees of other threads that are not merged; of empty slabs and kept mappings;
 * and that memory which is gone while its contents are printed is told, not touched. */
#include "../expect.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../../shown.h"
#include "cache/cache.h"
#include "os/lock.h"
#include "slab/zone.h"
#include "slabmalloc/slabmalloc.h"

enum { SLOT = 128, SLOTS = 512, TEXT_BYTES = 1 << 20 };

static char *blocks[2 * SLOTS];
static char text[TEXT_BYTES];

static void set_up(void) {
    slm_free(slm_malloc(1));
    quiet_os();
}

static const char *show(struct slm_show_options options) {
    struct shown shown = {0};
    int fd = memfd_create("shown", 0);
    EXPECT(slm_show_alloc_mem_ex(fd, &options));
    lseek(fd, 0, SEEK_SET);
    if (!shown_read(&shown, fd))
        cr_assert_fail("'%s'", shown.wrong_line);
    ssize_t used = pread(fd, text, sizeof text - 1, 0);
    EXPECT(used > 0);
    text[used] = 0;
    close(fd);
    return text;
}

static const char *slab_of(const void *block) {
    return show((struct slm_show_options){
        .parts = SLM_SHOW_SLABS, .from = block, .to = (const char *)block + 1});
}

static void expect_has(const char *what) {
    if (strstr(text, what) == NULL)
        cr_assert_fail("no '%s' in\n%s", what, text);
}

static void expect_has_address(const char *format, uintptr_t address) {
    char line[128];
    snprintf(line, sizeof line, format, address);
    expect_has(line);
}

static bool is_listed(const void *block) {
    return strstr(show((struct slm_show_options){
                      .parts = SLM_SHOW_BLOCKS, .from = block, .to = (const char *)block + 1}),
                  " : 128 bytes\n") != NULL;
}

static void fill(void) {
    for (unsigned i = 0; i < 2 * SLOTS; i++)
        blocks[i] = slm_malloc(SLOT);
}

static void *run(void *function) {
    ((void (*)(void))function)();
    return NULL;
}

static void in_another_thread(void (*function)(void)) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, run, (void *)function) == 0);
    pthread_join(thread, NULL);
}

static void free_some(void) {
    for (unsigned i = 0; i < 64; i++)
        slm_free(blocks[i]);
}

Test(show, tells_state_owner_and_pending_frees, .init = set_up) {
    char *first = slm_malloc(SLOT);
    slab_of(first);
    expect_has("class 128, current, owner thread 0x");
    expect_has_address("owner thread 0x%zx (this one)\n", thread_id());
    expect_has_address(" : 0x%zx, class 128, ", zone_slab_memory(zone_find((uintptr_t)first)));
    expect_has("  [:...............................................................] 1 of ");
    fill();
    slab_of(first);
    expect_has("full, owner thread");
    expect_has("  [################################################################] ");
    in_another_thread(free_some);
    slab_of(blocks[0]);
    struct slab *slab = zone_find((uintptr_t)blocks[0]);
    char counts[96];
    snprintf(counts, sizeof counts, "] %u of %u slots live, 64 remote frees pending\n",
             (unsigned)slab->slots - 64, (unsigned)slab->slots);
    expect_has(counts);
    EXPECT(is_listed(blocks[64]) && !is_listed(blocks[63]));
    cache_drain(cache_self);
    slab_of(blocks[0]);
    EXPECT(strstr(text, "pending") == NULL);
    expect_has("partial, owner thread");
}

Test(show, tells_slabs_without_an_owner, .init = set_up) {
    in_another_thread(fill);
    slab_of(blocks[0]);
    expect_has("class 128, orphaned, no owner\n");
    slab_of(blocks[2 * SLOTS - 1]);
    expect_has("class 128, in the depot, no owner\n");
}

Test(show, a_bar_has_a_cell_for_each_part_of_the_slots, .init = set_up) {
    char *big[8];
    for (unsigned i = 0; i < 8; i++)
        big[i] = slm_malloc(SMALL_MAX_BYTES);
    slm_free(big[2]);
    slm_free(big[7]);
    slab_of(big[0]);
    expect_has("  [##.####.] 6 of 8 slots live\n");
    fill();
    struct slab *slab = zone_find((uintptr_t)blocks[0]);
    for (unsigned i = 0; i < 2 * SLOTS; i++) {
        size_t slot;
        if (zone_find((uintptr_t)blocks[i]) != slab ||
            !slab_slot_at(slab, (uintptr_t)blocks[i], &slot))
            continue;
        /* Of the eight slots or so to a cell: none, few, most, all. */
        unsigned quarter = (unsigned)(slot * 4 / slab->slots);
        if (quarter == 0 || (quarter == 1 && slot % 8 != 0) || (quarter == 2 && slot % 8 == 0))
            slm_free(blocks[i]);
    }
    slab_of(blocks[0]);
    const char *bar = strstr(text, "  [") + 3;
    EXPECT(strspn(bar, ".") >= 15);
    EXPECT(strspn(bar + 17, ":") >= 13);
    EXPECT(strspn(bar + 33, "+") >= 13);
    EXPECT(strspn(bar + 49, "#") == 15);
}

Test(show, counts_empty_slabs_and_what_they_hold, .init = set_up) {
    static const struct slm_show_options free_tiny = {.zones = SLM_SHOW_TINY,
                                                      .parts = SLM_SHOW_FREE};
    size_t count, bytes;
    fill();
    for (unsigned i = 0; i < 2 * SLOTS; i++)
        memset(blocks[i], 1, SLOT);
    zones[ZONE_TINY].next_purge_ms = UINT64_MAX;
    for (unsigned i = 0; i < 2 * SLOTS; i++)
        slm_free(blocks[i]);
    show(free_tiny);
    EXPECT(sscanf(strstr(text, "empty"), "empty : %zu slabs, %zu bytes", &count, &bytes) == 2);
    size_t empty = 0;
    for (size_t i = 0; i < zones[ZONE_TINY].ranges[0].fresh; i++)
        empty += range_slab(&zones[ZONE_TINY].ranges[0], i)->state == SLAB_EMPTY;
    EXPECT_EQ(count, empty);
    EXPECT(empty >= 1 && bytes >= empty * 60000 && bytes <= empty << TINY_SLAB_SHIFT);
    slm_malloc_trim(0);
    show(free_tiny);
    EXPECT(sscanf(strstr(text, "empty"), "empty : %zu slabs, %zu bytes", &count, &bytes) == 2);
    EXPECT_EQ(count, empty);
    EXPECT(bytes == 0 || SLM_TORTURE);
}

Test(show, memory_that_is_gone_can_t_be_read, .init = set_up) {
    char *block = slm_malloc(1 << 20);
    memset(block, 7, 1 << 20);
    size_t page = os_page_bytes;
    munmap(block + page, page);
    show((struct slm_show_options){.zones = SLM_SHOW_LARGE, .dump_bytes = 4 * page});
    expect_has_address("  0x%zx  can't be read\n", (uintptr_t)block + page);
    expect_has_address("  0x%zx  07 07 07 07 07 07 07 07  07 07 07 07 07 07 07 07  "
                       "|................|\n",
                       (uintptr_t)block + page - 16);
    mprotect(block, page, PROT_NONE);
    show((struct slm_show_options){.zones = SLM_SHOW_LARGE, .dump_bytes = 1});
    expect_has_address("  0x%zx  can't be read\n", (uintptr_t)block);
}
