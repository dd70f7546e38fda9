/* Purpose: what transparent huge pages make of the heap's memory (field case F4). Three heaps, each
 * in a process of its own, with huge pages and without (PR_SET_THP_DISABLE):
 *
 *   sleepers  COUNT threads that hold 1 KiB each (case 23)
 *   sparse    slabs of which one block is touched, TINY and SMALL
 *   dense     blocks that fill their slabs
 *
 * Huge pages come in one of three ways:
 *
 *   always     the system's setting. If it is another, it is changed for less than 5 seconds, by
 *              root and with SLABMALLOC_TEST_THP=1 only, for other programs feel it; a process puts
 *              it back, whatever ends this one
 *   collapsed  MADV_COLLAPSE when all is touched: what khugepaged comes to, given time
 *   asked      the option huge_pages
 *
 * Memory beside the heap that does get huge pages shows that the system has them. Protects: always
 * and collapsed change nothing for the heap. Asked, a dense heap has some, and none holds more than
 * its slabs' addresses and a rounding for each range; a dense one, DENSE_PERCENT.
 *
 * huge_pages asked|collapsed|always COUNT */
#include <poll.h>
#include <sys/prctl.h>

#include "held.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { TINY_SLABS = 512, SMALL_SLABS = 64, TINY_BYTES = 1000, SMALL_BYTES = 8000 };
enum { DENSE_BYTES = 96 << 20, DENSE_PERCENT = 110, ROUNDING = 16 << 20, SAME_ROUNDING = 2 << 20 };
enum { BESIDE_BYTES = 8 << 20 };
enum { CHANGED_MS = 4500 };

static const char setting[] = "/sys/kernel/mm/transparent_hugepage/enabled";

/* --- the heaps ------------------------------------------------------------------------------- */

struct figures {
    size_t rss, huge, beside, slab_bytes; /* `huge` counts `beside`, too */
};

static pthread_barrier_t barrier;

static void *hold_and_sleep(void *unused) {
    (void)unused;
    memset(malloc(1024), 1, 1024);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* the process ends first */
    return NULL;
}

static void make_sleepers(size_t count) {
    pthread_barrier_init(&barrier, NULL, (unsigned)count + 1);
    for (size_t i = 0; i < count; i++) {
        pthread_t thread;
        start_on_small_stack(&thread, hold_and_sleep, NULL);
    }
    pthread_barrier_wait(&barrier);
}

/* Blocks until there are `slabs` more slabs, each with its first block touched. */
static void touch_slabs(size_t bytes, size_t slab_bytes, size_t slabs) {
    uintptr_t last = 0;
    for (size_t touched = 0; touched < slabs;) {
        char *block = malloc(bytes);
        CHECK(block != NULL, "malloc(%zu)", bytes);
        if ((uintptr_t)block / slab_bytes == last)
            continue;
        last = (uintptr_t)block / slab_bytes;
        *block = 1;
        touched++;
    }
}

static void make_sparse(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    touch_slabs(TINY_BYTES, stats.tiny.slab_bytes, TINY_SLABS);
    touch_slabs(SMALL_BYTES, stats.small.slab_bytes, SMALL_SLABS);
}

static void make_dense(void) {
    uint64_t state = random_seed(4);
    for (size_t bytes, sum = 0; sum < DENSE_BYTES; sum += bytes) {
        bytes = 16 + random_below(&state, 1000);
        memset(malloc(bytes), 1, bytes);
    }
}

/* --- huge pages ------------------------------------------------------------------------------ */

/* To each private anonymous mapping that can be written to. */
static void collapse_mapping(const char *line, void *context) {
    unsigned long from, to;
    char access[5];
    int name_at = 0;
    if (sscanf(line, "%lx-%lx %4s %*s %*s %*s %n", &from, &to, access, &name_at) != 3 ||
        access[3] != 'p' || (name_at != 0 && line[name_at] != '\0'))
        return;
    (void)context;
    if (access[1] == 'w')
        madvise((void *)from, to - from, MADV_COLLAPSE);
}

/* Not the heap's. Returns how much of it lies in huge pages. */
static size_t have_memory_beside(const char *way) {
    char *memory = mmap(NULL, BESIDE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    if (strcmp(way, "asked") == 0)
        madvise(memory, BESIDE_BYTES, MADV_HUGEPAGE);
    memset(memory, 1, BESIDE_BYTES);
    if (strcmp(way, "collapsed") == 0)
        madvise(memory, BESIDE_BYTES, MADV_COLLAPSE);
    return smaps_total("AnonHugePages:");
}

/* In a process started for it: prints what it measured. */
static int scene(const char *name, const char *way, size_t count) {
    if (strcmp(way, "never") == 0)
        CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0, "PR_SET_THP_DISABLE");
    free(malloc(1));
    free(malloc(2000));
    size_t before = rss_bytes();
    size_t beside = have_memory_beside(way);
    if (strcmp(way, "asked") == 0)
        CHECK(slm_option_set("huge_pages", "on"), "huge_pages");
    if (strcmp(name, "sleepers") == 0)
        make_sleepers(count);
    else if (strcmp(name, "sparse") == 0)
        make_sparse();
    else
        make_dense();
    if (strcmp(way, "collapsed") == 0)
        CHECK(for_each_line("/proc/self/maps", collapse_mapping, NULL), "/proc/self/maps");
    struct slm_breakdown breakdown;
    CHECK(slm_memory_breakdown(&breakdown), "no breakdown");
    size_t huge = smaps_total("AnonHugePages:");
    CHECK(breakdown.huge_pages.bytes == huge - beside, "%zu bytes in huge pages by the breakdown, "
          "%zu by smaps", breakdown.huge_pages.bytes, huge - beside);
    struct held held = held_now();
    printf("%zu %zu %zu %zu\n", held.rss - before - BESIDE_BYTES, huge, beside,
           held.slab_bytes);
    fflush(stdout);
    _exit(0);
}

static struct figures measure(const char *name, const char *way, const char *count) {
    struct figures figures;
    char text[128] = {0};
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0, "pipe2");
    pid_t child = child_fork();
    if (child == 0) {
        dup2(ends[1], 1);
        execl("/proc/self/exe", "huge_pages", "scene", name, way, count, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t n, used = 0; (n = read(ends[0], text + used, sizeof text - 1 - (size_t)used)) > 0;)
        used += n;
    close(ends[0]);
    int status;
    CHECK(waitpid(child, &status, 0) == child, "waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) {
        fputs(text, stdout);
        exit(SKIPPED);
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s %s: status %d", name, way, status);
    CHECK(sscanf(text, "%zu %zu %zu %zu", &figures.rss, &figures.huge, &figures.beside,
                 &figures.slab_bytes) == 4, "%s %s told \"%s\"", name, way, text);
    return figures;
}

/* --- the system's setting -------------------------------------------------------------------- */

/* The word in brackets. */
static void setting_read(char word[16]) {
    char text[64] = {0};
    int fd = open(setting, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        SKIP("%s: %s", setting, strerror(errno));
    close(fd);
    const char *bracket = strchr(text, '[');
    CHECK(bracket != NULL && sscanf(bracket, "[%15[a-z]", word) == 1, "%s: %s", setting, text);
}

static bool setting_write(const char *word) {
    int fd = open(setting, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, word, strlen(word)) == (ssize_t)strlen(word);
    if (fd >= 0)
        close(fd);
    return written;
}

/* Changes the setting, and puts it back when told, when the other end of `ask` is closed, or after
 * CHANGED_MS. Exit code 0: when told. */
static void keep_setting(int ask, int answer, const char *old) {
    struct pollfd wait = {.fd = ask, .events = POLLIN};
    setsid();
    for (int number = 1; number < 32; number++)
        signal(number, SIG_IGN);
    char changed = (char)setting_write("always");
    bool told = write(answer, &changed, 1) == 1 && poll(&wait, 1, CHANGED_MS) > 0;
    if (changed && !setting_write(old))
        dprintf(2, "%s could not be set back to %s\n", setting, old);
    _exit(told ? 0 : 1);
}

static void measure_changed(void (*measure_all)(void *), void *context, const char *old) {
    int ask[2], answer[2], status;
    char changed = 0, now[16];
    CHECK(pipe2(ask, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0, "pipe2");
    pid_t keeper = fork();
    CHECK(keeper >= 0, "fork");
    if (keeper == 0) {
        close(ask[1]);
        keep_setting(ask[0], answer[1], old);
    }
    close(answer[1]);
    if (read(answer[0], &changed, 1) == 1 && changed)
        measure_all(context);
    close(ask[1]);
    CHECK(waitpid(keeper, &status, 0) == keeper, "waitpid");
    setting_read(now);
    CHECK(strcmp(now, old) == 0, "%s is %s, was %s", setting, now, old);
    if (!changed)
        SKIP("%s can't be changed", setting);
    if (status != 0)
        SKIP("measuring took longer than %d ms", CHANGED_MS);
}

/* --- all of it ------------------------------------------------------------------------------- */

enum { SCENES = 3 };
static const char *const scenes[SCENES] = {"sleepers", "sparse", "dense"};

struct plan {
    const char *way, *count;
    struct figures with[SCENES], without[SCENES];
};

static void measure_with(void *context) {
    struct plan *plan = context;
    for (size_t i = 0; i < SCENES; i++)
        plan->with[i] = measure(scenes[i], plan->way, plan->count);
}

static void check_asked(const char *scene, const struct figures *with,
                        const struct figures *without) {
    bool dense = strcmp(scene, "dense") == 0;
    CHECK(!dense || with->huge > with->beside, "dense: no huge pages");
    CHECK(with->rss <= without->rss + with->slab_bytes + ROUNDING,
          "%s: RSS %zu, %zu without", scene, with->rss, without->rss);
    CHECK(!dense || with->rss <= without->rss / 100 * DENSE_PERCENT + ROUNDING,
          "dense: RSS %zu, %zu without", with->rss, without->rss);
}

static void report_and_check(const struct plan *plan) {
    size_t huge = 0;
    for (size_t i = 0; i < SCENES; i++) {
        const struct figures *with = &plan->with[i], *without = &plan->without[i];
        printf("%-9s %-9s RSS %7.1f MiB (%.1f in huge pages), never %7.1f: %6.2f times as much; "
               "slabs' addresses %.1f\n", scenes[i], plan->way, (double)with->rss / MIB,
               (double)(with->huge - with->beside) / MIB, (double)without->rss / MIB,
               (double)with->rss / (double)without->rss, (double)with->slab_bytes / MIB);
        huge += with->huge;
    }
    fflush(stdout);
    if (huge == 0)
        SKIP("the system gave no huge page, not even beside the heap");
    for (size_t i = 0; i < SCENES; i++) {
        const struct figures *with = &plan->with[i], *without = &plan->without[i];
        CHECK(without->huge == 0, "%s: huge pages against the prctl", scenes[i]);
        if (strcmp(plan->way, "asked") == 0)
            check_asked(scenes[i], with, without);
        else
            CHECK(with->rss <= without->rss / 100 * DENSE_PERCENT + SAME_ROUNDING,
                  "%s: RSS %zu, %zu without", scenes[i], with->rss, without->rss);
    }
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "scene") == 0)
        return scene(argv[2], argv[3], number_argument(argv[4]));
    CHECK(argc == 3, "usage: huge_pages asked|collapsed|always COUNT");
    static struct plan plan;
    char old[16];
    plan.way = argv[1];
    plan.count = argv[2];
    setting_read(old);
    for (size_t i = 0; i < SCENES; i++)
        plan.without[i] = measure(scenes[i], "never", plan.count);
    const char *allowed = getenv("SLABMALLOC_TEST_THP");
    if (strcmp(plan.way, "always") != 0 || strcmp(old, "always") == 0)
        measure_with(&plan);
    else if (allowed == NULL || strcmp(allowed, "1") != 0)
        SKIP("%s is %s; SLABMALLOC_TEST_THP=1 changes it for some seconds", setting, old);
    else
        measure_changed(measure_with, &plan, old);
    report_and_check(&plan);
    return 0;
}
