/* Purpose: scenes with pointers that are no block's start, or that are nowhere near a block. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"

/* --- inside a block -------------------------------------------------------------------------- */

static void inside_by(size_t offset) {
    char *p = block();
    fault(p + offset, p);
}

static void inside_1(void) { inside_by(1); }
static void inside_8(void) { inside_by(8); }
static void inside_16(void) { inside_by(16); }
static void inside_last(void) { inside_by(block_bytes[zone] - 1); }
static void at_the_end(void) { inside_by(request_bytes[zone]); }

/* One page inside; the SMALL block here is larger than a page. */
static void inside_page(void) {
    char *p = hidden(malloc(zone == SMALL ? 12288 : request_bytes[zone]));
    fault(p + 4096, p);
}

static void inside_freed(void) {
    char *p = block();
    free(p);
    fault(p + 8, p);
}

/* p + size of a block that fills its slot is the next slot, never handed out. */
static void behind_the_last(void) {
    char *p = NULL;
    for (int i = 0; i < 10; i++)
        p = hidden(malloc(block_bytes[zone]));
    fault_at_slot(p + block_bytes[zone], p + block_bytes[zone], 10);
}

/* --- inside a slab, in no slot --------------------------------------------------------------- */

static uintptr_t slab_bytes(void) { return zone == TINY ? 65536 : 1 << 20; }
static char *slab_of(void *p) { return (char *)((uintptr_t)p & ~(slab_bytes() - 1)); }

/* The blocks of some slabs; where a slab's slots begin tells how much is left behind the last. */
static void padding_behind(void) {
    for (int i = 0; i < 10000; i++) {
        char *p = hidden(malloc(request_bytes[zone]));
        char *slab = slab_of(p);
        size_t rest = (size_t)(slab + slab_bytes() - p) % block_bytes[zone];
        if (rest >= 16)
            fault(slab + slab_bytes() - 16, slab);
    }
    require(false);
}

/* Slabs do not all begin with a slot: their starts are coloured. */
static void padding_before(void) {
    for (int i = 0; i < 10000; i++) {
        char *p = hidden(malloc(request_bytes[zone]));
        char *slab = slab_of(p);
        if ((size_t)(p - slab) % block_bytes[zone] != 0 &&
            (size_t)(p - slab) < block_bytes[zone] + 256)
            fault(slab, slab);
    }
    require(false);
}

/* --- the heap's own memory ------------------------------------------------------------------- */

/* By asking the kernel: write(2) fails with EFAULT where it can't read. */
static bool is_readable(uintptr_t address) {
    int ends[2];
    require(pipe(ends) == 0);
    bool readable = write(ends[1], (void *)address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable;
}

static void mapping_of_block(uintptr_t *start, uintptr_t *end) {
    require(find_mapping((uintptr_t)block(), start, end));
}

/* Below a zone's slabs lie its headers, not all of them accessible, and below these its bitmaps.
 * Where the bitmaps begin, a mapping of another kind may touch them. */
static void metadata_of_block(uintptr_t *readable_end, uintptr_t *slabs) {
    uintptr_t start, end;
    mapping_of_block(slabs, &end);
    *readable_end = *slabs;
    while (find_mapping(*readable_end - 1, &start, &end) && !is_readable(start))
        *readable_end = start;
    require(*readable_end < *slabs && is_readable(*readable_end - 1));
}

/* Bitmaps, or headers in use. */
static void metadata_first(void) {
    uintptr_t readable_end, slabs;
    metadata_of_block(&readable_end, &slabs);
    fault((void *)(readable_end - 65536), NULL);
}

static void metadata_headers(void) {
    uintptr_t readable_end, slabs;
    metadata_of_block(&readable_end, &slabs);
    fault((void *)(readable_end - 4096), NULL);
}

static void metadata_middle(void) {
    uintptr_t readable_end, slabs;
    metadata_of_block(&readable_end, &slabs);
    fault((void *)(readable_end + (slabs - readable_end) / 128 * 64), NULL);
}

static void metadata_last(void) {
    uintptr_t readable_end, slabs;
    metadata_of_block(&readable_end, &slabs);
    fault((void *)(slabs - 64), NULL);
}

static void unused_writable(void) {
    uintptr_t start, end;
    mapping_of_block(&start, &end);
    fault((void *)(end - 4096), NULL);
}

static void unused_reserved(void) {
    uintptr_t start, end;
    mapping_of_block(&start, &end);
    fault((void *)(end + ((size_t)256 << 20)), NULL);
}

/* --- nothing of ours ------------------------------------------------------------------------- */

static char in_bss[4096];
static char in_data[4096] = {1};

static void on_stack(void) {
    char local[256];
    fault(hidden(local), NULL);
}

static void on_stack_aligned(void) {
    _Alignas(65536) char local[65536];
    fault(hidden(local), NULL);
}

static void foreign(uintptr_t value) {
    free(block());
    fault((void *)value, NULL);
}

static void bss(void) { foreign((uintptr_t)in_bss); }
static void data(void) { foreign((uintptr_t)in_data); }
static void literal(void) { foreign((uintptr_t) "a literal"); }
static void code(void) { foreign((uintptr_t)code); }
static void one(void) { foreign(1); }
static void minus_one(void) { foreign(UINTPTR_MAX); }
static void minus_sixteen(void) { foreign((uintptr_t)-16); }
static void not_canonical(void) { foreign(0x8000123456789ab0); }
static void top_of_user_space(void) { foreign(0x00007ffffffff000); }
static void first_not_canonical(void) { foreign(0x0000800000000000); }
static void kernel(void) { foreign(0xffff888000000000); }
static void badbeef(void) { foreign(0xBADBEEFBADBEEFBA); }
static void deadbeef(void) { foreign(0xDEADBEEF); }

static void other_allocator(void) {
    char *arena = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(arena != MAP_FAILED);
    foreign((uintptr_t)arena + 64);
}

static void other_allocator_mapping(void) {
    char *arena = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(arena != MAP_FAILED);
    foreign((uintptr_t)arena);
}

static void program_break(void) {
    char *p = sbrk(4096);
    require(p != (void *)-1);
    foreign((uintptr_t)p + 16);
}

const struct scene wild_scenes[] = {
    {"inside_1", inside_1},
    {"inside_8", inside_8},
    {"inside_16", inside_16},
    {"inside_page", inside_page},
    {"inside_last", inside_last},
    {"at_the_end", at_the_end},
    {"inside_freed", inside_freed},
    {"behind_the_last", behind_the_last},
    {"padding_behind", padding_behind},
    {"padding_before", padding_before},
    {"metadata_first", metadata_first},
    {"metadata_headers", metadata_headers},
    {"metadata_middle", metadata_middle},
    {"metadata_last", metadata_last},
    {"unused_writable", unused_writable},
    {"unused_reserved", unused_reserved},
    {"on_stack", on_stack},
    {"on_stack_aligned", on_stack_aligned},
    {"bss", bss},
    {"data", data},
    {"literal", literal},
    {"code", code},
    {"one", one},
    {"minus_one", minus_one},
    {"minus_sixteen", minus_sixteen},
    {"not_canonical", not_canonical},
    {"top_of_user_space", top_of_user_space},
    {"first_not_canonical", first_not_canonical},
    {"kernel", kernel},
    {"badbeef", badbeef},
    {"deadbeef", deadbeef},
    {"other_allocator", other_allocator},
    {"other_allocator_mapping", other_allocator_mapping},
    {"program_break", program_break},
    {NULL, NULL},
};
