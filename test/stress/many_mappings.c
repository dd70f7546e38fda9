/* Purpose: the number of mappings stays small over a long run (field cases 20, E2). Protects: after
 * OPERATIONS random calls with sizes spread evenly from 4 KiB to 64 MiB there are at most 64
 * mappings more than after the first thousand, both times with all blocks freed; and never as many
 * as 1000 while they live (256 blocks at once).
 *
 * many_mappings OPERATIONS */
#include "held.h"

enum { SLOTS = 256, LIVE_MAX = 1000, SAMPLE = 4096 };

static struct block *slots[SLOTS];
static size_t most_mappings;

/* Little of a block is touched: 64 bytes at its start, and its last page. */
static struct block *place(struct block **slot, struct block *block, size_t bytes) {
    CHECK(block != NULL, "no memory for %zu bytes", bytes);
    block->bytes = bytes;
    block->seed = (uintptr_t)slot;
    ((unsigned char *)block)[bytes - 1] = (unsigned char)bytes;
    return block;
}

static void verify(struct block **slot) {
    CHECK((*slot)->seed == (uintptr_t)slot, "the block is damaged");
    size_t bytes = (*slot)->bytes;
    CHECK(((unsigned char *)*slot)[bytes - 1] == (unsigned char)bytes, "its last byte is damaged");
}

static void operate(uint64_t *state, struct block **slot) {
    size_t bytes = log_uniform(state, 4096, 14);
    size_t kind = random_below(state, 8);
    if (*slot == NULL) {
        *slot = place(slot, kind == 7 ? memalign((size_t)4096 << (bytes & 7), bytes)
                                      : kind == 6 ? calloc(1, bytes) : malloc(bytes), bytes);
        return;
    }
    verify(slot);
    if (kind < 6) {
        free(*slot);
        *slot = NULL;
    } else {
        size_t old = (*slot)->bytes;
        *slot = realloc(*slot, bytes);
        CHECK(*slot != NULL && (*slot)->bytes == old, "realloc to %zu bytes", bytes);
        place(slot, *slot, bytes);
    }
}

static void operations(uint64_t *state, size_t count) {
    for (size_t i = 0; i < count; i++) {
        operate(state, &slots[random_below(state, SLOTS)]);
        if (i % SAMPLE == 0) {
            size_t now = mapping_count();
            most_mappings = now > most_mappings ? now : most_mappings;
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (slots[i] != NULL)
            verify(&slots[i]);
        free(slots[i]);
        slots[i] = NULL;
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: many_mappings OPERATIONS");
    size_t count = number_argument(argv[1]) / SLOWNESS;
    uint64_t state = random_seed(20);
    operations(&state, 1000);
    size_t before = mapping_count();
    operations(&state, count);
    size_t after = mapping_count();
    printf("%zu operations: %zu mappings before, %zu after, %zu at most\n", count, before, after,
           most_mappings);
    CHECK(after <= before + 64, "%zu mappings, before %zu", after, before);
    CHECK(most_mappings < LIVE_MAX, "%zu mappings with %d blocks live", most_mappings, SLOTS);
    heap_check("at the end");
    return 0;
}
