/* One random call each of the API, and what must hold right after it. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

static void *call_calloc(struct actor *actor, struct block *block) {
    size_t count = random_below(&actor->seed, 3) == 0 ? 1 + random_below(&actor->seed, 9) : 1;
    block->size = block->size / count * count;
    void *memory = slm_calloc(count, block->size / count);
    if (memory != NULL && !is_all_zero(memory, block->size)) {
        block->memory = memory;
        model_fail(actor, "calloc's block is not zero", block);
    }
    return memory;
}

static void *call_posix_memalign(struct actor *actor, struct block *block) {
    void *memory = NULL;
    if (block->alignment < sizeof(void *))
        block->alignment = sizeof(void *);
    if (slm_posix_memalign(&memory, block->alignment, block->size) != 0)
        model_fail(actor, "posix_memalign failed", block);
    return memory;
}

static void *call_memalign(struct actor *actor, struct block *block) {
    size_t less =
        random_below(&actor->seed, 2) && block->alignment > 2 ? block->alignment / 2 - 1 : 0;
    return slm_memalign(block->alignment - less, block->size);
}

static void *call_pages(struct actor *actor, struct block *block) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    block->alignment = page;
    if (random_below(&actor->seed, 2))
        return slm_valloc(block->size);
    size_t asked = block->size;
    block->size = asked == 0 ? page : (asked + page - 1) / page * page;
    return slm_pvalloc(asked);
}

void model_allocate(struct actor *actor) {
    struct block block = {.size = random_size(&actor->seed), .alignment = 1};
    size_t choice = random_below(&actor->seed, 100);
    void *memory;
    if (choice < 55) {
        memory = slm_malloc(block.size);
    } else if (choice < 75) {
        memory = call_calloc(actor, &block);
    } else if (choice < 80) {
        memory = slm_realloc(NULL, block.size);
    } else if (choice < 82) {
        memory = slm_reallocarray(NULL, 1, block.size);
    } else if (choice < 83) {
        memory = call_pages(actor, &block);
    } else {
        block.alignment = random_alignment(&actor->seed);
        memory = choice < 90   ? slm_aligned_alloc(block.alignment, block.size)
                 : choice < 95 ? call_posix_memalign(actor, &block)
                               : call_memalign(actor, &block);
    }
    if (memory == NULL)
        model_fail(actor, "no memory", &block);
    block.memory = memory;
    model_enter(actor, block);
}

void model_free(struct actor *actor, const struct block *block) {
    switch (random_below(&actor->seed, 8)) {
    case 0:
        slm_free_sized(block->memory, block->size);
        break;
    case 1:
        slm_free_aligned_sized(block->memory, block->alignment, block->size);
        break;
    case 2:
        if (slm_realloc(block->memory, 0) != NULL)
            model_fail(actor, "realloc to 0 returns a block", block);
        break;
    default:
        slm_free(block->memory);
        break;
    }
    slm_free(NULL);
}

/* Near the old size, so that blocks stay, or any other. */
static size_t random_new_size(struct actor *actor, const struct block *block) {
    size_t size;
    if (random_below(&actor->seed, 3) == 0)
        size = block->size + random_below(&actor->seed, block->size / 2 + 2);
    else if (random_below(&actor->seed, 3) == 0)
        size = block->size - random_below(&actor->seed, block->size / 2 + 1);
    else if (block->size > SMALL_MAX_BYTES)
        size = 1 + random_below(&actor->seed, (size_t)4 << 20);
    else
        size = random_size(&actor->seed);
    return size != 0 ? size : 1;
}

void model_reallocate(struct actor *actor) {
    size_t index = random_below(&actor->seed, actor->count);
    struct block block = model_remove(actor, index);
    unsigned kind = model_kind(&block);
    size_t size = random_new_size(actor, &block);
    size_t kept = block.usable < size ? block.usable : size;
    void *memory = random_below(&actor->seed, 4) == 0 ? slm_reallocarray(block.memory, size, 1)
                                                      : slm_realloc(block.memory, size);
    if (memory == NULL)
        model_fail(actor, "realloc has no memory", &block);
    /* A slot that is left is freed; a LARGE block may have been moved whole, or copied. */
    if (memory != block.memory && kind != KIND_LARGE)
        actor->frees[kind]++;
    if (memory != block.memory)
        block.alignment = 1;
    block.memory = memory;
    if (!shadow_holds(&block, kept))
        model_fail(actor, "realloc lost the contents", &block);
    block.size = size;
    model_enter(actor, block);
}

/* Also puts errno back. */
static void expect_error(struct actor *actor, int error, int kept) {
    if (errno != error)
        model_fail(actor, "another errno than due", NULL);
    errno = kept;
}

void model_fail_on_purpose(struct actor *actor) {
    int kept = errno;
    volatile size_t last = PTRDIFF_MAX; /* the compiler must not know: it would warn */
    size_t huge = last + 1 + random_below(&actor->seed, 1000);
    struct block block = {0};
    void *result = &block;
    if (actor->count > 0)
        block = actor->blocks[random_below(&actor->seed, actor->count)];

    if (slm_malloc(huge) != NULL)
        model_fail(actor, "malloc of more than PTRDIFF_MAX", NULL);
    expect_error(actor, ENOMEM, kept);
    if (slm_calloc(huge, 2) != NULL || errno != ENOMEM)
        model_fail(actor, "calloc with an overflow", NULL);
    expect_error(actor, ENOMEM, kept);
    if (block.memory != NULL && slm_realloc(block.memory, huge) != NULL)
        model_fail(actor, "realloc to more than PTRDIFF_MAX", &block);
    if (block.memory != NULL)
        expect_error(actor, ENOMEM, kept);
    if (block.memory != NULL && slm_reallocarray(block.memory, last, 3) != NULL)
        model_fail(actor, "reallocarray with an overflow", &block);
    if (block.memory != NULL)
        expect_error(actor, ENOMEM, kept);
    if (slm_aligned_alloc(24, 100) != NULL)
        model_fail(actor, "aligned_alloc to 24", NULL);
    expect_error(actor, EINVAL, kept);
    if (slm_posix_memalign(&result, 4, 100) != EINVAL ||
        slm_posix_memalign(&result, 16, huge) != ENOMEM || result != &block)
        model_fail(actor, "posix_memalign that must fail", NULL);
    if (block.memory != NULL && !shadow_holds(&block, block.usable))
        model_fail(actor, "a call that failed has changed a block", &block);
}
