/* Purpose: accesses beyond the two ends of a block that lives: behind it, before it, and to blocks
 *          of 0 bytes. */
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

#include "faults.h"

/* Beyond what an allocator makes accessible in advance. */
#define FAR ((size_t)16 << 20)

/* --- writes behind ---------------------------------------------------------------------------- */

static void write_behind(size_t from, size_t n) {
    struct pair pair = take_pair();
    memset(hidden(pair.lower + bytes + from), STRAY, n);
    settle();
}
static void overflow_1(void) { write_behind(0, 1); }
static void overflow_8(void) { write_behind(0, 8); }
static void overflow_16(void) { write_behind(0, 16); }
static void overflow_skipping_1(void) { write_behind(1, 1); }
static void overflow_page(void) { write_behind(0, 4096); }

/* The zero behind a string that is one too long. */
static void overflow_zero(void) {
    struct pair pair = take_pair();
    *hidden(pair.lower + bytes) = 0;
    settle();
}

/* Of a block that fills what the allocator has for it: by the size that it says it has. */
static void write_behind_exactly(size_t n, int byte) {
    char *probe = take();
    bytes = malloc_usable_size(probe);
    give(probe);
    struct pair pair = take_pair();
    memset(hidden(pair.lower + bytes), byte, n);
    settle();
}
static void overflow_exact_1(void) { write_behind_exactly(1, STRAY); }
static void overflow_exact_8(void) { write_behind_exactly(8, STRAY); }
static void overflow_exact_zero(void) { write_behind_exactly(1, 0); }

/* All from the end of the block to the first bytes of the next. */
static void overflow_next(void) {
    struct pair pair = take_pair();
    memset(hidden(pair.lower + bytes), STRAY, (size_t)(pair.upper - pair.lower) - bytes + 8);
    settle();
}

/* Only into the next one, over what is between: what an index that is off by one block does. */
static void overflow_over(void) {
    struct pair pair = take_pair();
    memset(hidden(pair.lower + (pair.upper - pair.lower)), STRAY, 8);
    settle();
}

/* Large blocks have libraries above them. */
static void overflow_far(void) {
    if (zone == LARGE)
        not_here();
    struct pair pair = take_pair();
    memset(hidden(pair.upper + FAR), STRAY, 8);
    settle();
}

/* Found, if at all, when the block is given back: and this one never is. */
static void overflow_kept(void) {
    char *kept = take();
    memset(hidden(kept + bytes), STRAY, 4);
    hidden(kept);
    go_on();
}

static void overflow_by_thread_act(void *block) { memset(hidden((char *)block + bytes), STRAY, 8); }
static void overflow_by_thread(void) {
    struct pair pair = take_pair();
    in_thread(overflow_by_thread_act, pair.lower);
    settle();
}

/* --- writes before ---------------------------------------------------------------------------- */

static void write_before(size_t n) {
    struct pair pair = take_pair();
    memset(hidden(pair.upper - n), STRAY, n);
    settle();
}
static void underflow_1(void) { write_before(1); }
static void underflow_8(void) { write_before(8); }
static void underflow_16(void) { write_before(16); }

static void underflow_next(void) {
    struct pair pair = take_pair();
    size_t behind_lower = (size_t)(pair.upper - pair.lower) - bytes;
    memset(hidden(pair.upper - behind_lower - 8), STRAY, behind_lower + 8);
    settle();
}

static void underflow_page(void) { write_before(4096); }

/* Where what the program has mapped itself may lie: the nearest that is below counts. */
static void underflow_mapping(void) {
    enum { MAPPINGS = 64, MAPPED = 65536 };
    char *lowest = NULL, *nearest = NULL;
    if (zone != LARGE)
        not_here();
    char *block = take();
    for (int i = 0; i < MAPPINGS; i++) {
        char *mapping = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                             -1, 0);
        memset(mapping, OTHERS_FILL, MAPPED);
        lowest = mapping;
        if (mapping < block && (nearest == NULL || mapping > nearest))
            nearest = mapping;
    }
    nearest = nearest != NULL ? nearest : lowest;
    memset(hidden(block - 64), STRAY, 64);
    saw_unless(is_all(nearest, OTHERS_FILL, MAPPED), "a mapping's data is damaged");
    give(block);
    go_on();
}

/* What allocators with headers keep before a block: a size that is larger than it is. */
static void forged_size(void) {
    struct pair pair = take_pair();
    size_t size = 0x1001;
    memcpy(hidden(pair.upper - sizeof size), &size, sizeof size);
    settle();
}

/* The beginning of the memory that blocks are cut from, where some allocators have their own data.
 */
static void wipe(uintptr_t unit) {
    if (zone == LARGE)
        not_here();
    struct pair pair = take_pair();
    uintptr_t start = (uintptr_t)pair.upper & ~(unit - 1);
    memset(hidden((const void *)start), STRAY, 64);
    settle();
}
static void wipe_page_start(void) { wipe(4096); }
static void wipe_slab_start(void) { wipe(65536); }

/* --- reads ------------------------------------------------------------------------------------ */

static void overread_next(void) {
    struct pair pair = take_pair();
    size_t n = (size_t)(pair.upper - pair.lower) - bytes + 8;
    volatile char *from = hidden(pair.lower + bytes);
    memset(pair.upper, SECRET, 8);
    for (size_t i = 0; i < n; i++)
        if (from[i] == SECRET)
            saw("reads another block's data");
    memset(pair.upper, OTHERS_FILL, 8);
    settle();
}

static void underread_next(void) {
    struct pair pair = take_pair();
    volatile char *last = hidden(pair.upper - 1);
    memset(pair.lower, SECRET, bytes);
    for (size_t i = 0; i < (size_t)(pair.upper - pair.lower) - bytes + 8; i++)
        if (*(last - i) == SECRET)
            saw("reads another block's data");
    memset(pair.lower, OTHERS_FILL, bytes);
    settle();
}

static void overread_far(void) {
    if (zone == LARGE)
        not_here();
    struct pair pair = take_pair();
    volatile char *from = hidden(pair.upper);
    for (size_t i = 0; i < FAR; i++)
        (void)from[i];
    settle();
}

/* --- blocks of 0 bytes ------------------------------------------------------------------------ */

static void empty_write(void) {
    require_zone(TINY);
    char *block = hidden(take_bytes(0));
    memset(hidden(block), STRAY, 1);
    give(block);
    go_on();
}

static void empty_write_32(void) {
    require_zone(TINY);
    bytes = 0;
    write_behind(0, 32);
}

static void empty_read(void) {
    require_zone(TINY);
    char *block = hidden(take_bytes(0));
    (void)*(volatile char *)block;
    give(block);
    go_on();
}

const struct scene spill_scenes[] = {
    {"overflow_1", overflow_1},
    {"overflow_8", overflow_8},
    {"overflow_16", overflow_16},
    {"overflow_zero", overflow_zero},
    {"overflow_skipping_1", overflow_skipping_1},
    {"overflow_exact_1", overflow_exact_1},
    {"overflow_exact_8", overflow_exact_8},
    {"overflow_exact_zero", overflow_exact_zero},
    {"overflow_next", overflow_next},
    {"overflow_over", overflow_over},
    {"overflow_page", overflow_page},
    {"overflow_far", overflow_far},
    {"overflow_kept", overflow_kept},
    {"overflow_by_thread", overflow_by_thread},
    {"underflow_1", underflow_1},
    {"underflow_8", underflow_8},
    {"underflow_16", underflow_16},
    {"underflow_next", underflow_next},
    {"underflow_page", underflow_page},
    {"underflow_mapping", underflow_mapping},
    {"forged_size", forged_size},
    {"wipe_page_start", wipe_page_start},
    {"wipe_slab_start", wipe_slab_start},
    {"overread_next", overread_next},
    {"underread_next", underread_next},
    {"overread_far", overread_far},
    {"empty_write", empty_write},
    {"empty_write_32", empty_write_32},
    {"empty_read", empty_read},
    {NULL, NULL},
};
