/* Purpose: leaks.h. */
#include "report/leaks.h"

#include <errno.h>

#include "base/fatal.h"
#include "core/options.h"
#include "heap/leaks.h"
#include "report/modules.h"

enum { GROUP_BYTES = 2048, HEAD_BYTES = 640 };

static int write_group(const struct check_leak *leak, int fd) {
    TEXT(text, GROUP_BYTES);
    text_format(&text, "slabmalloc:   %zu block%s of %zu byte%s, allocated with %s, called from\n",
                leak->count, plural(leak->count), leak->bytes, plural(leak->bytes),
                call_facts[leak->call].name);
    for (unsigned i = 0; i < leak->depth; i++) {
        text_format(&text, "slabmalloc:     ");
        modules_put(&text, leak->frames[i]);
        text_format(&text, "\n");
    }
    return text_write_unread(&text, fd);
}

static void put_blocks(struct text *text, size_t bytes, size_t blocks) {
    text_format(text, "%zu byte%s in %zu block%s", bytes, plural(bytes), blocks, plural(blocks));
}

static void put_live(struct text *text, const struct check_leaks *leaks, const char *when) {
    put_blocks(text, leaks->bytes, leaks->blocks);
    text_format(text, " still live%s, from %zu place%s (and %zu byte%s in %zu that are the C "
                      "library's own)\n",
                when, leaks->group_count, plural(leaks->group_count), leaks->own_bytes,
                plural(leaks->own_bytes), leaks->own_blocks);
}

static void put_lost(struct text *text, const struct check_leaks *leaks) {
    put_blocks(text, leaks->bytes, leaks->blocks);
    text_format(text, " lost, from %zu place%s", leaks->group_count, plural(leaks->group_count));
    if (leaks->held_blocks > 0) {
        text_format(text, ", and with them ");
        put_blocks(text, leaks->held_bytes, leaks->held_blocks);
        text_format(text, " that only they lead to");
    }
    text_format(text, "\n");
    if (!leaks->saw_mappings)
        text_format(text, "slabmalloc:   /proc can't be read: other threads' stacks, and memory "
                          "that the program has mapped, were not looked through; what only they "
                          "point to is counted as lost\n");
    else if (leaks->unstopped == SIZE_MAX)
        text_format(text, "slabmalloc:   other threads could not be stopped\n");
    else if (leaks->unstopped > 0)
        text_format(text, "slabmalloc:   %zu thread%s could not be stopped: what only their "
                          "registers point to is counted as lost\n",
                    leaks->unstopped, plural(leaks->unstopped));
}

/* With what is listed, this adds up to the total. */
static int write_rest(const struct check_leaks *leaks, size_t shown, int fd) {
    TEXT(text, HEAD_BYTES);
    size_t bytes = 0;
    size_t blocks = 0;
    for (size_t i = shown; i < leaks->group_count; i++) {
        bytes += leaks->groups[i].count * leaks->groups[i].bytes;
        blocks += leaks->groups[i].count;
    }
    text_format(&text, "slabmalloc:   and %zu more place%s: ", leaks->group_count - shown,
                plural(leaks->group_count - shown));
    put_blocks(&text, bytes, blocks);
    text_format(&text, "\n");
    return text_write_unread(&text, fd);
}

static int write_all(const struct check_leaks *leaks, const char *when, int fd) {
    TEXT(text, HEAD_BYTES);
    if (leaks->blocks == 0)
        return 0;
    text_format(&text, "slabmalloc: leaks: ");
    if (leaks->kind == CHECK_LEAKS_LIVE)
        put_live(&text, leaks, when);
    else
        put_lost(&text, leaks);
    int error = text_write_unread(&text, fd);
    size_t shown = option_get(OPTION_leaks_max);
    for (size_t i = 0; i < leaks->group_count && i < shown && error == 0; i++)
        error = write_group(&leaks->groups[i], fd);
    return leaks->group_count > shown && error == 0 ? write_rest(leaks, shown, fd) : error;
}

int leaks_report(int fd, enum check_leaks_kind kind, const char *when, size_t *blocks) {
    struct check_leaks leaks;
    *blocks = 0;
    if (!heap_find_leaks(kind, &leaks)) {
        TEXT(text, 80);
        text_format(&text, "slabmalloc: leaks: no memory to look for them\n");
        text_write_unread(&text, fd);
        return ENOMEM;
    }
    *blocks = leaks.blocks + leaks.held_blocks;
    int error = write_all(&leaks, when, fd);
    check_drop_leaks(&leaks);
    return error;
}
