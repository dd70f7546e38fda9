/* Protects: the guards of LARGE blocks: where they are nothing can be accessed, the block between
 * them is found by its address and by no other, is resized with them, and is whole without. */
#include "../expect.h"

#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "large/extent.h"
#include "large/large.h"

#define MIB ((size_t)1 << 20)

static void drop(void *block) { EXPECT_EQ(large_free(block), FAULT_NONE); }

/* In torture, some system calls are refused at first. */
static void open_again(void *block) {
    while (!large_open(block))
        EXPECT(SLM_TORTURE);
}

static bool reads_as(const void *memory, int byte, size_t bytes) {
    const char *at = memory;
    return at[0] == (char)byte && memcmp(at, at + 1, bytes - 1) == 0;
}

static bool is_writable(void *page) {
    int in[2];
    EXPECT_EQ(pipe(in), 0);
    bool done = write(in[1], page, 1) == 1; /* can't be read, so neither be written */
    close(in[0]);
    close(in[1]);
    return done;
}

static void expect_whole(void) {
    struct violation violation;
    lock_acquire(large_lock(), RANK_LARGE);
    bool whole = large_verify(&violation);
    lock_release(large_lock(), RANK_LARGE);
    EXPECT(whole);
}

/* In torture, a guard may be refused: the block then begins where the extent does. */
static char *take_guarded(size_t bytes, size_t front_bytes) {
    for (;;) {
        char *raw = large_alloc(front_bytes + bytes + os_page_bytes, front_bytes, NULL);
        EXPECT(raw != NULL);
        char *block = large_guard(raw, front_bytes);
        if (block == raw + front_bytes && !is_writable(block - 1))
            return block;
        EXPECT(SLM_TORTURE);
        open_again(block);
        drop(block);
    }
}

Test(large, a_guard_lies_before_a_block_and_one_behind_it, .init = quiet_os) {
    for (size_t front = os_page_bytes; front <= MIB; front *= 4) {
        char *block = take_guarded(300000, front);
        size_t bytes = round_up(300000, os_page_bytes);
        uintptr_t start;
        size_t said;
        EXPECT_AT((uintptr_t)block % front == 0, front);
        EXPECT_AT(large_usable(block) == bytes, front);
        EXPECT_AT(!is_writable(block - front) && !is_writable(block - 1), front);
        EXPECT_AT(is_writable(block) && is_writable(block + bytes - 1), front);
        EXPECT_AT(!is_writable(block + bytes), front);
        for (const char *at = block - front; at < block + bytes; at += os_page_bytes / 2) {
            enum fault fault = large_examine((uintptr_t)at, &start, &said);
            EXPECT_AT(fault == (at == block ? FAULT_NONE : FAULT_INTERIOR), front);
            EXPECT_AT(start == (uintptr_t)block && said >= bytes, front);
        }
        EXPECT_EQ(large_free(block - front), FAULT_INTERIOR);
        expect_whole();
        open_again(block);
        EXPECT_AT(is_writable(block - front), front);
        drop(block);
        EXPECT_EQ(large_usable(block), 0);
        expect_whole();
    }
}

Test(large, the_guard_before_a_block_goes_with_it, .init = quiet_os) {
    uint64_t seed = 7;
    size_t bytes = 300000;
    char *block = take_guarded(bytes, os_page_bytes);
    memset(block, 5, bytes);
    for (int i = 0; i < 100; i++) {
        size_t to = 200000 + random_below(&seed, i % 10 == 0 ? 32 * MIB : MIB);
        open_again(block);
        char *resized = large_resize(block, to + os_page_bytes);
        bytes = resized == NULL ? bytes : to;
        block = resized == NULL ? block : resized;
        EXPECT_AT(large_guard(block, 0) == block, i);
        EXPECT_AT(SLM_TORTURE || !is_writable(block - 1), i);
        EXPECT_AT(SLM_TORTURE || !is_writable(block + large_usable(block)), i);
        EXPECT_AT(reads_as(block, 5, bytes < 200000 ? bytes : 200000), i);
        EXPECT_AT(large_usable(block) >= bytes, i);
        memset(block, 5, bytes);
        if (i % 7 == 0)
            drop(large_alloc(random_below(&seed, 4 * MIB), 16, NULL)); /* free, to grow into */
        expect_whole();
    }
    open_again(block);
    drop(block);
    expect_whole();
}
