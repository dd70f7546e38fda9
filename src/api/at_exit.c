/* Purpose: what happens before main and after it: options are read, a report is printed.
 * Owns:    nothing. The allocator works without either having run (field case A5). */
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "api/malloc.h"
#include "base/fatal.h"
#include "core/options.h"
#include "heap/background.h"
#include "heap/heap.h"
#include "heap/limits.h"
#include "report/diagnosis.h"
#include "report/explain.h"
#include "report/help.h"
#include "report/leaks.h"
#include "report/profile.h"
#include "report/summary.h"
#include "slabmalloc/slabmalloc.h"

const char at_exit_anchor = 0;

enum { COMPLAINTS_BYTES = 4096 };

/* The program's, if it defines one. */
extern const char *slabmalloc_options __attribute__((weak));

/* The first constructor of all, if possible: what counts is the order among fork handlers. */
static __attribute__((constructor(101))) AT_START void set_up(void) { heap_set_up(); }

/* Who started a program with more rights than his own has no say in it (as secure_getenv). */
static bool may_use_environment(void) { return environ != NULL && getauxval(AT_SECURE) == 0; }

static AT_START void read_options(void) {
    const char *program = &slabmalloc_options != NULL ? slabmalloc_options : NULL;
    struct out out;
    TEXT(complaints, COMPLAINTS_BYTES);
    bool help = options_read(program, may_use_environment() ? environ : NULL, &complaints);
    summary_set_up(&complaints);
    text_write(&complaints, 2);
    if (!help)
        return;
    out_to_descriptor(&out, 2);
    help_print(&out);
    out_end(&out);
}

static COLD void set_up_profile(void) {
    TEXT(complaints, COMPLAINTS_BYTES);
    profile_set_up(&complaints);
    text_write(&complaints, 2);
}

static AT_START void start_profile(void) {
    if ((option_get(OPTION_sample) | option_get(OPTION_profile) |
         option_get(OPTION_profile_signal)) != 0)
        set_up_profile();
}

static __attribute__((constructor)) AT_START void start(void) {
    read_options();
    limits_apply_options();
    heap_start_checks();
    start_profile();
    if (option_get(OPTION_explain_faults) != 0)
        explain_faults_start();
    if (option_get(OPTION_background) == BACKGROUND_ON)
        background_apply_option();
}

static __attribute__((destructor)) AT_START void report(void) {
    size_t blocks = 0;
    background_stop();
    summary_at_exit();
    profile_at_exit();
    heap_end_checks();
    diagnose_findings();
    if (option_get(OPTION_leaks) == LEAKS_EXIT)
        leaks_report(summary_descriptor(), (enum check_leaks_kind)option_get(OPTION_leak_check),
                     " at exit", &blocks);
    if (blocks == 0)
        return;
    int code = (int)option_get(OPTION_leaks_exit_code);
    if (code != 0) {
        fflush(NULL); /* what exit would do, but for destructors still to come */
        _exit(code);
    }
}
