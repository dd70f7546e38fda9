/* Purpose: fuzz target: the bytes of an input are calls of the API on a table of blocks, from up to
 *          three threads that take turns, with refused system calls and pointers that are wrong;
 *          after each call what the caller may rely on is checked against the table.
 *
 * Protects: contents, zeroes, alignment, sizes, errno (field cases 11 to 17), allocation failing
 * only when the system refused something (18), exits of threads that leave blocks (6), verdicts
 * on any pointer (A9). An operation is a byte: what to do in its low five bits, a variant in the
 * others; operands follow as they are needed, zeros behind the end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "os/os.h"
#include "slabmalloc/slabmalloc.h"

enum { KEPT_ERRNO = 4242, CHECK_EVERY = 16 };

enum operation {
    MALLOC,
    CALLOC,
    ALIGNED_ALLOC,
    POSIX_MEMALIGN,
    MEMALIGN,
    MANY, /* allocate */
    REALLOC,
    FREE,
    FREE_MANY,
    LOOK,
    QUERY,
    TRIM,
    INJECT,
    ABSURD,
    SWITCH,
    EXIT,
    OTHERS,
};

struct input input;
static unsigned current_actor;

void fuzz_fail(const char *what, const struct block *block) {
    fprintf(stderr, "fuzz_calls: operation %u, before byte %zu, actor %u: %s", input.calls,
            input.at, current_actor, what);
    if (block != NULL)
        fprintf(stderr, " (block %p, size %zu, usable %zu, alignment %zu)", (void *)block->memory,
                block->size, block->usable, block->alignment);
    fprintf(stderr, "; errno %d\n", errno);
    abort();
}

/* --- operands ---- */

static size_t take_size(void) {
    size_t first = take_byte(), second = take_byte(), size;
    size_t high = first >> 2;
    switch (first & 3) {
    case 0: /* the borders of classes */
        size = size_classes[high % CLASS_COUNT].slot_bytes + second % 5 - 2;
        break;
    case 1: /* TINY and the first SMALL ones */
        size = high << 6 | second >> 2;
        break;
    case 2: /* up to 256 KiB */
        size = (high << 8 | second) * 16;
        break;
    default: /* the border of LARGE, and LARGE */
        size = SMALL_MAX_BYTES + high * (12 << 10) + second - 128;
        break;
    }
    return table_bytes() + size <= TABLE_BYTES_MAX ? size : size % 1024;
}

static size_t take_alignment(void) { return (size_t)1 << take_byte() % 22; }

/* --- allocating ---- */

/* What every call must have left behind that returns memory, or NULL for want of it. */
static bool check_result(const struct block *block, uint32_t refused_before) {
    if (block->memory == NULL) {
        if (os_injected() == refused_before)
            fuzz_fail("no memory, though the system refused nothing", block);
        if (errno != ENOMEM)
            fuzz_fail("another errno than ENOMEM", block);
        return false;
    }
    if (errno != KEPT_ERRNO)
        fuzz_fail("errno was changed by a call that succeeded", block);
    return true;
}

static void enter_fresh(unsigned slot, struct block block, uint32_t refused_before) {
    if (!check_result(&block, refused_before))
        return;
    table_enter(slot, block);
    const struct block *entered = table_get(slot);
    if (os_injected() == refused_before &&
        !usable_is_expected(entered->usable, block.size, block.alignment))
        fuzz_fail("another usable size than a slot's for it", entered);
}

static void free_block(unsigned slot, unsigned variant) {
    if (table_get(slot)->memory == NULL)
        return;
    struct block block = table_remove(slot);
    errno = KEPT_ERRNO;
    switch (variant % 8) {
    case 1:
        slm_free_sized(block.memory, block.size);
        break;
    case 2:
        slm_free_aligned_sized(block.memory, block.alignment, block.size);
        break;
    case 3:
        if (slm_realloc(block.memory, 0) != NULL)
            fuzz_fail("realloc to 0 returns a block", &block);
        break;
    case 4: /* hints that are wrong are harmless */
        slm_free_sized(block.memory, block.size / 2 + 1000);
        break;
    default:
        slm_free(block.memory);
        break;
    }
    slm_free(NULL);
    if (errno != KEPT_ERRNO)
        fuzz_fail("a free has changed errno", &block);
    query_freed(&block);
}

static void *call_calloc(struct block *block, size_t count) {
    block->size = block->size / count * count;
    unsigned char *memory = slm_calloc(count, block->size / count);
    block->memory = memory;
    if (memory != NULL && !is_all_zero(memory, block->size))
        fuzz_fail("calloc's block is not zero", block);
    return memory;
}

static void *call_posix_memalign(struct block *block) {
    if (block->alignment < sizeof(void *))
        block->alignment = sizeof(void *);
    void *memory = block;
    int error = slm_posix_memalign(&memory, block->alignment, block->size);
    if (error == 0)
        return memory;
    if (memory != block)
        fuzz_fail("posix_memalign has failed and stored something", block);
    if (errno != KEPT_ERRNO)
        fuzz_fail("posix_memalign has set errno", block);
    errno = error;
    return NULL;
}

static void *call(enum operation operation, unsigned variant, struct block *block) {
    switch (operation) {
    case CALLOC:
        return call_calloc(block, 1 + variant);
    case ALIGNED_ALLOC:
        return slm_aligned_alloc(block->alignment, block->size);
    case POSIX_MEMALIGN:
        return call_posix_memalign(block);
    case MEMALIGN: /* rounds an alignment up that is no power of two */
        return slm_memalign(variant % 2 ? block->alignment / 2 + 1 : block->alignment, block->size);
    default:
        return slm_malloc(block->size);
    }
}

static void allocate(enum operation operation, unsigned variant) {
    unsigned slot = take_byte();
    struct block block = {.size = take_size(), .alignment = 1};
    if (operation != MALLOC && operation != CALLOC)
        block.alignment = take_alignment();
    free_block(slot, variant);
    uint32_t refused = os_injected();
    errno = KEPT_ERRNO;
    block.memory = call(operation, variant, &block);
    enter_fresh(slot, block, refused);
}

/* Many of a size, which is how slabs become full. */
static void allocate_many(unsigned variant) {
    unsigned slot = take_byte();
    unsigned count = 1 + take_byte() % (TABLE_SLOTS / 2);
    size_t size = take_size();
    for (; count > 0 && table_bytes() + size <= TABLE_BYTES_MAX; count--, slot++) {
        struct block block = {.size = size, .alignment = 1};
        free_block(slot % TABLE_SLOTS, 0);
        uint32_t refused = os_injected();
        errno = KEPT_ERRNO;
        block.memory = call(variant % 2 ? CALLOC : MALLOC, 0, &block);
        enter_fresh(slot % TABLE_SLOTS, block, refused);
    }
}

static void free_many(unsigned variant) {
    unsigned slot = take_byte();
    unsigned count = 1 + take_byte() % (TABLE_SLOTS / 2);
    unsigned step = 1 + variant % 4;
    for (; count > 0; count--, slot += step)
        free_block(slot % TABLE_SLOTS, 0);
}

/* --- resizing ---- */

/* As seen from the caller: the old block is gone or whole, the new one holds what it held. */
static void reallocate(unsigned variant) {
    unsigned slot = take_byte();
    struct block block = {.size = take_size(), .alignment = 1};
    size_t count = variant % 2 ? 1 + variant : 0; /* 0: realloc, else reallocarray */
    struct block old = *table_get(slot);
    if (old.memory != NULL)
        old = table_remove(slot);
    if (count != 0)
        block.size = block.size / count * count;
    if (old.memory != NULL && block.size == 0)
        block.size = count + (count == 0); /* to 0 is a free: see free_block */
    uint32_t refused = os_injected();
    errno = KEPT_ERRNO;
    block.memory = count == 0 ? slm_realloc(old.memory, block.size)
                              : slm_reallocarray(old.memory, count, block.size / count);
    if (old.memory == NULL) {
        enter_fresh(slot, block, refused);
        return;
    }
    if (!check_result(&block, refused)) {
        if (block.size <= old.usable)
            fuzz_fail("a block could not shrink", &old);
        table_enter(slot, old);
        return;
    }
    /* Tell by the old identity: entering fills it anew. */
    struct block held = {.memory = block.memory, .usable = old.usable, .id = old.id};
    if (!shadow_holds(&held, old.usable < block.size ? old.usable : block.size))
        fuzz_fail("realloc lost the contents", &block);
    if (block.memory == old.memory)
        block.alignment = old.alignment;
    table_enter(slot, block);
    const struct block *entered = table_get(slot);
    bool stayed = block.memory == old.memory && entered->usable == old.usable;
    if (!stayed && os_injected() == refused && !usable_is_expected(entered->usable, block.size, 1))
        fuzz_fail("a usable size that is neither the old one nor the least", entered);
}

/* --- calls that must fail ---- */

static void expect_failure(const void *result, int error, const char *what) {
    if (result != NULL)
        fuzz_fail(what, NULL);
    if (errno != error)
        fuzz_fail("a call that must fail sets another errno", NULL);
    errno = KEPT_ERRNO;
}

/* What no machine has (and from PTRDIFF_MAX on no C): 128 TiB to SIZE_MAX. */
static size_t take_absurd_size(void) {
    size_t log = 47 + take_byte() % 17, less = take_byte();
    return take_byte() % 2 ? ((size_t)1 << log) + less : SIZE_MAX - (((size_t)1 << log) - 1 - less);
}

static void fail_on_purpose(unsigned kind) {
    const struct block *block = table_get(take_byte());
    volatile size_t absurd = take_absurd_size(); /* the compiler would warn of what it knows */
    void *result = &result;
    errno = KEPT_ERRNO;
    switch (kind % 8) {
    case 0:
        expect_failure(slm_malloc(absurd), ENOMEM, "malloc of an absurd size");
        break;
    case 1:
        expect_failure(slm_calloc(absurd, 2), ENOMEM, "calloc of an absurd size");
        expect_failure(slm_calloc(absurd / 8 + 1, absurd), ENOMEM, "calloc with an overflow");
        break;
    case 2:
        expect_failure(slm_realloc(block->memory, absurd), ENOMEM, "realloc to an absurd size");
        break;
    case 3:
        expect_failure(slm_reallocarray(block->memory, absurd, absurd / 4), ENOMEM,
                       "reallocarray with an overflow");
        break;
    case 4:
        expect_failure(slm_aligned_alloc(take_alignment(), absurd), ENOMEM,
                       "aligned_alloc of an absurd size");
        expect_failure(slm_aligned_alloc(24 * take_alignment(), 8), EINVAL, "aligned_alloc to 24");
        break;
    case 5:
        expect_failure(slm_memalign(((size_t)1 << 63) + 1, absurd), EINVAL, "memalign to too much");
        expect_failure(slm_memalign((size_t)1 << (47 + absurd % 17), 8), ENOMEM,
                       "memalign to an absurd alignment");
        break;
    case 6:
        if (slm_posix_memalign(&result, 4, 8) != EINVAL ||
            slm_posix_memalign(&result, 40, 8) != EINVAL ||
            slm_posix_memalign(&result, 64, absurd) != ENOMEM || result != &result)
            fuzz_fail("posix_memalign that must fail", NULL);
        break;
    default:
        expect_failure(slm_pvalloc(absurd), ENOMEM, "pvalloc of an absurd size");
        break;
    }
    if (errno != KEPT_ERRNO)
        fuzz_fail("errno was changed", NULL);
    if (block->memory != NULL && !shadow_holds(block, block->usable))
        fuzz_fail("a call that failed has changed a block", block);
}

/* --- the walk ---- */

static void inject(unsigned variant) {
    static const uint32_t counts[] = {1, 1, 2, 3, 5, 16, 256, INT32_MAX};
    unsigned calls = take_byte();
    os_inject(calls % 64, (calls >> 6) * 4 + take_byte() % 16, counts[variant]);
}

static void look_at(unsigned slot) {
    const struct block *block = table_get(slot);
    if (block->memory == NULL)
        return;
    if (slm_malloc_usable_size(block->memory) != block->usable)
        fuzz_fail("the usable size has changed", block);
    if (!shadow_holds(block, block->usable))
        fuzz_fail("the contents have changed", block);
}

/* Five bits choose. */
static const uint8_t operations[32] = {
    LOOK,    MALLOC,  MALLOC, MALLOC, CALLOC,    CALLOC,    ALIGNED_ALLOC, POSIX_MEMALIGN,
    MALLOC,  MALLOC,  MALLOC, CALLOC, CALLOC,    MEMALIGN,  ALIGNED_ALLOC, REALLOC,
    REALLOC, REALLOC, FREE,   FREE,   FREE,      FREE,      MANY,          MANY,
    QUERY,   QUERY,   TRIM,   INJECT, FREE_MANY, FREE_MANY, SWITCH,        OTHERS,
};

/* True: the turn ends with `*request`. */
static bool take_step(struct request *request) {
    unsigned byte = take_byte();
    enum operation operation = (enum operation)operations[byte % 32];
    unsigned variant = byte / 32;
    if (operation == OTHERS)
        operation = variant < 4 ? ABSURD : variant < 6 ? EXIT : LOOK;
    switch (operation) {
    case REALLOC:
        reallocate(variant);
        break;
    case FREE:
        free_block(take_byte(), variant);
        break;
    case MANY:
        allocate_many(variant);
        break;
    case FREE_MANY:
        free_many(variant);
        break;
    case ABSURD:
        fail_on_purpose(take_byte());
        break;
    case QUERY:
        query_any(variant, table_get(take_byte()));
        break;
    case TRIM:
        slm_malloc_trim(variant);
        break;
    case INJECT:
        inject(variant);
        break;
    case SWITCH:
    case EXIT:
        *request = (struct request){operation == EXIT ? REQUEST_EXIT : REQUEST_SWITCH,
                                    current_actor + 1 + variant % 2};
        return true;
    case LOOK:
        look_at(take_byte());
        break;
    default:
        allocate(operation, variant);
        break;
    }
    return false;
}

static struct request take_turn(unsigned actor) {
    struct request request;
    current_actor = actor;
    while (input.at < input.size) {
        bool ends = take_step(&request);
        if (++input.calls % CHECK_EVERY == 0)
            table_check_heap();
        if (ends)
            return request;
    }
    table_check_heap();
    os_inject(0, 0, 0);
    for (unsigned slot = 0; slot < TABLE_SLOTS; slot++)
        free_block(slot, 0);
    return (struct request){REQUEST_END, 0};
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    input = (struct input){.bytes = bytes, .size = size};
    actors_run(take_turn);
    table_check_heap();
    table_check_nothing_left();
    slm_malloc_trim(0); /* the next input starts, as nearly as can be, from the same heap */
    table_check_heap();
    return 0;
}
