/* Protects: the table that a signal asks for: it is whole, errno and the program's own handlers
 * stay as they are, and it goes to standard error as that was at the start. */
#include "../expect.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/options.h"
#include "heap/heap.h"
#include "report/summary.h"
#include "slabmalloc/slabmalloc.h"

static int file;
static unsigned handled;

static void own_handler(int number) {
    (void)number;
    handled++;
}

/* Standard error is an empty file. */
static void set_up(void) {
    char name[] = "/tmp/slabmalloc-summary-XXXXXX";
    quiet_os();
    file = mkstemp(name);
    EXPECT(file >= 0 && dup2(file, 2) == 2);
    unlink(name);
}

static void start(const char *options, const char *complaint) {
    TEXT(complaints, 256);
    options_parse(options, &complaints);
    summary_set_up(&complaints);
    cr_assert(complaints.used == strlen(complaint) &&
                  memcmp(complaints.bytes, complaint, complaints.used) == 0,
              "'%.*s'", (int)complaints.used, complaints.bytes);
}

/* How many whole tables were printed. */
static unsigned tables(void) {
    static char text[1 << 16];
    unsigned count = 0;
    ssize_t n = pread(file, text, sizeof text - 1, 0);
    EXPECT(n >= 0);
    text[n] = 0;
    for (const char *at = text; (at = strstr(at, "slabmalloc: the heap of ")) != NULL; at++) {
        count++;
        EXPECT(strstr(at, "\ntotal, held by the kernel") != NULL);
        EXPECT(strstr(at, "\n   class ") != NULL);
    }
    EXPECT(n == 0 || (count > 0 && text[n - 1] == '\n'));
    return count;
}

static uint64_t busy_until_tables(unsigned count) {
    uint64_t from = os_clock_ms();
    while (tables() < count && os_clock_ms() - from < 20000) {
        errno = 77;
        slm_free(slm_malloc(300000));
        EXPECT_EQ(errno, 77);
    }
    return os_clock_ms() - from;
}

/* By whoever makes a slow call when it is due. (The clock may be 10 ms late.) */
Test(summary, an_interval_prints_the_table_again_and_again, .init = set_up, .timeout = 60) {
    enum option changed;
    heap_set_up();
    start("stats_interval=1", "");
    EXPECT(busy_until_tables(1) >= 900);
    EXPECT_EQ(tables(), 1);
    EXPECT(busy_until_tables(2) >= 900);
    EXPECT_EQ(tables(), 2);
    EXPECT_EQ(option_change("stats_interval", "0", &changed), 0);
    uint64_t from = os_clock_ms();
    while (os_clock_ms() - from < 1500)
        slm_free(slm_malloc(300000));
    EXPECT_EQ(tables(), 2);
}

Test(summary, a_signal_prints_the_table, .init = set_up) {
    slm_malloc(100);
    start("stats_signal=SIGUSR2", "");
    errno = 0xBEEF;
    EXPECT(raise(SIGUSR2) == 0);
    EXPECT_EQ(errno, 0xBEEF);
    EXPECT_EQ(tables(), 1);
    EXPECT(raise(SIGUSR2) == 0);
    EXPECT_EQ(tables(), 2);
}

Test(summary, no_signal_without_the_option, .init = set_up) {
    struct sigaction action;
    start("stats=exit", "");
    EXPECT(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
}

Test(summary, standard_error_may_be_closed_later, .init = set_up) {
    slm_malloc(100);
    start("stats_signal=USR1", "");
    close(2);
    EXPECT(raise(SIGUSR1) == 0);
    EXPECT_EQ(tables(), 1);
}

Test(summary, a_handler_installed_later_stays, .init = set_up) {
    struct sigaction action = {.sa_handler = own_handler};
    start("stats_signal=SIGUSR2", "");
    EXPECT(sigaction(SIGUSR2, &action, NULL) == 0);
    start("stats=exit", "slabmalloc: stats_signal: SIGUSR2 has a handler already\n");
    EXPECT(raise(SIGUSR2) == 0);
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(tables(), 0);
}

Test(summary, a_handler_installed_before_stays, .init = set_up) {
    struct sigaction action = {.sa_handler = own_handler};
    EXPECT(sigaction(SIGUSR2, &action, NULL) == 0);
    start("stats_signal=SIGUSR2", "slabmalloc: stats_signal: SIGUSR2 has a handler already\n");
    EXPECT(raise(SIGUSR2) == 0);
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(tables(), 0);
}

Test(summary, an_ignored_signal_is_taken, .init = set_up) {
    signal(SIGUSR2, SIG_IGN);
    slm_malloc(100);
    start("stats_signal=SIGUSR2", "");
    EXPECT(raise(SIGUSR2) == 0);
    EXPECT_EQ(tables(), 1);
}

Test(summary, is_printed_at_the_exit_if_asked_for, .init = set_up) {
    slm_malloc(100);
    start("stats=none", "");
    summary_at_exit();
    EXPECT_EQ(tables(), 0);
    start("stats=exit", "");
    close(2);
    summary_at_exit();
    EXPECT_EQ(tables(), 1);
}

/* Whatever the interrupted thread holds. */
Test(summary, a_signal_waits_for_no_lock, .init = set_up, .timeout = 20) {
    slm_malloc(100);
    start("stats_signal=SIGUSR2", "");
    heap_lock_all();
    EXPECT(raise(SIGUSR2) == 0);
    heap_unlock_all();
    EXPECT_EQ(tables(), 1);
}

/* --- two signals at once ---------------------------------------------------------------------- */

enum { PIPE_BYTES = 4096, FREE_BYTES = 2048 };

static int ends[2];

static void *report_into_pipe(void *unused) {
    pthread_kill(pthread_self(), SIGUSR2);
    return unused;
}

/* A pipe that has room for the first part of a report only, which has a line for each class. */
static void set_up_pipe(void) {
    static char nothing[PIPE_BYTES - FREE_BYTES];
    quiet_os();
    EXPECT(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES) == PIPE_BYTES);
    EXPECT(write(ends[1], nothing, sizeof nothing) == (ssize_t)sizeof nothing);
    EXPECT(dup2(ends[1], 2) == 2);
    for (size_t bytes = 16; bytes < 100000; bytes = bytes * 5 / 4)
        slm_malloc(bytes);
    start("stats_signal=SIGUSR2", "");
}

Test(summary, a_signal_beside_a_report_is_let_pass, .init = set_up_pipe, .timeout = 20) {
    static char text[1 << 16];
    pthread_t thread;
    int waiting = 0;
    size_t used = 0;
    EXPECT(pthread_create(&thread, NULL, report_into_pipe, NULL) == 0);
    while (waiting <= PIPE_BYTES - FREE_BYTES)
        EXPECT(ioctl(ends[0], FIONREAD, &waiting) == 0);
    EXPECT(raise(SIGUSR2) == 0); /* would wait for a reader */
    summary_at_exit();
    EXPECT(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    for (bool ended = false; !ended;) {
        ended = pthread_tryjoin_np(thread, NULL) == 0;
        ssize_t n = read(ends[0], text + used, sizeof text - 1 - used);
        EXPECT(n > 0 || errno == EAGAIN);
        used += n > 0 ? (size_t)n : 0;
    }
    static const char first[] = "slabmalloc: the heap of ";
    char *table = memmem(text, used, first, sizeof first - 1);
    EXPECT(table != NULL);
    EXPECT(strstr(table + 1, first) == NULL);
    EXPECT(strstr(table, "\n   class ") != NULL && text[used - 1] == '\n');
}
