/* Purpose: options by name while the process runs; the program's handler of faults.
 * Owns:    nothing. */
#include "core/options.h"

#include <errno.h>
#include <string.h>

#include "api/bound.h"
#include "base/fatal.h"
#include "check/log.h"
#include "check/sample.h"
#include "heap/background.h"
#include "heap/limits.h"
#include "report/diagnosis.h"
#include "report/summary.h"
#include "slab/zone.h"
#include "slabmalloc/slabmalloc.h"

/* Whoever takes these from the static library takes malloc along, and with it what reads the
 * options before main. */
__attribute__((used)) static void *(*const with_malloc)(size_t size) = own_malloc;

enum { VALUE_BYTES = OPTION_PATH_BYTES, COMPLAINTS_BYTES = 256 };

static bool failed(int error) {
    errno = error;
    return false;
}

bool slm_option_get(const char *name, char *buffer, size_t bytes) {
    TEXT(value, VALUE_BYTES);
    enum option option = option_find((struct word){name, strlen(name)});
    if (option == OPTION_COUNT)
        return failed(ENOENT);
    option_value_put(&value, &option_table[option].range, option_get(option));
    if (value.used >= bytes)
        return failed(ERANGE);
    memcpy(buffer, value.bytes, value.used);
    buffer[value.used] = 0;
    return true;
}

bool slm_option_set(const char *name, const char *value) {
    enum option changed;
    int error = option_change(name, value, &changed);
    if (error != 0)
        return failed(error);
    if (changed == OPTION_purge_delay)
        zone_look_soon();
    if (changed == OPTION_heap_limit || changed == OPTION_heap_soft_limit)
        limits_apply_options();
    if (changed == OPTION_background)
        background_apply_option();
    if (changed == OPTION_sample)
        sample_apply_options();
    if (changed == OPTION_log_kinds || changed == OPTION_log_min || changed == OPTION_log_max ||
        changed == OPTION_log_thread)
        check_log_apply_options();
    if (changed == OPTION_stats || changed == OPTION_stats_interval) {
        TEXT(complaints, COMPLAINTS_BYTES);
        summary_set_up(&complaints);
        text_write(&complaints, 2);
    }
    return true;
}

const struct slm_limit_handler *slm_set_limit_handler(const struct slm_limit_handler *handler) {
    return limits_set_handler(handler);
}

const struct slm_error_handler *slm_set_error_handler(const struct slm_error_handler *handler) {
    return diagnosis_set_handler(handler);
}
