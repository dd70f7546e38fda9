/* Purpose: leaks.h. */
#include "report/leaks.h"

#include "base/fatal.h"
#include "check/check.h"
#include "report/modules.h"

enum { GROUPS_SHOWN = 100, GROUP_BYTES = 2048 };

static void write_group(const struct check_leak *leak, int fd) {
    TEXT(text, GROUP_BYTES);
    text_format(&text, "slabmalloc:   %zu block%s of %zu bytes, allocated with %s, called from\n",
                leak->count, leak->count == 1 ? "" : "s", leak->bytes, call_facts[leak->call].name);
    for (unsigned i = 0; i < leak->depth; i++) {
        text_format(&text, "slabmalloc:     ");
        modules_put(&text, leak->frames[i]);
        text_format(&text, "\n");
    }
    text_write(&text, fd);
}

bool leaks_report(int fd) {
    struct check_leaks leaks;
    TEXT(text, 320);
    if (!check_collect_leaks(&leaks))
        text_format(&text, "slabmalloc: leaks: no memory to list the live blocks\n");
    else if (leaks.blocks > 0)
        text_format(&text, "slabmalloc: leaks: %zu bytes in %zu block%s still live at exit, from "
                           "%zu place%s (and %zu bytes in %zu that are the C library's own)\n",
                    leaks.bytes, leaks.blocks, leaks.blocks == 1 ? "" : "s", leaks.group_count,
                    leaks.group_count == 1 ? "" : "s", leaks.own_bytes, leaks.own_blocks);
    text_write(&text, fd);
    for (size_t i = 0; i < leaks.group_count && i < GROUPS_SHOWN; i++)
        write_group(&leaks.groups[i], fd);
    if (leaks.group_count > GROUPS_SHOWN) {
        TEXT(rest, 80);
        text_format(&rest, "slabmalloc:   and %zu places more\n", leaks.group_count - GROUPS_SHOWN);
        text_write(&rest, fd);
    }
    return leaks.blocks > 0;
}
