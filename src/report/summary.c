/* Purpose: summary.h.
 *
 * The handler runs on whatever stack the program gives it, which may be small (SIGSTKSZ): what it
 * needs besides, 10 KiB, is static. A second signal while a report is being written adds nothing to
 * it and is let pass. */
#include "report/summary.h"

#include <errno.h>
#include <fcntl.h>

#include "core/options.h"
#include "os/os.h"
#include "report/on_signal.h"
#include "report/stats.h"

enum { REPORT_FD_MIN = 100 };

/* Standard error as it was at the start: many programs close theirs in an atexit handler, which
 * runs before any destructor, or when they become daemons. */
static int report_fd = -1;

int summary_descriptor(void) {
    int fd = load_relaxed(&report_fd);
    return fd >= 0 ? fd : 2;
}

static void keep_stderr(void) {
    int saved = errno;
    if (load_relaxed(&report_fd) < 0)
        store_relaxed(&report_fd, fcntl(2, F_DUPFD_CLOEXEC, REPORT_FD_MIN));
    errno = saved;
}

static struct {
    uint32_t writer; /* on_signal_begin */
    struct figures figures;
    struct out out;
} report;

static void print(void) {
    if (!on_signal_begin(&report.writer))
        return;
    figures_take(&report.figures);
    out_to_descriptor(&report.out, summary_descriptor());
    figures_print(&report.figures, &report.out, EMIT_TEXT);
    on_signal_end(&report.writer);
}

static void handle(int number) {
    int saved = errno;
    (void)number;
    print();
    errno = saved;
}

static uint64_t next_ms; /* when the next table is due */

static uint64_t interval_ms(void) { return option_get(OPTION_stats_interval) * 1000; }

void summary_look(void) {
    uint64_t now = os_clock_ms();
    uint64_t next = load_relaxed(&next_ms);
    int saved = errno;
    if (now < next || !cas_acq_rel(&next_ms, &next, now + interval_ms()))
        return;
    print();
    errno = saved;
}

AT_START void summary_set_up(struct text *complaints) {
    unsigned number = (unsigned)option_get(OPTION_stats_signal);
    uint64_t interval = interval_ms();
    if (option_get(OPTION_stats) == STATS_EXIT || option_get(OPTION_leaks) == LEAKS_EXIT ||
        number != 0 || interval != 0 || option_get(OPTION_profile) != 0)
        keep_stderr();
    if (interval != 0)
        store_relaxed(&next_ms, os_clock_ms() + interval);
    if (number != 0)
        on_signal("stats_signal", number, handle, complaints);
}

AT_START void summary_at_exit(void) {
    if (option_get(OPTION_stats) != STATS_EXIT)
        return;
    struct figures figures;
    struct out out;
    figures_take(&figures);
    out_to_descriptor(&out, summary_descriptor());
    figures_print(&figures, &out, EMIT_TEXT);
}
