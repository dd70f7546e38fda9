/* Purpose: pointers given back that no allocation returned: of other memory, or inside a block. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"

static char in_bss[4096], in_data[4096] = {1};

/* Aligned as a block, and its neighbourhood readable: an allocator that looks for a header before
 * it finds something. */
static void give_other(char *pointer) {
    require_zone(TINY);
    give(hidden((char *)(((uintptr_t)pointer + 15) & ~(uintptr_t)15)));
    look_for_twins();
    go_on();
}

static void free_stack(void) {
    char on_stack[256];
    memset(on_stack, 0, sizeof on_stack);
    give_other(hidden(on_stack) + 64);
}
static void free_bss(void) { give_other(in_bss + 1024); }
static void free_data(void) { give_other(in_data + 1024); }
static void free_literal(void) { give_other(hidden("a string literal that is long enough")); }
static void free_code(void) { give_other(hidden((void *)(uintptr_t)&take_pair)); }
static void free_own_variable(void) { give_other(hidden(&bytes)); }

static char *map(void) {
    void *page = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}
static void free_mapping(void) { give_other(map()); }
static void free_mapping_inside(void) { give_other(map() + 4096 + 16); }

/* A program with an allocator of its own, which takes its memory from the program break. */
static void free_other_allocator(void) { give_other((char *)sbrk(1 << 16) + 1024); }

/* A size where glibc has it, in memory that the attacker controls: "House of Spirit". */
static void free_forged_chunk(void) {
    require_zone(TINY);
    static size_t chunk[64] __attribute__((aligned(16)));
    chunk[1] = chunk[13] = 0x61;
    give(hidden(&chunk[2]));
    for (int i = 0; i < 8; i++) {
        char *block = hidden(take_bytes(88));
        saw_unless(block != (char *)&chunk[2], "malloc gives out the attacker's memory");
    }
    go_on();
}

static void give_number(uintptr_t address) {
    require_zone(TINY);
    give(hidden((const void *)address));
    go_on();
}
static void free_sixteen(void) { give_number(16); }
static void free_odd(void) { give_number(12345); }
static void free_minus_one(void) { give_number(UINTPTR_MAX); }
static void free_minus_sixteen(void) { give_number(UINTPTR_MAX - 15); }
static void free_wild(void) { give_number(0xdeadbee0); }
static void free_not_canonical(void) { give_number((uintptr_t)1 << 47 | 0x1000); }
static void free_kernel(void) { give_number((uintptr_t)0xffff888000001000); }

/* A pointer whose upper bits hold something, as programs do that tag pointers. */
static void free_tagged(void) {
    char *block = take();
    give(hidden((const void *)((uintptr_t)block | (uintptr_t)0xab << 56)));
    look_for_twins();
    go_on();
}

/* --- inside of a block ------------------------------------------------------------------------ */

static void give_inside(size_t offset) {
    char *block = take();
    give(block + offset);
    look_for_twins();
    give(block);
    go_on();
}
static void interior_1(void) { give_inside(1); }
static void interior_8(void) { give_inside(8); }
static void interior_16(void) { give_inside(16); }
static void interior_half(void) { give_inside(bytes / 2 & ~(size_t)15); }
static void interior_last(void) { give_inside(bytes - 1); }
static void interior_end(void) { give_inside((bytes + 15) & ~(size_t)15); }

static void interior_page(void) {
    if (zone == TINY)
        not_here();
    bytes = bytes < 9000 ? 9000 : bytes;
    give_inside(4096);
}

/* A header of the program's own before the data, and the wrong one given back. */
static void interior_before(void) {
    struct pair pair = take_pair();
    give(pair.upper - 16);
    look_for_twins();
    settle();
}

static void interior_freed(void) {
    char *block = take();
    give(block);
    give(block + 16);
    look_for_twins();
    go_on();
}

static void interior_by_thread_act(void *block) { give((char *)block + 16); }
static void interior_by_thread(void) {
    char *block = take();
    in_thread(interior_by_thread_act, block);
    look_for_twins();
    give(block);
    go_on();
}

/* Inside a block, with what glibc takes for a chunk's size before it. */
static void interior_forged_chunk(void) {
    char *block = take();
    size_t size = 0x41;
    memcpy(block + 24, &size, sizeof size);
    give(block + 32);
    look_for_twins();
    for (int i = 0; i < 8; i++) {
        char *inner = hidden(take_bytes(50));
        saw_unless(inner != block + 32, "a block is given out inside another");
    }
    give(block);
    go_on();
}

const struct scene invalid_scenes[] = {
    {"free_stack", free_stack},
    {"free_bss", free_bss},
    {"free_data", free_data},
    {"free_literal", free_literal},
    {"free_code", free_code},
    {"free_own_variable", free_own_variable},
    {"free_mapping", free_mapping},
    {"free_mapping_inside", free_mapping_inside},
    {"free_other_allocator", free_other_allocator},
    {"free_forged_chunk", free_forged_chunk},
    {"free_sixteen", free_sixteen},
    {"free_odd", free_odd},
    {"free_minus_one", free_minus_one},
    {"free_minus_sixteen", free_minus_sixteen},
    {"free_wild", free_wild},
    {"free_not_canonical", free_not_canonical},
    {"free_kernel", free_kernel},
    {"free_tagged", free_tagged},
    {"interior_1", interior_1},
    {"interior_8", interior_8},
    {"interior_16", interior_16},
    {"interior_half", interior_half},
    {"interior_page", interior_page},
    {"interior_last", interior_last},
    {"interior_end", interior_end},
    {"interior_before", interior_before},
    {"interior_freed", interior_freed},
    {"interior_by_thread", interior_by_thread},
    {"interior_forged_chunk", interior_forged_chunk},
    {NULL, NULL},
};
