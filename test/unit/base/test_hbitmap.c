/* Protects: the hierarchical bitmap against a naive set: at sizes around the borders of its levels
 * up to the largest, and that it stays inside the memory it was given. */
#include "../expect.h"

#include <stdlib.h>
#include <string.h>

#include "base/hbitmap.h"

static const size_t sizes[] = {
    1,    2,     63,     64,     65,     127,     4095,    4096,          4097,
    8192, 70001, 262143, 262144, 262145, 1 << 20, 1 << 21, (1 << 24) - 1, 1 << 24};
enum { SIZE_COUNT = sizeof sizes / sizeof *sizes };

struct pair {
    struct hbitmap map;
    char *memory;
    size_t bytes;
    bool *naive;
    size_t size;
};

/* What lies behind the bitmap's memory is all ones: a read beyond the end shows. */
enum { TAIL_BYTES = 4096 };

static struct pair pair_make(size_t size) {
    struct pair pair = {.size = size, .bytes = hbitmap_bytes(size)};
    pair.memory = malloc(pair.bytes + TAIL_BYTES);
    memset(pair.memory, 0, pair.bytes);
    memset(pair.memory + pair.bytes, 0xff, TAIL_BYTES);
    pair.naive = calloc(size, sizeof *pair.naive);
    hbitmap_init(&pair.map, pair.memory, size);
    return pair;
}

static void pair_drop(struct pair *pair) {
    for (size_t i = 0; i < TAIL_BYTES; i++)
        EXPECT_AT((unsigned char)pair->memory[pair->bytes + i] == 0xff, pair->size);
    free(pair->memory);
    free(pair->naive);
}

static void insert(struct pair *pair, size_t member) {
    hbitmap_insert(&pair->map, member);
    pair->naive[member] = true;
}

static void take_out(struct pair *pair, size_t member) {
    hbitmap_remove(&pair->map, member);
    pair->naive[member] = false;
}

static size_t naive_next(const struct pair *pair, size_t from) {
    while (from < pair->size && !pair->naive[from])
        from++;
    return from < pair->size ? from : SIZE_MAX;
}

static void expect_skips(const struct pair *pair, size_t count) {
    size_t below;
    size_t expected = naive_next(pair, 0);
    size_t skipped = 0;
    for (; skipped < count && expected != SIZE_MAX; skipped++)
        expected = naive_next(pair, expected + 1);
    EXPECT_AT(hbitmap_skip(&pair->map, count, &below) == expected, pair->size);
    EXPECT_AT(below == skipped, pair->size);
}

/* Members that lie at the borders of words of every level. */
static size_t border_member(uint64_t *seed, size_t size) {
    size_t unit = (size_t)1 << (6 * random_below(seed, 5));
    size_t member = unit * random_below(seed, size / unit + 1) + random_below(seed, 3) - 1;
    return member < size ? member : random_below(seed, size);
}

static void random_operations(size_t size, int steps) {
    struct pair pair = pair_make(size);
    uint64_t seed = size;
    for (int i = 0; i < steps; i++) {
        size_t member = border_member(&seed, size);
        if (random_below(&seed, 5) < 2)
            insert(&pair, member);
        else
            take_out(&pair, member);
        size_t probe = border_member(&seed, size);
        EXPECT_AT(hbitmap_has(&pair.map, probe) == pair.naive[probe], size);
        EXPECT_AT(hbitmap_has(&pair.map, member) == pair.naive[member], size);
        if (i % 64 != 0)
            continue;
        EXPECT_AT(hbitmap_lowest(&pair.map) == naive_next(&pair, 0), size);
        expect_skips(&pair, random_below(&seed, 200));
        EXPECT_AT(hbitmap_next(&pair.map, probe) == naive_next(&pair, probe), size);
    }
    for (size_t member = hbitmap_lowest(&pair.map), expected = naive_next(&pair, 0);;
         member = hbitmap_next(&pair.map, member + 1), expected = naive_next(&pair, expected + 1)) {
        EXPECT_AT(member == expected, size);
        if (expected == SIZE_MAX || expected + 1 == size)
            break;
    }
    pair_drop(&pair);
}

Test(hbitmap, agrees_with_a_naive_set_at_sizes_up_to_2_pow_20) {
    for (unsigned i = 0; i < SIZE_COUNT && sizes[i] <= 1 << 20; i++)
        random_operations(sizes[i], 4000);
}

Test(hbitmap, agrees_with_a_naive_set_at_the_largest_sizes) {
    for (unsigned i = 0; i < SIZE_COUNT; i++)
        if (sizes[i] > 1 << 20)
            random_operations(sizes[i], 1500);
}

Test(hbitmap, the_empty_set_has_no_lowest_member) {
    for (unsigned i = 0; i < SIZE_COUNT; i++) {
        struct pair pair = pair_make(sizes[i]);
        EXPECT_AT(hbitmap_lowest(&pair.map) == SIZE_MAX, sizes[i]);
        EXPECT_AT(hbitmap_next(&pair.map, 0) == SIZE_MAX, sizes[i]);
        pair_drop(&pair);
    }
}

Test(hbitmap, first_and_last_member_alone) {
    for (unsigned i = 0; i < SIZE_COUNT; i++) {
        size_t last = sizes[i] - 1;
        struct pair pair = pair_make(sizes[i]);
        insert(&pair, last);
        EXPECT_AT(hbitmap_lowest(&pair.map) == last, sizes[i]);
        EXPECT_AT(hbitmap_next(&pair.map, last) == last, sizes[i]);
        take_out(&pair, last);
        EXPECT_AT(hbitmap_lowest(&pair.map) == SIZE_MAX, sizes[i]);
        insert(&pair, 0);
        EXPECT_AT(hbitmap_lowest(&pair.map) == 0, sizes[i]);
        EXPECT_AT(hbitmap_has(&pair.map, 0), sizes[i]);
        pair_drop(&pair);
    }
}

/* After the last word of a level there is nothing: the search must not run into the next level. */
Test(hbitmap, next_from_behind_the_last_member_finds_nothing) {
    for (unsigned i = 0; i < SIZE_COUNT; i++) {
        size_t size = sizes[i];
        struct pair pair = pair_make(size);
        insert(&pair, 0);
        if (size > 64)
            insert(&pair, 64);
        for (size_t from = size - 1; from > 64 && from + 70 > size; from--)
            EXPECT_AT(hbitmap_next(&pair.map, from) == SIZE_MAX, size);
        pair_drop(&pair);
    }
}

Test(hbitmap, next_from_the_size_itself_finds_nothing) {
    for (unsigned i = 0; i < SIZE_COUNT; i++) {
        struct pair pair = pair_make(sizes[i]);
        insert(&pair, 0);
        insert(&pair, sizes[i] - 1);
        EXPECT_AT(hbitmap_next(&pair.map, sizes[i]) == SIZE_MAX, sizes[i]);
        pair_drop(&pair);
    }
}

Test(hbitmap, a_full_set_is_emptied_from_the_lowest_up) {
    struct pair pair = pair_make(70001);
    for (size_t member = 0; member < pair.size; member++)
        insert(&pair, member);
    for (size_t member = 0; member < pair.size; member++) {
        EXPECT_AT(hbitmap_lowest(&pair.map) == member, member);
        take_out(&pair, member);
    }
    EXPECT_EQ(hbitmap_lowest(&pair.map), SIZE_MAX);
    pair_drop(&pair);
}

Test(hbitmap, inserting_twice_and_removing_twice_change_nothing) {
    struct pair pair = pair_make(5000);
    insert(&pair, 4999);
    insert(&pair, 4999);
    take_out(&pair, 4999);
    EXPECT_EQ(hbitmap_lowest(&pair.map), SIZE_MAX);
    take_out(&pair, 4999);
    insert(&pair, 77);
    EXPECT_EQ(hbitmap_lowest(&pair.map), 77);
    pair_drop(&pair);
}

/* A few words to spare may be in it. */
Test(hbitmap, memory_is_what_the_levels_need) {
    static const struct {
        size_t size, words;
    } needs[] = {{1, 4}, {64, 4}, {65, 5}, {4097, 69}, {HBITMAP_MAX, 262144 + 4096 + 64 + 1}};
    for (unsigned i = 0; i < sizeof needs / sizeof *needs; i++) {
        size_t words = hbitmap_bytes(needs[i].size) / 8;
        EXPECT_EQ(hbitmap_bytes(needs[i].size) % 8, 0);
        EXPECT_AT(words >= needs[i].words && words <= needs[i].words + 8, needs[i].size);
    }
}
