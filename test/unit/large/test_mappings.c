/* Protects: that a process has few mappings however many LARGE blocks it frees and allocates: new
 * ones have room for more blocks, and what lies between others stays ours without its memory, is
 * charged for when it is used again, and goes when somebody needs the addresses. */
#include "../expect.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/account.h"
#include "large/extent.h"
#include "large/large.h"

#define MIB ((size_t)1 << 20)
enum { BLOCKS = 64 };

static char *blocks[BLOCKS];

static struct large_stats stats(void) {
    struct large_stats now;
    large_stats(&now);
    return now;
}

static size_t count_mappings(void) {
    static char text[1 << 18];
    size_t lines = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    EXPECT(file != NULL);
    for (size_t n; (n = fread(text, 1, sizeof text, file)) > 0;)
        for (size_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    fclose(file);
    return lines;
}

static size_t resident_bytes(void *memory, size_t bytes) {
    static unsigned char vector[64 * 256];
    size_t count = 0;
    EXPECT(bytes / os_page_bytes <= sizeof vector);
    EXPECT(mincore(memory, bytes, vector) == 0);
    for (size_t i = 0; i < bytes / os_page_bytes; i++)
        count += vector[i] & 1;
    return count * os_page_bytes;
}

static void expect_whole(void) {
    struct violation violation = {0};
    lock_acquire(large_lock(), RANK_LARGE);
    bool holds = large_verify(&violation);
    lock_release(large_lock(), RANK_LARGE);
    cr_assert(holds, "%s", violation.what);
}

static void take_all(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = large_alloc(MIB, 16, NULL);
        EXPECT(blocks[i] != NULL);
        memset(blocks[i], 1, MIB);
    }
}

/* Every second one; the first and the last stay. */
static void drop_some(void) {
    for (size_t i = 1; i < BLOCKS - 1; i += 2)
        EXPECT_EQ(large_free(blocks[i]), FAULT_NONE);
}

Test(mappings, one_has_room_for_more_blocks, .init = quiet_os) {
    size_t before = count_mappings();
    take_all();
    EXPECT(stats().mappings < BLOCKS / 2);
    EXPECT(count_mappings() < before + BLOCKS / 2);
    EXPECT_EQ(account.held, BLOCKS * MIB); /* that room costs nothing */
    expect_whole();
}

Test(mappings, what_lies_between_others_stays_without_its_memory, .init = quiet_os) {
    take_all();
    size_t before = count_mappings();
    drop_some();
    size_t held = account.held;
    size_t freed = stats().cached_bytes;
    EXPECT(freed <= (BLOCKS / 2 - 1) * MIB); /* torture: a millisecond old, and gone */
    EXPECT(SLM_TORTURE || freed == (BLOCKS / 2 - 1) * MIB);
    size_t bytes = large_purge_expired(UINT64_MAX);
    EXPECT(SLM_TORTURE || bytes == freed);
    EXPECT(SLM_TORTURE || stats().cached_bytes == 0);
    EXPECT_EQ(account.held, held - bytes);
    EXPECT(SLM_TORTURE || count_mappings() <= before + 2); /* some may lie at an edge */
    EXPECT(SLM_TORTURE || extent_empty_bytes() >= freed / 2);
    expect_whole();
    for (size_t i = 0; i < BLOCKS; i += 2)
        EXPECT(blocks[i][0] == 1 && memcmp(blocks[i], blocks[i] + 1, MIB - 1) == 0);

    uint64_t mappings = stats().mappings;
    for (size_t i = 1; i < BLOCKS / 2; i += 2) {
        bool is_zero = false;
        blocks[i] = large_alloc(MIB, 16, &is_zero);
        EXPECT(blocks[i] != NULL);
        EXPECT(SLM_TORTURE || is_zero);
        EXPECT(SLM_TORTURE || resident_bytes(blocks[i], MIB) == 0);
        EXPECT(!is_zero || (blocks[i][0] == 0 && memcmp(blocks[i], blocks[i] + 1, MIB - 1) == 0));
    }
    EXPECT(SLM_TORTURE || stats().mappings == mappings);
    EXPECT(SLM_TORTURE || account.held == held - bytes + BLOCKS / 4 * MIB);
    expect_whole();
}

Test(mappings, without_a_way_to_give_memory_back_they_are_unmapped, .init = quiet_os) {
    take_all();
    drop_some();
    size_t held = account.held;
    os_inject(OS_PURGE, 0, UINT32_MAX / 4);
    size_t bytes = large_purge_expired(UINT64_MAX);
    EXPECT(SLM_TORTURE || bytes == (BLOCKS / 2 - 1) * MIB);
    EXPECT_EQ(account.held, held - bytes);
    EXPECT(SLM_TORTURE || stats().unmappings >= BLOCKS / 4);
    os_inject(0, 0, 0);
    expect_whole();
}

Test(mappings, addresses_go_when_they_are_needed, .init = quiet_os) {
    take_all();
    drop_some();
    large_purge_expired(UINT64_MAX);
    EXPECT(extent_empty_bytes() > 0);
    large_purge();
    EXPECT(SLM_TORTURE || extent_empty_bytes() == 0);
    expect_whole();
    for (size_t i = 0; i < BLOCKS; i += 2)
        EXPECT_EQ(large_free(blocks[i]), FAULT_NONE);
    large_free(blocks[BLOCKS - 1]);
    /* Hardly anything lives: only so many addresses stay. */
    for (int i = 0; i < 20; i++)
        large_purge_expired(UINT64_MAX);
    EXPECT(extent_empty_bytes() <= LARGE_CACHE_MIN_BYTES);
    large_purge();
    EXPECT(SLM_TORTURE || account.held == 0);
    expect_whole();
}

Test(mappings, an_empty_one_is_refused_at_the_limit, .init = quiet_os) {
    take_all();
    drop_some();
    large_purge_expired(UINT64_MAX);
    account.hard = account.held + 2 * MIB;
    EXPECT(large_alloc(MIB, 16, NULL) != NULL);
    EXPECT(large_alloc(MIB, 16, NULL) != NULL);
    EXPECT(large_alloc(MIB, 16, NULL) == NULL || SLM_TORTURE);
    EXPECT(account.held <= account.hard);
    expect_whole();
}
