/* Protects: reports where a sandbox refuses the calls that look at memory: without mincore the
 * statistics say that they do not know what is resident, and all the rest; contents of blocks are
 * had through a pipe where process_vm_readv is refused, and are left out where pipes are refused
 * too.
 *
 * reports mincore|readv|pipe ERROR */
#include "hostile.h"

#include <stdlib.h>

#include "../shown.h"

static const char pattern[] = "contents of a block, as a dump should show them";

struct found {
    bool pattern;
    size_t lines;
};

static void look_for(uintptr_t from, const unsigned char *bytes, size_t count, void *context) {
    struct found *found = context;
    (void)from;
    found->lines++;
    found->pattern = found->pattern || (count == 16 && memcmp(bytes, pattern, 16) == 0);
}

static struct found show(void) {
    struct found found = {0};
    struct shown shown = {.dump = look_for, .context = &found};
    int fd = memfd_create("shown", MFD_CLOEXEC);
    CHECK(fd >= 0 && slm_show_alloc_mem_ex(fd, NULL), "%s", strerror(errno));
    lseek(fd, 0, SEEK_SET);
    bool right = shown_read(&shown, fd);
    CHECK(right, "'%s'", shown.wrong_line);
    CHECK(shown.blocks > 0 && shown.slabs > 0, "%zu blocks", shown.blocks);
    close(fd);
    return found;
}

static void refuse(struct filter *filter, const char *what, int error) {
    filter_begin(filter);
    if (strcmp(what, "mincore") == 0)
        filter_answer(filter, SYS_mincore, SECCOMP_RET_ERRNO | (unsigned)error);
    else
        filter_answer(filter, SYS_process_vm_readv, SECCOMP_RET_ERRNO | (unsigned)error);
    if (strcmp(what, "pipe") == 0)
        filter_answer(filter, SYS_pipe2, SECCOMP_RET_ERRNO | (unsigned)error);
    filter_install(filter, SECCOMP_RET_ALLOW);
}

static void check_statistics(int error) {
    static struct slm_breakdown breakdown;
    static char text[32768];
    errno = 0;
    CHECK(!slm_memory_breakdown(&breakdown) && errno == error, "%s", strerror(errno));
    CHECK(breakdown.live_slots.bytes > 0 && breakdown.total.resident_bytes == 0, "the breakdown");
    int fd = memfd_create("statistics", MFD_CLOEXEC);
    CHECK(slm_stats_print(fd, SLM_STATS_JSON), "%s", strerror(errno));
    CHECK(pread(fd, text, sizeof text - 1, 0) > 0, "pread");
    CHECK(strstr(text, "\"resident_bytes\": null") != NULL, "%s", text);
    CHECK(strstr(text, "\"resident_bytes\": 0") == NULL, "%s", text);
    close(fd);
}

int main(int argc, char **argv) {
    static struct filter filter;
    CHECK(argc == 3, "reports mincore|readv|pipe ERROR");
    int error = strcmp(argv[2], "EPERM") == 0 ? EPERM : ENOSYS;
    char *block = malloc(sizeof pattern);
    memcpy(block, pattern, sizeof pattern);
    struct found before = show();
    CHECK(before.pattern, "the pattern is missing without a filter");
    refuse(&filter, argv[1], error);
    struct found after = show();
    if (strcmp(argv[1], "pipe") == 0)
        CHECK(after.lines == 0, "%zu lines of contents", after.lines);
    else
        CHECK(after.pattern && after.lines == before.lines, "%zu lines, not %zu", after.lines,
              before.lines);
    if (strcmp(argv[1], "mincore") == 0)
        check_statistics(error);
    free(block);
    return 0;
}
