/* Purpose: one faulty thing in each scene, for what the options of check/ find; check.py compares
 *          what is told. Usage: check_child SCENE [BYTES] */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "slabmalloc/slabmalloc.h"

size_t bytes = 90;

char *make(void) {
    char *p = hidden(malloc(bytes));
    memset(p, 0x11, bytes);
    printf("%p\n", (void *)p);
    fflush(stdout);
    return p;
}

static void churn(void) {
    for (int i = 0; i < 20000; i++)
        free(hidden(malloc(bytes)));
}

/* --- written behind the size asked for: even bytes, which no canary holds --------------------- */

static void overflow_free(void) {
    char *p = make();
    p[bytes] = 'b';
    free(p);
}
static void overflow_zero(void) {
    char *p = make();
    p[bytes] = 0; /* the end of a string that is one too long */
    free(p);
}
static void overflow_far(void) {
    char *p = make();
    memset(p + bytes, 'B', 5);
    free(p);
}
static void overflow_realloc(void) {
    char *p = make();
    p[bytes + 2] = 'f';
    free(realloc(p, bytes * 3));
}
static void overflow_calloc(void) {
    char *p = hidden(calloc(1, bytes));
    p[bytes] = 'D';
    free(p);
}
static void overflow_resized(void) {
    char *p = hidden(realloc(make(), bytes + bytes / 8));
    p[bytes + bytes / 8] = 'j';
    free(p);
}
static void overflow_aligned(void) {
    char *p = hidden(aligned_alloc(64, bytes));
    p[bytes] = 'F';
    free(p);
}
static void overflow_exact(void) { /* of a size that fills its slot */
    char *p = hidden(malloc(64));
    p[64] = 'n';
    free(p);
}

/* --- after it was freed ----------------------------------------------------------------------- */

static void write_after_free(void) {
    char *p = make();
    free(p);
    p[8] = 'x';
    churn();
}
static void write_after_free_at_end(void) {
    char *p = make();
    free(p);
    p[bytes - 1] = 'y';
    churn();
}
static void double_free(void) {
    char *p = make();
    free(p);
    free(p);
}
static void double_free_late(void) {
    char *p = make();
    free(p);
    for (int i = 0; i < 5; i++)
        free(hidden(malloc(bytes)));
    free(p);
}
static void *free_it(void *p) {
    free(p);
    return NULL;
}
static void double_free_by_threads(void) {
    pthread_t thread;
    char *p = make();
    pthread_create(&thread, NULL, free_it, p);
    pthread_join(thread, NULL);
    free(p);
}
static void realloc_freed(void) {
    char *p = make();
    free(p);
    p = realloc(p, 2 * bytes);
}
static void interior(void) { free(make() + 16); }
static void use_size_freed(void) {
    char *p = make();
    free(p);
    printf("%zu\n", malloc_usable_size(p));
}

/* Found while it is live, or kept back; mended, it is whole again. */
static void look_at_live(void) {
    char *others[20];
    for (int i = 0; i < 20; i++)
        others[i] = make();
    char *p = others[7];
    char before = p[bytes];
    printf("whole %d\n", slm_check_heap(2));
    p[bytes] = 'b';
    printf("whole %d\n", slm_check_heap(2));
    p[bytes] = before;
    printf("whole %d\n", slm_check_heap(2));
    for (int i = 0; i < 20; i++)
        free(others[i]);
}
static void look_at_freed(void) {
    char *p = make();
    free(p);
    char before = p[bytes - 1];
    printf("whole %d\n", slm_check_heap(2));
    p[bytes - 1] = 'x';
    printf("whole %d\n", slm_check_heap(2));
    p[bytes - 1] = before;
    printf("whole %d\n", slm_check_heap(2));
}
/* What threads are about to write or give back is nothing wrong. */
static void *allocate(void *over) {
    while (!*(volatile int *)over) {
        char *p = hidden(malloc(3000));
        p = hidden(realloc(p, 3050));
        char *q = hidden(calloc(1, bytes));
        free(p);
        free(q);
    }
    return NULL;
}
static void look_beside(void) {
    static int over;
    int whole = 1;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, allocate, &over);
    for (int i = 0; i < 300; i++)
        whole = whole && slm_check_heap(2);
    *(volatile int *)&over = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    printf("whole %d\n", whole);
}



/* Freed blocks in quarantine are not live, nor lost from the sums. */
static size_t live_blocks(const struct slm_stats *stats) {
    size_t live = stats->large.live;
    for (int cls = 0; cls < SLM_CLASS_COUNT; cls++)
        live += stats->classes[cls].live;
    return live;
}
static void kept_back(void) {
    static char *blocks[10];
    static struct slm_stats before, now;
    static struct slm_breakdown then, sums;
    for (int i = 0; i < 10; i++)
        blocks[i] = make();
    slm_stats_get(&before);
    slm_memory_breakdown(&then);
    for (int i = 0; i < 10; i++)
        free(blocks[i]);
    slm_stats_get(&now);
    slm_memory_breakdown(&sums);
    size_t kept = sums.quarantine.bytes - then.quarantine.bytes;
    printf("dead %zd kept %zu whole %d\n", (ssize_t)(live_blocks(&before) - live_blocks(&now)),
           now.quarantine.blocks - before.quarantine.blocks,
           kept == now.quarantine.bytes - before.quarantine.bytes && kept >= 10 * bytes);
    const struct slm_part *parts[] = {&sums.live_slots,  &sums.free_slots, &sums.rests,
                                      &sums.empty_slabs, &sums.large_live, &sums.large_spare,
                                      &sums.large_free,  &sums.metadata,   &sums.quarantine};
    size_t all = 0, resident = 0;
    for (int i = 0; i < 9; i++) {
        all += parts[i]->bytes;
        resident += parts[i]->resident_bytes;
    }
    printf("adds up %d %d\n", all == sums.total.bytes, resident == sums.total.resident_bytes);
    fflush(stdout);
    slm_show_alloc_mem_ex(1, &(struct slm_show_options){.parts = SLM_SHOW_BLOCKS,
                                                        .min_bytes = bytes, .from = blocks[0],
                                                        .to = blocks[0] + 1});
}

/* --- kinds and sizes -------------------------------------------------------------------------- */

static void new_free(void) { free(operator_new(bytes)); }
static void malloc_delete(void) { operator_delete(make()); }
static void new_delete_array(void) { operator_delete_array(operator_new(bytes)); }
static void new_array_delete(void) { operator_delete(operator_new_array(bytes)); }
static void new_array_free(void) { free(operator_new_array(bytes)); }
static void new_realloc(void) { free(realloc(operator_new(bytes), 2 * bytes)); }
static void delete_wrong_size(void) { operator_delete_sized(operator_new(bytes), bytes - 1); }
static void delete_array_wrong_size(void) {
    operator_delete_array_sized(operator_new_array(bytes), bytes + 8);
}
static void free_wrong_size(void) { free_sized(make(), bytes + 1); }

/* --- what is right, and says so --------------------------------------------------------------- */

static void right(void) {
    operator_delete(operator_new(bytes));
    operator_delete_array(operator_new_array(bytes));
    operator_delete_sized(operator_new(bytes), bytes);
    operator_delete_array_sized(operator_new_array(bytes), bytes);
    operator_delete(operator_new(0));
    free_sized(make(), bytes);
    free(realloc(make(), 2 * bytes));
    free(realloc(make(), bytes / 2));
    free(realloc(NULL, bytes));
    free(NULL);
    free(calloc(3, bytes));
    free(malloc(0));
    free(memalign(256, bytes));
    churn();
    puts("right");
}

static int all_are(const char *p, size_t from, size_t to, int byte) {
    for (size_t i = from; i < to; i++)
        if ((unsigned char)p[i] != byte)
            return 0;
    return 1;
}

/* What a fresh block, a zeroed one, a grown one and a freed one hold. */
static void contents(void) {
    char *p = hidden(malloc(bytes));
    printf("new %d\n", all_are(p, 0, bytes, 0xb5));
    memset(p, 1, bytes);
    p = hidden(realloc(p, bytes + 9));
    printf("kept %d grown %d\n", all_are(p, 0, bytes, 1), all_are(p, bytes, bytes + 9, 0xb5));
    char *freed = p;
    free(p);
    printf("freed %d zeroed %d\n", all_are(freed, 0, bytes, 0xdf), all_are(freed, 0, bytes, 0));
    p = hidden(calloc(1, bytes));
    printf("calloc %d\n", all_are(p, 0, bytes, 0));
    free(p);
}

static void usable(void) {
    char *p = make();
    printf("%d\n", malloc_usable_size(p) == bytes);
    p = hidden(realloc(p, bytes + 1));
    printf("%d\n", malloc_usable_size(p) == bytes + 1);
    free(p);
}

/* How many of the next blocks lie where the one before was freed: none, if it is kept back. */
static void reuse(void) {
    int reused = 0;
    for (int i = 0; i < 100; i++) {
        uintptr_t p = (uintptr_t)hidden(malloc(bytes));
        free((void *)p);
        uintptr_t q = (uintptr_t)hidden(malloc(bytes));
        reused += p == q;
        free((void *)q);
    }
    printf("reused %d\n", reused);
}

/* How many of 100 blocks follow right behind the one before. */
static void order(void) {
    int next = 0;
    size_t stride = 0;
    uintptr_t last = (uintptr_t)hidden(malloc(40));
    for (int i = 0; i < 100; i++) {
        uintptr_t p = (uintptr_t)hidden(malloc(40));
        stride = 48;
        next += p == last + stride;
        last = p;
    }
    printf("%s\n", next > 90 ? "in order" : next < 20 ? "at random" : "neither");
}

/* Threads come and go, hand blocks over, and fork; the heap stays whole. */
static void *work(void *seed) {
    char *blocks[64] = {0};
    unsigned state = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < 5000; i++) {
        state = state * 1664525 + 1013904223;
        char **p = &blocks[state >> 26];
        free(*p);
        *p = malloc(state >> 8 & 2047);
        if (*p != NULL)
            memset(*p, 7, state >> 8 & 2047);
    }
    for (int i = 0; i < 64; i++)
        free(blocks[i]);
    return malloc(bytes);
}
static void threads(void) {
    for (int round = 0; round < 5; round++) {
        pthread_t threads[4];
        for (size_t i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, work, (void *)(i + 1));
        pid_t child = fork();
        if (child == 0) {
            free(work((void *)9));
            _exit(slm_check_heap(2) ? 0 : 1);
        }
        for (size_t i = 0; i < 4; i++) {
            void *block;
            pthread_join(threads[i], &block);
            free(block);
        }
    }
    printf("whole %d\n", slm_check_heap(2));
}

/* --- history and leaks ------------------------------------------------------------------------ */

static void history(void) {
    struct slm_event events[8];
    char *p = make();
    char *q = hidden(realloc(p, bytes + 40));
    printf("moved %d\n", p != q);
    fflush(stdout);
    struct slm_show_options only = {
        .parts = SLM_SHOW_BLOCKS | SLM_SHOW_HISTORY, .from = q, .to = q + 1};
    slm_show_alloc_mem_ex(1, &only);
    free(q);
    size_t count = slm_history(q + 5, events, 8);
    for (size_t i = 0; i < count; i++)
        printf("%s %d %zu own %d deep %d\n", events[i].call, events[i].frees, events[i].bytes,
               events[i].thread == (uint32_t)gettid(), events[i].depth > 0);
    printf("foreign %zu\n", slm_history(&count, events, 8));
}

__attribute__((noinline)) static void leak(size_t size) { hidden(malloc(size)); }

static void leaks(void) {
    for (int i = 0; i < 10; i++)
        leak(bytes);
    leak(7);
    hidden(strdup("a word"));
    free(hidden(malloc(bytes)));
    puts("done"); /* with a buffer that is libc's own */
}

static void no_leaks(void) {
    free(hidden(malloc(bytes)));
    puts("done");
}

static const struct scene scenes[] = {
    SCENE(overflow_free),     SCENE(overflow_zero),           SCENE(overflow_far),
    SCENE(overflow_realloc),  SCENE(overflow_calloc),         SCENE(overflow_resized),
    SCENE(overflow_aligned),  SCENE(overflow_exact),          SCENE(write_after_free),
    SCENE(write_after_free_at_end),                           SCENE(double_free),
    SCENE(double_free_late),  SCENE(double_free_by_threads),  SCENE(realloc_freed),
    SCENE(interior),          SCENE(use_size_freed),          SCENE(new_free),
    SCENE(malloc_delete),     SCENE(new_delete_array),        SCENE(new_array_delete),
    SCENE(new_array_free),    SCENE(new_realloc),             SCENE(delete_wrong_size),
    SCENE(delete_array_wrong_size),                           SCENE(free_wrong_size),
    SCENE(look_at_live),      SCENE(look_at_freed),           SCENE(look_beside),
    SCENE(kept_back),
    SCENE(right),             SCENE(contents),                SCENE(usable),
    SCENE(reuse),             SCENE(order),                   SCENE(threads),
    SCENE(history),           SCENE(leaks),                   SCENE(no_leaks),
    {NULL, NULL},
};

static bool run(const struct scene *scene, const char *name) {
    while (scene->name != NULL && strcmp(scene->name, name) != 0)
        scene++;
    if (scene->name != NULL)
        scene->run();
    return scene->name != NULL;
}

int main(int argc, char **argv) {
    if (argc > 2)
        bytes = strtoul(argv[2], NULL, 10);
    alarm(100); /* a guard is a few system calls, which take long on some machines */
    return argc > 1 && (run(scenes, argv[1]) || run(more_scenes, argv[1])) ? 0 : 9;
}
