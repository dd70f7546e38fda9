/* Purpose: signals.h.
 * Source:  signal(7). */
#include "core/signals.h"

#include <signal.h>
#include <string.h>

enum { FIRST_REAL_TIME = 34, LAST = 64, DIGITS_MAX = 2 };

static const struct {
    const char *name;
    unsigned number;
} table[] = {
    {"SIGHUP", SIGHUP},     {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT},     {"SIGUSR1", SIGUSR1},
    {"SIGUSR2", SIGUSR2},   {"SIGPIPE", SIGPIPE}, {"SIGALRM", SIGALRM},     {"SIGTERM", SIGTERM},
    {"SIGCHLD", SIGCHLD},   {"SIGCONT", SIGCONT}, {"SIGTSTP", SIGTSTP},     {"SIGTTIN", SIGTTIN},
    {"SIGTTOU", SIGTTOU},   {"SIGURG", SIGURG},   {"SIGXCPU", SIGXCPU},     {"SIGXFSZ", SIGXFSZ},
    {"SIGVTALRM", SIGVTALRM}, {"SIGPROF", SIGPROF}, {"SIGWINCH", SIGWINCH}, {"SIGIO", SIGIO},
    {"SIGPWR", SIGPWR},
};
enum { NAMED = sizeof table / sizeof *table, PREFIX = 3 };

static unsigned by_number(struct word word) {
    unsigned number = 0;
    if (word.length == 0 || word.length > DIGITS_MAX)
        return 0;
    for (size_t i = 0; i < word.length; i++) {
        if (word.start[i] < '0' || word.start[i] > '9')
            return 0;
        number = number * 10 + (unsigned)(word.start[i] - '0');
    }
    if (number >= FIRST_REAL_TIME && number <= LAST)
        return number;
    for (unsigned i = 0; i < NAMED; i++)
        if (table[i].number == number)
            return number;
    return 0;
}

unsigned signal_by_name(struct word word) {
    for (unsigned i = 0; i < NAMED; i++)
        if (word_is(word, table[i].name) || word_is(word, table[i].name + PREFIX))
            return table[i].number;
    return by_number(word);
}

void signal_put(struct text *text, unsigned number) {
    for (unsigned i = 0; i < NAMED; i++) {
        if (table[i].number == number) {
            text_format(text, "%s", table[i].name);
            return;
        }
    }
    text_format(text, "%u", number);
}

void signal_try_nearest(struct nearest *nearest) {
    for (unsigned i = 0; i < NAMED; i++)
        nearest_try(nearest, (struct word){table[i].name, strlen(table[i].name)});
}
