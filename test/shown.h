/* Purpose: reads what show_alloc_mem printed, strictly: each line is one of the forms that the
 *          header and docs/statistics.md promise, in the order promised; or it is named. Allocates
 *          nothing. Header only, C. */
#ifndef SLM_TEST_SHOWN_H
#define SLM_TEST_SHOWN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum shown_zone { SHOWN_NONE, SHOWN_TINY, SHOWN_SMALL, SHOWN_LARGE };

struct shown {
    enum shown_zone zone; /* of the line read last */
    uintptr_t last_end;   /* of the block or mapping read last, in this zone */
    size_t blocks, bytes, zones, slabs, bars, empties, frees, dump_lines;
    bool ended;           /* the total was read */
    bool wrong;
    char wrong_line[256];
    /* Called for each live block, and each line of its contents. */
    void (*block)(enum shown_zone zone, uintptr_t from, size_t bytes, void *context);
    void (*dump)(uintptr_t from, const unsigned char *bytes, size_t count, void *context);
    void *context;
};

/* Whether the line is just what these values print as: scanf takes spaces lightly. */
#define SHOWN_IS(line, ...)                                                                        \
    (snprintf(shown_again, sizeof shown_again, __VA_ARGS__), strcmp(line, shown_again) == 0)

static inline bool shown_zone_line(struct shown *shown, const char *line) {
    static const char *const names[] = {"", "TINY", "SMALL", "LARGE"};
    char name[8];
    size_t address;
    char shown_again[256];
    if (sscanf(line, "%5[A-Z] : 0x%zx", name, &address) != 2 ||
        !SHOWN_IS(line, "%s : 0x%zx", name, address))
        return false;
    for (int zone = SHOWN_TINY; zone <= SHOWN_LARGE; zone++) {
        if (strcmp(name, names[zone]) != 0)
            continue;
        /* Each zone once, but that there can be several ranges of the first two. */
        if (zone < (int)shown->zone || (zone == SHOWN_LARGE && shown->zone == SHOWN_LARGE))
            return false;
        shown->zone = (enum shown_zone)zone;
        shown->last_end = address;
        shown->zones++;
        return true;
    }
    return false;
}

static inline bool shown_block_line(struct shown *shown, const char *line) {
    size_t from, to, bytes;
    char shown_again[256];
    bool is_free = sscanf(line, "0x%zx - 0x%zx : free, %zu", &from, &to, &bytes) == 3;
    if (!is_free && sscanf(line, "0x%zx - 0x%zx : %zu", &from, &to, &bytes) != 3)
        return false;
    if (!SHOWN_IS(line, "0x%zx - 0x%zx : %s%zu bytes", from, to, is_free ? "free, " : "", bytes) ||
        to - from != bytes || bytes == 0 ||
        shown->zone == SHOWN_NONE || (is_free && shown->zone != SHOWN_LARGE))
        return false;
    if (from < shown->last_end) /* ascending, without an overlap */
        return false;
    shown->last_end = to;
    if (is_free) {
        shown->frees++;
        return true;
    }
    shown->blocks++;
    shown->bytes += bytes;
    if (shown->block != NULL)
        shown->block(shown->zone, from, bytes, shown->context);
    return true;
}

static inline bool shown_slab_line(struct shown *shown, const char *line) {
    size_t number, address, slot_bytes;
    char state[16];
    int used = 0;
    if (sscanf(line, "slab %zu : 0x%zx, class %zu, %15[a-z ], %n", &number, &address, &slot_bytes,
               state, &used) != 4 ||
        used == 0)
        return false;
    shown->slabs++;
    return strncmp(line + used, "owner", 5) == 0 || strcmp(line + used, "no owner") == 0;
}

static inline bool shown_bar_line(struct shown *shown, const char *line) {
    size_t cells = strspn(line + 3, "#+:.");
    size_t live, slots, remote;
    int used = 0;
    if (strncmp(line, "  [", 3) != 0 || cells == 0 || cells > 64)
        return false;
    const char *rest = line + 3 + cells;
    if (sscanf(rest, "] %zu of %zu slots live%n", &live, &slots, &used) != 2 || used == 0)
        return false;
    rest += used;
    used = 0;
    if (*rest != 0 &&
        (sscanf(rest, ", %zu remote frees pending%n", &remote, &used) != 1 || rest[used] != 0))
        return false;
    shown->bars++;
    return live <= slots && cells == (slots < 64 ? slots : 64);
}

static inline bool shown_dump_line(struct shown *shown, const char *line) {
    unsigned char bytes[16];
    size_t from, count = 0;
    int used = 0;
    if (sscanf(line, "  0x%zx  %n", &from, &used) != 1 || used == 0)
        return false;
    const char *hex = line + used;
    if (strcmp(hex, "can't be read") == 0)
        return true;
    for (; count < 16; count++) {
        unsigned byte;
        if (sscanf(hex + count * 3 + count / 8, "%2x", &byte) != 1 ||
            hex[count * 3 + count / 8] == ' ')
            break;
        bytes[count] = (unsigned char)byte;
    }
    const char *bar = strchr(hex, '|');
    if (bar != hex + 16 * 3 + 2 || strlen(bar) != count + 2 || bar[count + 1] != '|')
        return false;
    for (size_t i = 0; i < count; i++)
        if (bar[1 + i] != (bytes[i] >= ' ' && bytes[i] < 0x7f ? bytes[i] : '.'))
            return false;
    shown->dump_lines++;
    if (shown->dump != NULL)
        shown->dump(from, bytes, count, shown->context);
    return count > 0;
}

static inline bool shown_other_line(struct shown *shown, const char *line) {
    size_t a, b;
    char shown_again[256];
    if (sscanf(line, "Total : %zu", &a) == 1) {
        shown->ended = SHOWN_IS(line, "Total : %zu bytes", a);
        return shown->ended && a == shown->bytes;
    }
    int read = sscanf(line, "empty : %zu slabs, %zu", &a, &b);
    shown->empties += read >= 1 ? a : 0;
    if (read == 2)
        return SHOWN_IS(line, "empty : %zu slabs, %zu bytes in memory", a, b);
    return read == 1 && SHOWN_IS(line, "empty : %zu slabs, an unknown part in memory", a);
}

static inline void shown_line(struct shown *shown, const char *line) {
    if (shown->wrong)
        return;
    if (!shown->ended && (shown_block_line(shown, line) || shown_dump_line(shown, line) ||
                          shown_zone_line(shown, line) || shown_slab_line(shown, line) ||
                          shown_bar_line(shown, line) || shown_other_line(shown, line)))
        return;
    shown->wrong = true;
    snprintf(shown->wrong_line, sizeof shown->wrong_line, "%.200s", line);
}

/* Reads a file descriptor to its end; true if every line was right, the total the last. */
static inline bool shown_read(struct shown *shown, int fd) {
    char text[4096];
    size_t used = 0;
    ssize_t n;
    while ((n = read(fd, text + used, sizeof text - 1 - used)) > 0) {
        used += (size_t)n;
        text[used] = 0;
        char *line = text;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = 0;
            shown_line(shown, line);
        }
        used = strlen(line);
        memmove(text, line, used);
    }
    return !shown->wrong && shown->ended && used == 0;
}

#endif
