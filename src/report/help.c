/* Purpose: help.h.
 *
 *   on_error=report (from SLABMALLOC_OPTIONS)
 *       abort|report|ignore; default abort; may change while the process runs
 *       what a bad free or a like fault does: ... */
#include "report/help.h"

#include "core/options.h"
#include "slabmalloc/slabmalloc.h"

#define STRING(x) #x
#define VERSION_OF(major, minor, patch) STRING(major) "." STRING(minor) "." STRING(patch)

static const char *const source_names[] = {
    [OPTION_FROM_DEFAULT] = "the default",
    [OPTION_FROM_PRESET] = "the preset",
    [OPTION_FROM_PROGRAM] = "the program's slabmalloc_options",
    [OPTION_FROM_ENVIRONMENT] = "SLABMALLOC_OPTIONS",
    [OPTION_FROM_VARIABLE] = "its own variable",
    [OPTION_FROM_CALL] = "slm_option_set",
};

static void put_option(struct out *out, enum option option) {
    const struct option_entry *entry = &option_table[option];
    TEXT(line, OUT_LINE_BYTES);
    text_format(&line, "%s=", entry->name);
    option_value_put(&line, &entry->range, option_get(option));
    text_format(&line, " (from %s)\n", source_names[option_source(option)]);
    out_text(out, &line);
    line.used = 0;
    text_format(&line, "    ");
    option_range_put(&line, &entry->range);
    text_format(&line, "; default ");
    option_value_put(&line, &entry->range, entry->initial);
    text_format(&line, entry->when == OPTION_LIVE ? "; may change while the process runs\n"
                                                  : "; fixed at the start\n");
    out_text(out, &line);
    out_format(out, "    %s\n", entry->help);
}

void help_print(struct out *out) {
    out_format(out, "slabmalloc " VERSION_OF(SLABMALLOC_VERSION_MAJOR, SLABMALLOC_VERSION_MINOR,
                                             SLABMALLOC_VERSION_PATCH) "\n");
    out_format(out, "\noptions: SLABMALLOC_OPTIONS=name=value,... or SLABMALLOC_<NAME>=value\n\n");
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        put_option(out, (enum option)i);
    out_format(out, "\npresets: preset=NAME\n\n");
    for (unsigned i = 0; i < PRESET_COUNT; i++) {
        const struct preset_entry *preset = &preset_table[i];
        out_format(out, "%s: %s\n    %s\n", preset->name, preset->purpose,
                   preset->row[0] != 0 ? preset->row : "all options as they are by default");
    }
}
