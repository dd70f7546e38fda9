/* Protects: looking at memory without touching it: pages that are there and those that are not;
 * contents copied where memory is mapped, up to where it ends, in either of the two ways. */
#include "../expect.h"

#include <string.h>

#include "os/look.h"

enum { PAGES = 8 };

static unsigned char *memory;

static void set_up(void) {
    quiet_os();
    memory = os_map(PAGES * os_page_bytes);
    EXPECT(memory != NULL);
}

Test(look, tells_touched_pages_from_others, .init = set_up) {
    unsigned char present[PAGES];
    memory[os_page_bytes] = 1;
    memory[6 * os_page_bytes + 5] = 1;
    EXPECT_EQ(os_look_resident((uintptr_t)memory, PAGES, present), 0);
    for (unsigned i = 0; i < PAGES; i++)
        EXPECT_AT(present[i] == (i == 1 || i == 6), i);
    EXPECT(os_purge(memory, PAGES * os_page_bytes) || SLM_TORTURE);
    os_unmap(memory + 2 * os_page_bytes, os_page_bytes);
    memset(present, 1, sizeof present);
    EXPECT_EQ(os_look_resident((uintptr_t)memory, PAGES, present), 0);
    if (!SLM_TORTURE)
        for (unsigned i = 0; i < PAGES; i++)
            EXPECT_AT(present[i] == 0, i);
}

static void check_peek(struct os_peek *peek) {
    unsigned char copy[4096];
    for (size_t i = 0; i < PAGES * os_page_bytes; i++)
        memory[i] = (unsigned char)(i * 5 + i / 256);
    uintptr_t at = (uintptr_t)memory + 1234;
    EXPECT_EQ(os_peek(peek, copy, at, 4096), 4096);
    EXPECT(memcmp(copy, memory + 1234, 4096) == 0);
    uintptr_t end = (uintptr_t)memory + PAGES * os_page_bytes - 16;
    EXPECT(os_decommit((void *)(end + 16 - os_page_bytes), os_page_bytes) || SLM_TORTURE);
    if (!SLM_TORTURE)
        EXPECT_EQ(os_peek(peek, copy, end, 16), 0);
    EXPECT_EQ(os_peek(peek, copy, 8, 16), 0);
    EXPECT_EQ(os_peek(peek, copy, at, 3), 3); /* and goes on as before */
    EXPECT(memcmp(copy, memory + 1234, 3) == 0);
}

Test(look, peeks_by_asking_the_system, .init = set_up) {
    struct os_peek peek;
    os_peek_begin(&peek);
    check_peek(&peek);
    os_peek_end(&peek);
}

Test(look, peeks_through_a_pipe, .init = set_up) {
    struct os_peek peek;
    os_peek_begin(&peek);
    peek.refused = true;
    check_peek(&peek);
    EXPECT(peek.pipe[0] >= 0);
    os_peek_end(&peek);
    unsigned char byte;
    struct os_peek closed = peek;
    EXPECT_EQ(os_peek(&closed, &byte, (uintptr_t)memory, 1), 0); /* it is closed */
}
