/* Protects: a double free by two threads at once, which only the merge of their frees can tell, is
 * told by the next call that comes by, and ends the process or not as the option says. (All other
 * faults: test/misuse.) */
#include "../expect.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fatal.h"
#include "cache/hot.h"
#include "core/options.h"
#include "report/diagnosis.h"
#include "slab/zone.h"
#include "slabmalloc/slabmalloc.h"

/* Slot freed by its owner and remotely, as by two threads that both got past the first check. The
 * next call that needs a slab finds it. */
static void free_at_once(void) {
    char *first = slm_malloc(96);
    char *second = slm_malloc(96);
    struct slab *slab = zone_find((uintptr_t)first);
    size_t slot = 0;
    EXPECT(slab_slot_at(slab, (uintptr_t)first, &slot));
    slm_free(first);
    EXPECT(cache_free_remote(&cache_shared, slab, slot + 1) == FAULT_NONE); /* queues the slab */
    zone_remote_bits(slab)[slot / 64] |= (uint64_t)1 << slot % 64;
    (void)second;
    slm_malloc(3000); /* the first of its class: looks at the queue */
}

/* Runs it in a child with standard error on a pipe. */
static int in_child(const char *options, char *said, size_t size) {
    int ends[2];
    int status = 0;
    ssize_t n = 0;
    size_t used = 0;
    TEXT(complaints, 256);
    EXPECT(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        quiet_os();
        dup2(ends[1], 2);
        options_parse(options, &complaints);
        free_at_once();
        _exit(complaints.used == 0 ? 0 : 1);
    }
    close(ends[1]);
    while (used < size - 1 && (n = read(ends[0], said + used, size - 1 - used)) > 0)
        used += (size_t)n;
    said[used] = 0;
    close(ends[0]);
    EXPECT(waitpid(child, &status, 0) == child);
    return status;
}

static void expect_told(const char *said) {
    const char start[] = "slabmalloc: double free: two threads freed 0x";
    cr_assert(strncmp(said, start, sizeof start - 1) == 0, "said: %s", said);
    EXPECT(strstr(said, " (96 bytes) of TINY slab ") != NULL);
    EXPECT(strstr(said, "; found by malloc\n") != NULL);
    EXPECT(strchr(said, '\n') == said + strlen(said) - 1);
}

Test(diagnosis, a_double_free_found_late_aborts) {
    char said[1024];
    int status = in_child("", said, sizeof said);
    expect_told(said);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

Test(diagnosis, a_double_free_found_late_is_reported) {
    char said[1024];
    EXPECT_EQ(in_child("on_error=report", said, sizeof said), 0);
    expect_told(said);
}

Test(diagnosis, a_double_free_found_late_is_ignored) {
    char said[1024];
    EXPECT_EQ(in_child("on_error=ignore", said, sizeof said), 0);
    EXPECT(said[0] == 0);
}

/* --- the program's handler -------------------------------------------------------------------- */

static struct {
    unsigned calls;
    enum slm_error_kind kind;
    const void *pointer;
    char call[32], line[320];
    bool frees_badly;
} heard;

static void hear(const struct slm_error *error, void *context) {
    EXPECT(context == &heard);
    heard.calls++;
    heard.kind = error->kind;
    heard.pointer = error->pointer;
    snprintf(heard.call, sizeof heard.call, "%s", error->call);
    snprintf(heard.line, sizeof heard.line, "%s", error->line);
    errno = EDOM;
    void *block = slm_malloc(100); /* it may */
    EXPECT(block != NULL);
    slm_free(block);
    if (heard.frees_badly)
        slm_free(block);
}

static const struct slm_error_handler handler = {hear, &heard};

static void ignoring(void) {
    TEXT(complaints, 64);
    quiet_os();
    options_parse("on_error=ignore", &complaints);
    EXPECT(slm_set_error_handler(&handler) == NULL);
}

static void expect_heard(unsigned calls, enum slm_error_kind kind, const void *pointer,
                         const char *call, const char *part_of_line) {
    EXPECT_EQ(heard.calls, calls);
    EXPECT_AT(heard.kind == kind, heard.kind);
    EXPECT(heard.pointer == pointer);
    cr_assert(strcmp(heard.call, call) == 0, "%s", heard.call);
    cr_assert(strstr(heard.line, part_of_line) != NULL, "%s", heard.line);
    EXPECT(strncmp(heard.line, "slabmalloc: ", 12) == 0 && strchr(heard.line, '\n') == NULL);
}

Test(error_handler, hears_of_each_kind, .init = ignoring) {
    char *block = slm_malloc(1000);
    char *large = slm_malloc(1 << 20);
    static char outside[64];
    errno = 0xBEEF;
    slm_free(block + 16);
    EXPECT_EQ(errno, 0xBEEF);
    expect_heard(1, SLM_ERROR_INTERIOR_POINTER, block + 16, "free", "16 bytes inside slot");
    slm_free(block);
    slm_free(block);
    expect_heard(2, SLM_ERROR_DOUBLE_FREE, block, "free", "double free: free(0x");
    EXPECT(slm_realloc(block, 10) == NULL);
    EXPECT_EQ(errno, EINVAL);
    expect_heard(3, SLM_ERROR_USE_AFTER_FREE, block, "realloc", "use after free: realloc(0x");
    slm_free(outside);
    expect_heard(4, SLM_ERROR_INVALID_POINTER, outside, "free", "never allocated here");
    EXPECT_EQ(slm_malloc_usable_size(large + 4096), 0);
    expect_heard(5, SLM_ERROR_INTERIOR_POINTER, large + 4096, "malloc_usable_size", "LARGE block");
    slm_free(large);
    EXPECT_EQ(heard.calls, 5);
    EXPECT_EQ(diagnosis_count(), 5);
    EXPECT(slm_set_error_handler(NULL) == &handler);
    slm_free(block);
    EXPECT_EQ(heard.calls, 5);
    EXPECT_EQ(diagnosis_count(), 6);
    EXPECT(slm_set_error_handler(NULL) == NULL);
}

Test(error_handler, is_not_called_for_its_own_faults, .init = ignoring) {
    char *block = slm_malloc(5000);
    heard.frees_badly = true;
    slm_free(block + 1);
    EXPECT_EQ(heard.calls, 1);
    EXPECT_EQ(diagnosis_count(), 2);
    slm_free(block + 1);
    EXPECT_EQ(heard.calls, 2);
    EXPECT_EQ(diagnosis_count(), 4);
}

Test(error_handler, hears_of_a_double_free_found_late, .init = ignoring) {
    free_at_once();
    EXPECT_EQ(heard.calls, 1);
    EXPECT_EQ(heard.kind, SLM_ERROR_DOUBLE_FREE);
    EXPECT(strstr(heard.line, "two threads freed 0x") != NULL);
    cr_assert(strcmp(heard.call, "malloc") == 0, "%s", heard.call);
}

static void say(const struct slm_error *error, void *context) {
    TEXT(text, 320);
    text_format(&text, "%s: %s\n", (const char *)context, error->call);
    report_line(&text);
}

Test(error_handler, comes_before_the_line_and_the_abort) {
    static const struct slm_error_handler first = {say, (void *)(uintptr_t)"handler"};
    char said[1024];
    slm_set_error_handler(&first);
    int status = in_child("", said, sizeof said);
    EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    EXPECT(strncmp(said, "handler: malloc\n", 16) == 0);
    expect_told(said + 16);
    EXPECT_EQ(in_child("on_error=report", said, sizeof said), 0);
    EXPECT(strncmp(said, "handler: malloc\n", 16) == 0);
    expect_told(said + 16);
    EXPECT_EQ(in_child("on_error=ignore", said, sizeof said), 0);
    cr_assert(strcmp(said, "handler: malloc\n") == 0, "%s", said);
}
