/* Protects: help shows every option with its value and source, and every preset; tools/options
 * reads what it prints. */
#include "../expect.h"

#include <stdio.h>
#include <string.h>

#include "core/options.h"
#include "report/help.h"

struct page {
    char bytes[1 << 15];
    size_t used;
};

static int to_page(void *context, const struct text *text) {
    struct page *page = context;
    EXPECT(page->used + text->used < sizeof page->bytes);
    memcpy(page->bytes + page->used, text->bytes, text->used);
    page->used += text->used;
    return 0;
}

static void print(struct page *page) {
    struct out out;
    page->used = 0;
    out_to_sink(&out, to_page, page);
    help_print(&out);
    EXPECT_EQ(out_end(&out), 0);
    page->bytes[page->used] = 0;
    EXPECT(strchr(page->bytes, '~') == NULL); /* no line was cut */
}

Test(help, names_every_option_and_preset_with_all_there_is_to_know) {
    static struct page page;
    char line[256];
    print(&page);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        snprintf(line, sizeof line, "\n%s=", option_table[i].name);
        EXPECT_AT(strstr(page.bytes, line) != NULL, i);
        EXPECT_AT(strstr(page.bytes, option_table[i].help) != NULL, i);
        EXPECT_AT(option_table[i].help[0] != 0, i);
    }
    for (unsigned i = 0; i < PRESET_COUNT; i++) {
        snprintf(line, sizeof line, "\n%s: %s\n", preset_table[i].name, preset_table[i].purpose);
        EXPECT_AT(strstr(page.bytes, line) != NULL, i);
        EXPECT_AT(strstr(page.bytes, preset_table[i].row) != NULL, i);
    }
    EXPECT(strstr(page.bytes, "\n    abort|report|ignore; default abort; may change while the "
                              "process runs\n") != NULL);
    EXPECT(strstr(page.bytes, "; default default; fixed at the start\n") != NULL);
}

Test(help, shows_present_values_and_where_they_came_from) {
    static struct page page;
    char *environment[] = {(char *)"SLABMALLOC_OPTIONS=preset=memory,on_error=ignore",
                           (char *)"SLABMALLOC_STATS=exit", NULL};
    enum option changed;
    TEXT(complaints, 64);
    options_read("stats_signal=SIGUSR1", environment, &complaints);
    EXPECT_EQ(option_change("large_cache", "3M", &changed), 0);
    print(&page);
    EXPECT(strstr(page.bytes, "\npreset=memory (from SLABMALLOC_OPTIONS)\n") != NULL);
    EXPECT(strstr(page.bytes, "\non_error=ignore (from SLABMALLOC_OPTIONS)\n") != NULL);
    EXPECT(strstr(page.bytes, "\nstats=exit (from its own variable)\n") != NULL);
    EXPECT(strstr(page.bytes, "\nstats_signal=SIGUSR1 (from the program's slabmalloc_options)\n") !=
           NULL);
    EXPECT(strstr(page.bytes, "\npurge_delay=0 (from the preset)\n") != NULL);
    EXPECT(strstr(page.bytes, "\nlarge_cache=3M (from slm_option_set)\n") != NULL);
    EXPECT(strstr(page.bytes, "; default 64M; may change ") != NULL);
    EXPECT(strstr(page.bytes, "memory (from the default)\n") == NULL);
}

Test(help, shows_defaults_as_such) {
    static struct page page;
    print(&page);
    EXPECT(strstr(page.bytes, "\npreset=default (from the default)\n") != NULL);
    EXPECT(strstr(page.bytes, "\nlarge_cache=64M (from the default)\n") != NULL);
}
