/* Protects: a double free by two threads at once, which only the merge of their frees can tell, is
 * told by the next call that comes by, and ends the process or not as the option says. (All other
 * faults: test/misuse.) */
#include "../expect.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/format.h"
#include "cache/hot.h"
#include "core/options.h"
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
    slab->remote_bits[slot / 64] |= (uint64_t)1 << slot % 64;
    (void)second;
    slm_malloc(5000); /* the first of its class: looks at the queue */
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
