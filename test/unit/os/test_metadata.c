/* Protects: memory for internal structures: aligned, zero, never handed out twice, counted, between
 * pages that can't be accessed; and that a refusal by the system is a NULL that passes. */
#include "../expect.h"

#include <string.h>

#include "os/look.h"
#include "os/metadata.h"

Test(metadata, is_aligned_zero_and_nobody_else_s, .init = quiet_os) {
    static struct {
        unsigned char *memory;
        size_t bytes;
    } blocks[600];
    uint64_t seed = 5;
    for (unsigned i = 0; i < 600; i++) {
        size_t bytes = 1 + random_below(&seed, i % 100 == 99 ? 400000 : 3000);
        unsigned char *memory = metadata_alloc(bytes);
        EXPECT(memory != NULL);
        EXPECT_AT((uintptr_t)memory % 64 == 0, i);
        for (size_t k = 0; k < bytes; k++)
            EXPECT_AT(memory[k] == 0, i);
        memset(memory, (int)(i % 255 + 1), bytes);
        blocks[i].memory = memory;
        blocks[i].bytes = bytes;
    }
    for (unsigned i = 0; i < 600; i++)
        for (size_t k = 0; k < blocks[i].bytes; k++)
            EXPECT_AT(blocks[i].memory[k] == i % 255 + 1, i);
}

Test(metadata, what_was_taken_from_the_system_is_counted_in_whole_chunks, .init = quiet_os) {
    size_t before = metadata_bytes();
    EXPECT_EQ(before, 0);
    EXPECT(metadata_alloc(100) != NULL);
    size_t chunk = metadata_bytes();
    EXPECT(chunk >= 100);
    EXPECT_EQ(chunk % os_page_bytes, 0);
    EXPECT(metadata_alloc(100) != NULL);
    EXPECT_EQ(metadata_bytes(), chunk);
    EXPECT(metadata_alloc(3 * chunk + 1) != NULL);
    EXPECT_EQ(metadata_bytes(), chunk + 3 * chunk + os_page_bytes);
}

Test(metadata, a_refusal_is_null_and_passes, .init = quiet_os) {
    os_inject(OS_MAP, 0, 2);
    EXPECT(metadata_alloc(64) == NULL);
    EXPECT(metadata_alloc(1 << 20) == NULL);
    EXPECT_EQ(metadata_bytes(), 0);
    EXPECT_EQ(metadata_lock()->word, 0);
    char *memory = metadata_alloc(64);
    EXPECT(memory != NULL);
    /* A large request that fails does not cost the chunk at hand. */
    os_inject(OS_MAP, 0, 1);
    EXPECT(metadata_alloc(1 << 20) == NULL);
    EXPECT(metadata_alloc(64) == memory + 64);
}

static void look_around(uintptr_t address, size_t bytes, void *context) {
    struct os_peek peek;
    char byte;
    os_peek_begin(&peek);
    EXPECT(os_peek(&peek, &byte, address - 1, 1) == 0 || SLM_TORTURE); /* which refuses some */
    EXPECT_EQ(os_peek(&peek, &byte, address, 1), 1);
    EXPECT_EQ(os_peek(&peek, &byte, address + bytes - 1, 1), 1);
    EXPECT(os_peek(&peek, &byte, address + bytes, 1) == 0 || SLM_TORTURE);
    os_peek_end(&peek);
    ++*(unsigned *)context;
}

Test(metadata, lies_between_guard_pages, .init = quiet_os) {
    unsigned chunks = 0;
    for (unsigned i = 0; i < 10; i++)
        EXPECT(metadata_alloc(200000) != NULL);
    EXPECT(metadata_alloc(1 << 20) != NULL);
    metadata_walk(look_around, &chunks);
    EXPECT(chunks >= 3);
}
