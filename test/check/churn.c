/* Protects: checks in builds where nothing starts them by itself (the sanitizers'): threads that
 * allocate, resize and free each other's blocks, come and go, and fork, with the options of the
 * command line. Usage: check_churn OPTIONS */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fatal.h"
#include "check/check.h"
#include "core/options.h"
#include "heap/heap.h"
#include "slabmalloc/slabmalloc.h"

enum { THREADS = 4, SHARED = 64, CALLS = 20000, CHILD_CALLS = 500 };

struct block {
    size_t bytes;
    unsigned char mark;
    unsigned char rest[];
};

static struct block *shared[SHARED]; /* each taken and put by an exchange */
static unsigned wrong;

static void verify(const struct block *block) {
    for (size_t i = 0; i < block->bytes; i++)
        if (block->rest[i] != block->mark)
            __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

static void fill(struct block *block, size_t bytes, unsigned char mark) {
    block->bytes = bytes;
    block->mark = mark;
    memset(block->rest, mark, bytes);
}

static size_t some_bytes(unsigned state) {
    return state % 97 == 0 ? 150000 : state % 13 == 0 ? state % 9000 : state % 500;
}

static void step(unsigned state) {
    struct block **place = &shared[state >> 26];
    struct block *block = __atomic_exchange_n(place, NULL, __ATOMIC_ACQ_REL);
    size_t bytes = some_bytes(state >> 8);
    if (block != NULL) {
        verify(block);
        if (state & 64) {
            slm_free(block);
            block = NULL;
        } else {
            block = slm_realloc(block, sizeof *block + bytes);
        }
    } else {
        block = state & 128 ? slm_calloc(1, sizeof *block + bytes)
                            : slm_aligned_alloc(32, sizeof *block + bytes);
    }
    if (block != NULL)
        fill(block, bytes, (unsigned char)(state >> 4));
    slm_free(__atomic_exchange_n(place, block, __ATOMIC_ACQ_REL));
}

static void *run(void *calls) {
    unsigned state = (unsigned)(uintptr_t)&calls;
    for (size_t i = 0; i < *(const size_t *)calls; i++) {
        state = state * 1664525 + 1013904223;
        step(state);
    }
    return NULL;
}

static void run_threads(size_t calls) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run, &calls);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static bool is_whole(void) {
    struct check_finding finding;
    return slm_check_heap(2) && !check_take(&finding) && wrong == 0;
}

int main(int argc, char **argv) {
    TEXT(complaints, 256);
    int status = 1;
    alarm(100);
    options_parse(argc > 1 ? argv[1] : "", &complaints);
    text_write(&complaints, 2);
    heap_set_up();
    heap_start_checks();
    run_threads(CALLS);
    pid_t child = fork();
    if (child == 0) {
        size_t calls = CHILD_CALLS;
        run(&calls);
        _exit(is_whole() ? 0 : 1);
    }
    waitpid(child, &status, 0);
    printf("whole %d, child %d, checks %u\n", is_whole(), status, check_active);
    return complaints.used == 0 && is_whole() && status == 0 && check_active ? 0 : 1;
}
