/* Purpose: what happens before main and after it: options are read, a report is printed.
 * Owns:    nothing. The allocator works without either having run (field case A5). */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/malloc.h"
#include "base/fatal.h"
#include "core/options.h"
#include "heap/heap.h"
#include "report/explain.h"
#include "report/leaks.h"
#include "slabmalloc/slabmalloc.h"

const char at_exit_anchor = 0;

enum { HELP_BYTES = 4096, REPORT_FD_MIN = 100 };

/* Standard error as it was at the start: many programs close theirs in an atexit handler, which
 * runs before any destructor. */
static int report_fd = 2;

static void keep_stderr(void) {
    int fd = fcntl(2, F_DUPFD_CLOEXEC, REPORT_FD_MIN);
    if (fd >= 0)
        report_fd = fd;
}

/* The first constructor of all, if possible: what counts is the order among fork handlers. */
static __attribute__((constructor(101))) void set_up(void) { heap_set_up(); }

static __attribute__((constructor)) void read_options(void) {
    const char *options = secure_getenv("SLABMALLOC_OPTIONS");
    TEXT(text, HELP_BYTES);
    if (options == NULL)
        return;
    if (strcmp(options, "help") == 0)
        options_help(&text);
    else
        options_parse(options, &text);
    text_write(&text, 2);
    heap_start_checks();
    if (option_get(OPTION_explain_faults) != 0)
        explain_faults_start();
    if (option_get(OPTION_stats) == STATS_EXIT || option_get(OPTION_leaks) == LEAKS_EXIT)
        keep_stderr();
}

static const int leaks_exit_codes[] = {0, 1, 23, 99};

static __attribute__((destructor)) void report(void) {
    if (option_get(OPTION_stats) == STATS_EXIT)
        slm_stats_print(report_fd, SLM_STATS_TEXT);
    if (option_get(OPTION_leaks) != LEAKS_EXIT || !leaks_report(report_fd))
        return;
    int code = leaks_exit_codes[option_get(OPTION_leaks_exit_code)];
    if (code != 0) {
        fflush(NULL); /* what exit would do, but for destructors still to come */
        _exit(code);
    }
}
