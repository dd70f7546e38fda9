/* Protects: show_alloc_mem and its extended form beside threads that allocate, hand blocks on, free
 * them and exit, with LARGE blocks unmapped under the dump of their contents; and in a signal
 * handler that interrupts malloc and free at any moment. No crash, no wait, each line well formed;
 * a block that lives all the time is listed every time.
 *
 * show_beside threads|signals */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "../shown.h"
#include "check.h"

enum { THREADS = 4, SLOTS = 256, KEPT = 60, ROUNDS = 60 / SLOWNESS + 3, SIGNALS = 200 };

static struct block *passed[SLOTS];
static struct block *kept[KEPT];
static unsigned kept_seen[KEPT];
static int stop;

static bool stopped(void) { return __atomic_load_n(&stop, __ATOMIC_RELAXED) != 0; }

static void churn(uint64_t *state) {
    struct block **at = &passed[random_below(state, SLOTS)];
    size_t bytes = random_below(state, 40) == 0 ? 200000 + random_below(state, 3000000)
                                                : random_size(state);
    struct block *block = block_new(state, bytes);
    block = __atomic_exchange_n(at, block, __ATOMIC_ACQ_REL);
    if (block != NULL)
        block_delete(block);
    if (random_below(state, 200) == 0)
        malloc_trim(0);
}

static void *short_life(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    for (int i = 0; i < 300; i++)
        churn(&state);
    return NULL;
}

static void *run(void *argument) {
    for (uintptr_t round = 0; !stopped(); round++)
        thread_join(thread_start(short_life, (void *)((uintptr_t)argument + round * THREADS)));
    return NULL;
}

static void note(enum shown_zone zone, uintptr_t from, size_t bytes, void *context) {
    (void)zone;
    (void)bytes;
    (void)context;
    for (int i = 0; i < KEPT; i++)
        kept_seen[i] += (uintptr_t)kept[i] == from;
}

static void show_once(int fd, const struct slm_show_options *options) {
    struct shown shown = {.block = note};
    memset(kept_seen, 0, sizeof kept_seen);
    CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0, "the file");
    CHECK(slm_show_alloc_mem_ex(fd, options), "%s", strerror(errno));
    lseek(fd, 0, SEEK_SET);
    bool right = shown_read(&shown, fd);
    CHECK(right, "'%s'", shown.wrong_line);
    for (int i = 0; i < KEPT; i++)
        CHECK(kept_seen[i] == 1, "block %d of %zu bytes was listed %u times", i, kept[i]->bytes,
              kept_seen[i]);
}

static void keep_some(void) {
    uint64_t state = random_seed(1);
    for (int i = 0; i < KEPT; i++)
        kept[i] = block_new(&state, i % 20 == 0 ? 300000 : random_size(&state));
}

static void beside_threads(int fd) {
    static const struct slm_show_options blocks = {.parts = SLM_SHOW_BLOCKS};
    static const struct slm_show_options contents = {.dump_bytes = 300};
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = thread_start(run, (void *)i);
    for (int round = 0; round < ROUNDS; round++) {
        show_once(fd, &blocks);
        show_once(fd, &contents);
        static struct slm_breakdown breakdown;
        CHECK(slm_memory_breakdown(&breakdown), "%s", strerror(errno));
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
}

/* --- in a handler ----------------------------------------------------------------------------- */

static int null_fd;
static unsigned handled;

/* Once: the next signal comes a while after the handler's end, however slow that is. */
static void set_timer(void) {
    struct itimerval timer = {{0, 0}, {0, 700}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0, "setitimer");
}

static void handle(int signal) {
    int saved = errno;
    (void)signal;
    CHECK(slm_show_alloc_mem(null_fd) && slm_show_alloc_mem_ex(null_fd, NULL), "%d", errno);
    CHECK(errno == saved, "errno was changed");
    if (handled < SIGNALS / SLOWNESS + 5)
        set_timer();
    __atomic_store_n(&handled, handled + 1, __ATOMIC_RELAXED);
}

static void in_handlers(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    uint64_t state = random_seed(2);
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    set_timer();
    while (__atomic_load_n(&handled, __ATOMIC_RELAXED) <= SIGNALS / SLOWNESS + 5)
        churn(&state);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "show_beside threads|signals");
    keep_some();
    if (strcmp(argv[1], "signals") == 0) {
        in_handlers();
    } else {
        int fd = memfd_create("shown", MFD_CLOEXEC);
        CHECK(fd >= 0, "memfd_create");
        beside_threads(fd);
        close(fd);
    }
    return 0;
}
