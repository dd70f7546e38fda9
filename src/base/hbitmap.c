/* Purpose: the hierarchical bitmap of hbitmap.h. */
#include "base/hbitmap.h"

static size_t words_at(size_t size, unsigned level) {
    for (unsigned k = 0; k <= level; k++)
        size = (size + 63) / 64;
    return size ? size : 1;
}

AT_START size_t hbitmap_bytes(size_t size) {
    size_t words = 0;
    for (unsigned level = 0; level < HBITMAP_LEVELS; level++)
        words += words_at(size, level);
    return words * sizeof(uint64_t);
}

AT_START void hbitmap_init(struct hbitmap *map, void *memory, size_t size) {
    uint64_t *next = memory;
    ASSERT(size <= HBITMAP_MAX);
    map->size = size;
    for (unsigned level = HBITMAP_LEVELS; level-- > 0;) {
        map->level[level] = next;
        next += words_at(size, level);
    }
}

void hbitmap_insert(struct hbitmap *map, size_t member) {
    for (unsigned level = 0; level < HBITMAP_LEVELS; level++) {
        uint64_t *word = &map->level[level][member / 64];
        uint64_t before = *word;
        *word = before | (uint64_t)1 << (member % 64);
        if (before != 0)
            return;
        member /= 64;
    }
}

void hbitmap_remove(struct hbitmap *map, size_t member) {
    for (unsigned level = 0; level < HBITMAP_LEVELS; level++) {
        uint64_t *word = &map->level[level][member / 64];
        *word &= ~((uint64_t)1 << (member % 64));
        if (*word != 0)
            return;
        member /= 64;
    }
}

bool hbitmap_has(const struct hbitmap *map, size_t member) {
    return map->level[0][member / 64] >> (member % 64) & 1;
}

size_t hbitmap_lowest(const struct hbitmap *map) {
    size_t index = 0;
    for (unsigned level = HBITMAP_LEVELS; level-- > 0;) {
        uint64_t word = map->level[level][index];
        if (word == 0)
            return SIZE_MAX;
        index = index * 64 + bit_lowest(word);
    }
    return index;
}

size_t hbitmap_next(const struct hbitmap *map, size_t from) {
    /* Climb until a level has a member at or after `from`, then descend to its lowest. */
    size_t limit = map->size;
    for (unsigned level = 0; level < HBITMAP_LEVELS && from < limit; level++) {
        uint64_t word = map->level[level][from / 64] >> (from % 64);
        if (word != 0) {
            from += bit_lowest(word);
            while (level-- > 0)
                from = from * 64 + bit_lowest(map->level[level][from]);
            return from;
        }
        from = from / 64 + 1;
        limit = (limit + 63) / 64;
    }
    return SIZE_MAX;
}

size_t hbitmap_skip(const struct hbitmap *map, size_t count, size_t *below) {
    size_t member = hbitmap_lowest(map);
    *below = 0;
    while (member != SIZE_MAX && *below < count) {
        uint64_t word = map->level[0][member / 64];
        size_t base = round_down(member, 64);
        if (*below + bit_count(word) <= count) {
            *below += bit_count(word);
            member = hbitmap_next(map, base + 64);
            continue;
        }
        for (; *below < count; ++*below)
            word &= word - 1;
        member = base + bit_lowest(word);
    }
    return member;
}

/* Untouched zeros beyond the limit are not read: all of level 0 would be megabytes. */
bool hbitmap_verify(const struct hbitmap *map, size_t limit) {
    size_t size = limit;
    for (unsigned level = 0; level + 1 < HBITMAP_LEVELS; level++) {
        size = (size + 63) / 64;
        for (size_t index = 0; index < size; index++) {
            bool named = map->level[level + 1][index / 64] >> (index % 64) & 1;
            if (named != (map->level[level][index] != 0))
                return false;
        }
    }
    return limit >= map->size || hbitmap_next(map, limit) == SIZE_MAX;
}
