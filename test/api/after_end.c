/* Purpose: the heap after its own end: in a thread after the last destructor of thread data, in the
 *          process after main.
 *
 * Protects: a thread that has been taken down and goes on calling costs nothing for each call: no
 * cache is made anew, no system call, no page fault (field case B1); nothing is torn down at exit,
 * and frees after main cost what they cost before (B2, B3, case 7). Costs are counted in page
 * faults and in the heap's own system calls, not in time.
 *
 * after_end thread|process */
#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api.h"
#include "slabmalloc/slabmalloc.h"

enum { BLOCKS = 100000 / (SLM_TORTURE ? 20 : 1), CYCLES = 20000 / (SLM_TORTURE ? 20 : 1) };

static void expect(bool condition, const char *what, size_t number) {
    if (condition)
        return;
    dprintf(2, "after_end: %s: %zu\n", what, number);
    _exit(1);
}

struct cost {
    size_t faults, system_calls, caches, metadata_bytes;
};

static struct cost cost_so_far(void) {
    static struct slm_stats stats;
    struct rusage usage;
    slm_stats_get(&stats);
    getrusage(RUSAGE_SELF, &usage);
    return (struct cost){(size_t)(usage.ru_minflt + usage.ru_majflt),
                         stats.large.mappings + stats.large.unmappings, stats.caches,
                         stats.metadata_bytes};
}

static void expect_cheap(struct cost before, const char *when) {
    struct cost now = cost_so_far();
    dprintf(1, "%s: %zu faults, %zu system calls, %zu caches, %zd bytes of metadata\n", when,
            now.faults - before.faults, now.system_calls - before.system_calls,
            now.caches - before.caches, (ssize_t)(now.metadata_bytes - before.metadata_bytes));
    expect(now.faults - before.faults <= 300, "page faults", now.faults - before.faults);
    expect(SLM_TORTURE || now.system_calls - before.system_calls <= 20, "system calls",
           now.system_calls - before.system_calls);
    expect(now.caches - before.caches <= 1, "caches", now.caches - before.caches);
    expect(now.metadata_bytes <= before.metadata_bytes + (512 << 10), "metadata",
           now.metadata_bytes - before.metadata_bytes); /* less: headers went back */
}

static char **make_blocks(void) {
    char **blocks = malloc(BLOCKS * sizeof *blocks);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(8 + i % 300);
        blocks[i][0] = (char)i;
    }
    return blocks;
}

static void free_blocks(char **blocks) {
    for (size_t i = 0; i < BLOCKS; i++) {
        expect(blocks[i][0] == (char)i, "a block is damaged", i);
        free(blocks[i]);
    }
    free(blocks);
}

static void *make_in_thread(void *unused) { return (void)unused, make_blocks(); }

static char **blocks_of_ended_thread(void) {
    pthread_t thread;
    void *blocks;
    expect(pthread_create(&thread, NULL, make_in_thread, NULL) == 0, "no thread", 0);
    pthread_join(thread, &blocks);
    return blocks;
}

/* All ways through the heap, with little live at a time. */
static void cycle(void) {
    for (size_t i = 0; i < CYCLES; i++) {
        char *block = malloc(i % 2000);
        block = hidden(realloc(block, 1 + i % 5000));
        block[0] = 1;
        free(block);
        free(hidden(calloc(1, i % 700 + 1)));
    }
    for (size_t i = 0; i < CYCLES / 100; i++)
        free(hidden(malloc(300000)));
}

/* --- a thread ---- */

static pthread_key_t key;
static unsigned rounds_run;
static char **own_blocks, **other_blocks;

/* Sets itself again to the last round, in which the heap's own destructors have run. */
static void destroy(void *value) {
    if (++rounds_run < PTHREAD_DESTRUCTOR_ITERATIONS) {
        expect(pthread_setspecific(key, value) == 0, "pthread_setspecific", rounds_run);
        return;
    }
    cycle(); /* what is needed is there after this */
    struct cost before = cost_so_far();
    for (int i = 0; i < 10; i++)
        cycle();
    free_blocks(own_blocks);
    free_blocks(other_blocks);
    expect_cheap(before, "in the last round of a thread's destructors");
}

static void *end_and_go_on(void *unused) {
    own_blocks = make_blocks();
    expect(pthread_setspecific(key, &key) == 0, "pthread_setspecific", 0);
    return unused;
}

static void in_thread(void) {
    pthread_t thread;
    free(malloc(1)); /* the heap's keys are made before this one */
    expect(pthread_key_create(&key, destroy) == 0, "pthread_key_create", 0);
    other_blocks = make_blocks();
    expect(pthread_create(&thread, NULL, end_and_go_on, NULL) == 0, "no thread", 0);
    pthread_join(thread, NULL);
    expect(rounds_run == PTHREAD_DESTRUCTOR_ITERATIONS, "rounds", rounds_run);
}

/* --- the process ---- */

static char **for_handler[2], **for_fini[2];
static bool handler_ran;

static void free_two(char **blocks[2], const char *when) {
    struct cost before = cost_so_far();
    free_blocks(blocks[0]);
    free_blocks(blocks[1]);
    cycle();
    expect_cheap(before, when);
}

static void handler(void) {
    free_two(for_handler, "in an atexit handler");
    handler_ran = true;
}

static __attribute__((destructor)) void fini(void) {
    if (for_fini[0] == NULL)
        return;
    expect(handler_ran, "the handler did not run", 0);
    free_two(for_fini, "in .fini_array");
    _exit(0); /* the status says that this part ran too */
}

static void after_main(void) {
    for (int i = 0; i < 2; i++) {
        char ***pair = i == 0 ? for_handler : for_fini;
        pair[0] = make_blocks();
        pair[1] = blocks_of_ended_thread();
    }
    expect(atexit(handler) == 0, "atexit", 0);
    cycle();
    exit(3); /* unless `fini` says otherwise */
}

int main(int argc, char **argv) {
    expect(argc == 2 && is_ours("malloc"), "usage: after_end thread|process", (size_t)argc);
    if (strcmp(argv[1], "process") == 0)
        after_main();
    in_thread();
    return 0;
}
