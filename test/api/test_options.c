/* Protects: slm_option_get and slm_option_set: every option by name, errors, nothing written beyond
 * the buffer; values change for all threads while they allocate, and take effect: memory of empty
 * slabs and of LARGE blocks goes back at once, or stays. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdarg.h>

#include "api.h"
#include "slabmalloc/slabmalloc.h"

enum { THREADS = 4, ROUNDS = 3000, BLOCKS = 200 };

static void expect(const char *name, const char *value) {
    char text[64];
    cr_assert(slm_option_get(name, text, sizeof text), "%s", name);
    cr_assert_str_eq(text, value, "%s", name);
}

static void expect_error(int error, bool result) {
    cr_assert(!result);
    cr_assert_eq(errno, error, "errno is %d, not %d", errno, error);
}

Test(options, what_was_set_can_be_got) {
    static const char *const pairs[][3] = {
        {"on_error", "report", "report"}, {"on_error", "abort", "abort"},
        {"stats", "exit", "exit"},        {"stats", "none", "none"},
        {"purge_delay", "10s", "10000"},  {"purge_delay", "never", "never"},
        {"large_cache", "2048K", "2M"},   {"large_cache", "0", "0"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        errno = ERRNO_MARK;
        cr_assert(slm_option_set(pairs[i][0], pairs[i][1]), "%s", pairs[i][1]);
        expect(pairs[i][0], pairs[i][2]);
        cr_assert_eq(errno, ERRNO_MARK);
    }
}

Test(options, what_is_fixed_can_be_got_only) {
    expect("preset", "default");
    expect("stats_signal", "none");
    expect_error(EPERM, slm_option_set("preset", "speed"));
    expect_error(EPERM, slm_option_set("stats_signal", "SIGUSR2"));
    expect("preset", "default");
    expect("stats_signal", "none");
}

Test(options, errors_change_nothing) {
    char text[64] = "as it was";
    expect_error(ENOENT, slm_option_get("on_erro", text, sizeof text));
    expect_error(ENOENT, slm_option_get("", text, sizeof text));
    expect_error(ENOENT, slm_option_set("ON_ERROR", "report"));
    expect_error(EINVAL, slm_option_set("on_error", "explode"));
    expect_error(EINVAL, slm_option_set("on_error", ""));
    expect_error(EINVAL, slm_option_set("purge_delay", "-1"));
    cr_assert_str_eq(text, "as it was");
    expect("on_error", "abort");
}

Test(options, a_buffer_is_not_written_beyond_its_end) {
    char text[8] = "-------";
    expect_error(ERANGE, slm_option_get("on_error", text, 0)); /* "abort" */
    expect_error(ERANGE, slm_option_get("on_error", text, 5));
    cr_assert_str_eq(text, "-------");
    cr_assert(slm_option_get("on_error", text, 6));
    cr_assert_eq(memcmp(text, "abort\0-", 7), 0);
}

/* --- they take effect ------------------------------------------------------------------------- */

static void use_and_free(size_t bytes) {
    static char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = hidden(malloc(bytes));
        memset(blocks[i], 1, bytes);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static size_t dirty_slabs(void) {
    static struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.small.slabs_dirty;
}

static size_t cached(void) {
    static struct slm_stats stats;
    slm_stats_get(&stats);
    return stats.large.cached_bytes;
}

Test(options, memory_goes_back_at_once_or_stays) {
    cr_assert(slm_option_set("purge_delay", "never"));
    cr_assert(slm_option_set("keep_free", "all")); /* even when large blocks make the heap grow */
    cr_assert(slm_option_set("large_cache", "1G"));
    use_and_free(100000);
    use_and_free(300000);
    cr_assert_gt(dirty_slabs(), 5);
    cr_assert_gt(cached(), BLOCKS * 300000 / 2);
    cr_assert(slm_option_set("purge_delay", "0"));
    use_and_free(100000);
    use_and_free(300000);
    if (SLM_TORTURE) /* where the system does not always take it */
        return;
    cr_assert_leq(dirty_slabs(), 1);
    cr_assert_eq(cached(), 0);
}

static void *allocate_meanwhile(void *argument) {
    uint64_t state = (uintptr_t)argument + 1;
    for (int i = 0; i < ROUNDS; i++) {
        size_t bytes = random_size(&state) + 1;
        char *block = hidden(malloc(bytes));
        cr_assert_not_null(block);
        block[0] = block[bytes - 1] = 1;
        free(block);
    }
    return NULL;
}

static void *change_meanwhile(void *argument) {
    static const char *const values[][2] = {
        {"purge_delay", "0"},     {"purge_delay", "1"},   {"purge_delay", "never"},
        {"large_cache", "0"},     {"large_cache", "1M"},  {"large_cache", "64T"},
        {"on_error", "report"},   {"on_error", "abort"},
    };
    uint64_t state = (uintptr_t)argument + 100;
    char text[64];
    for (int i = 0; i < ROUNDS; i++) {
        const char *const *pair = values[next_random(&state) % (sizeof values / sizeof *values)];
        cr_assert(slm_option_set(pair[0], pair[1]));
        cr_assert(slm_option_get(pair[0], text, sizeof text));
        bool known = false;
        for (size_t k = 0; k < sizeof values / sizeof *values; k++)
            known |= strcmp(values[k][0], pair[0]) == 0 && strcmp(values[k][1], text) == 0;
        cr_assert(known, "%s=%s", pair[0], text);
    }
    return NULL;
}

Test(options, change_under_threads_that_allocate) {
    pthread_t threads[2 * THREADS];
    for (uintptr_t i = 0; i < 2 * THREADS; i++)
        pthread_create(&threads[i], NULL, i % 2 ? change_meanwhile : allocate_meanwhile,
                       (void *)i);
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert(slm_check_heap(2));
}
