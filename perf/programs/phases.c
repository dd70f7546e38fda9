/* Purpose: sizes that change over time: a program whose phases each use other sizes.
 *
 *   phases BYTES ROUNDS
 *
 * A phase fills BYTES with blocks of its size (give or take a quarter) while it frees those of the
 * phase before in random order, all but one in a hundred, which stay until the end of the round. An
 * allocator that binds memory to a size for good grows with each phase (field case F8). */
#include "common.h"

enum { PHASES = 8, KEPT = 100 };
static const char usage[] = "BYTES ROUNDS";
static const size_t sizes[PHASES] = {24, 400, 64, 3000, 40, 1200, 160, 16};
static uint64_t operations, checksum;

struct phase {
    unsigned char **blocks;
    unsigned *order;
    size_t count;
};

static struct phase fill(struct random *random, size_t bytes, size_t size, struct phase *before) {
    struct phase phase = {NULL, NULL, bytes / size};
    size_t freed = 0;
    phase.blocks = get(phase.count * sizeof *phase.blocks);
    phase.order = get(phase.count * sizeof *phase.order);
    random_order(random, phase.order, phase.count);
    for (size_t i = 0; i < phase.count; i++) {
        size_t this_size = size - size / 4 + random_below(random, size / 2);
        phase.blocks[i] = get_filled(this_size, (unsigned char)i);
        operations++;
        /* The old phase goes at the rate at which the new one comes. */
        size_t gone = (size_t)((double)before->count * (double)(i + 1) / (double)phase.count);
        for (; freed < gone; freed++) {
            unsigned victim = before->order[freed];
            if (victim % KEPT == 0)
                continue;
            checksum += *before->blocks[victim];
            free(before->blocks[victim]);
            operations++;
        }
    }
    return phase;
}

static void release(struct phase *phase, size_t step) {
    for (size_t i = 0; i < phase->count; i += step) {
        checksum += *phase->blocks[i];
        free(phase->blocks[i]);
        operations++;
    }
    free(phase->blocks);
    free(phase->order);
}

int main(int count, char **arguments) {
    size_t bytes = number(count, arguments, 1, usage), rounds = number(count, arguments, 2, usage);
    struct random random = {9};
    for (size_t round = 0; round < rounds; round++) {
        struct phase phases[PHASES], none = {NULL, NULL, 0};
        for (size_t i = 0; i < PHASES; i++)
            phases[i] = fill(&random, bytes, sizes[i], i > 0 ? &phases[i - 1] : &none);
        for (size_t i = 0; i < PHASES; i++)
            release(&phases[i], i + 1 < PHASES ? KEPT : 1);
    }
    return finish(operations, checksum);
}
