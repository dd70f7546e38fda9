/* See shadow.h. Blocks above DENSE_BYTES hold a word in every cache line only, so that a million
 * steps take seconds; their first and last DENSE_BYTES / 2 are as dense as small blocks. */
#include "shadow.h"

#include <string.h>

#include "core/classes.h"

enum { DENSE_BYTES = 16384, LINE_BYTES = 64 };

static uint64_t word_at(uint64_t id, size_t offset) {
    return (id ^ offset) * 0x9e3779b97f4a7c15u ^ id << 17;
}

/* The word after the one at `offset`. */
static size_t step(const struct block *block, size_t offset) {
    size_t next = offset + 8;
    if (block->usable <= DENSE_BYTES || next < DENSE_BYTES / 2 ||
        next + DENSE_BYTES / 2 >= block->usable)
        return next;
    return (offset | (LINE_BYTES - 1)) + 1;
}

void shadow_fill(const struct block *block) {
    for (size_t at = 0; at + 8 <= block->usable; at = step(block, at)) {
        uint64_t word = word_at(block->id, at);
        memcpy(block->memory + at, &word, 8);
    }
}

bool shadow_holds(const struct block *block, size_t bytes) {
    for (size_t at = 0; at < bytes; at = step(block, at)) {
        uint64_t word = word_at(block->id, at);
        size_t length = bytes - at < 8 ? bytes - at : 8;
        if (memcmp(block->memory + at, &word, length) != 0)
            return false;
    }
    return true;
}

bool shadow_holds_at(const struct block *block, uint64_t random) {
    size_t at = random % block->usable & ~(size_t)(LINE_BYTES - 1);
    uint64_t word = word_at(block->id, at);
    return memcmp(block->memory + at, &word, 8) == 0;
}

bool is_all_zero(const unsigned char *memory, size_t bytes) {
    return bytes == 0 || (memory[0] == 0 && memcmp(memory, memory + 1, bytes - 1) == 0);
}

static size_t log_uniform(uint64_t *seed, unsigned max_log) {
    unsigned log = (unsigned)random_below(seed, max_log + 1);
    return log == 0 ? random_below(seed, 2)
                    : (size_t)1 << (log - 1) | random_below(seed, (size_t)1 << (log - 1));
}

static size_t border(uint64_t *seed) {
    static const size_t zones[] = {0, 1, 16, 17, 1024, 1025, 128 << 10, (128 << 10) + 1};
    if (random_below(seed, 8) == 0)
        return zones[random_below(seed, 8)];
    size_t limit = random_below(seed, 4) != 0 ? TINY_CLASSES : CLASS_COUNT;
    return size_classes[random_below(seed, limit)].slot_bytes - 1 + random_below(seed, 3);
}

size_t random_size(uint64_t *seed) {
    unsigned choice = (unsigned)random_below(seed, 200);
    if (choice < 50)
        return border(seed);
    if (choice < 150)
        return log_uniform(seed, 11);
    if (choice < 198)
        return log_uniform(seed, 17);
    return log_uniform(seed, 22);
}

size_t random_alignment(uint64_t *seed) {
    unsigned choice = (unsigned)random_below(seed, 64);
    unsigned logs = choice == 0 ? 22 : choice < 16 ? 15 : 8;
    return (size_t)1 << random_below(seed, logs);
}
