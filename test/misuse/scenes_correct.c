/* Purpose: the situations of the other scenes, used as they may be: none of them may abort. */
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "child.h"

static void free_it(void *p) { call_with(p); }
static void allocate_act(void *result) { *(void **)result = block(); }

static void free_after_others(void) {
    void *others[50];
    void *p = block();
    for (int i = 0; i < 50; i++)
        others[i] = malloc(request_bytes[zone]);
    for (int i = 0; i < 50; i++)
        free(others[i]);
    call_with(p);
}

/* The same address again and again, each time a block of its own. */
static void reuse(void) {
    void *p = block();
    for (int i = 0; i < 1000; i++) {
        free(p);
        p = hidden(malloc(request_bytes[zone]));
        require(p != NULL);
    }
    call_with(p);
}

/* Slabs go back and come again, perhaps as another class. */
static void reuse_of_slabs(void) {
    enum { BLOCKS = 3000 };
    static void *blocks[BLOCKS];
    size_t count = zone == LARGE ? 20 : zone == SMALL ? 1000 : BLOCKS;
    for (int round = 0; round < 6; round++) {
        size_t size = request_bytes[zone] / (round % 3 + 1);
        for (size_t i = 0; i < count; i++)
            memset(blocks[i] = malloc(size), round, size);
        for (size_t i = 0; i < count; i++)
            free(blocks[i]);
        if (round % 2 == 0)
            malloc_trim(0);
    }
    call_with(block());
}

static void by_other_thread(void) { in_thread(free_it, block()); }

/* Other thread frees, owner gets the slot again, other thread frees again. */
static void by_other_thread_again(void) {
    enum { BLOCKS = 1500 };
    void *blocks[BLOCKS];
    size_t count = zone == LARGE ? 20 : BLOCKS;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < count; i++)
            require((blocks[i] = malloc(request_bytes[zone])) != NULL);
        for (size_t i = 0; i < count; i += 50)
            in_thread(free_it, blocks[i]);
        for (size_t i = 0; i < count; i++)
            if (i % 50 != 0)
                free(blocks[i]);
    }
}

static void owner_gone(void) {
    void *p;
    in_thread(allocate_act, &p);
    call_with(p);
}

static void owner_gone_by_other(void) {
    void *p;
    in_thread(allocate_act, &p);
    in_thread(free_it, p);
}

static void in_child(void) { in_forked_child(free_it, block()); }

static void in_child_and_parent(void) {
    void *p = block();
    pid_t child = fork();
    require(child >= 0);
    call_with(p); /* each its own copy */
    if (child > 0)
        in_forked_child(free_it, block());
}

static pthread_barrier_t allocated;

static void *allocate_and_stay(void *result) {
    allocate_act(result);
    pthread_barrier_wait(&allocated);
    for (;;)
        pause();
    return NULL;
}

static void owner_not_forked(void) {
    pthread_t thread;
    void *p;
    pthread_barrier_init(&allocated, NULL, 2);
    require(pthread_create(&thread, NULL, allocate_and_stay, &p) == 0);
    pthread_barrier_wait(&allocated);
    in_forked_child(free_it, p);
}

static void freed_by_other_then_fork(void) {
    void *p = block();
    in_thread(free_it, block());
    in_forked_child(free_it, p);
}

static pthread_key_t key;
static int rounds;

static void destroyed(void *p) {
    if (++rounds < 4)
        pthread_setspecific(key, p);
    else
        call_with(p);
}

static void set_key_act(void *unused) {
    (void)unused;
    pthread_setspecific(key, block());
}

static void thread_is_dead(void) {
    free(block());
    require(pthread_key_create(&key, destroyed) == 0);
    in_thread(set_key_act, NULL);
    require(rounds == 4);
}

static void evicted_and_mapped_again(void) {
    for (int i = 0; i < 20; i++) {
        void *p = block();
        free(p);
        malloc_trim(0);
        call_with(block());
    }
}

static void aligned_blocks(void) {
    for (size_t alignment = 16; alignment <= (size_t)1 << 22; alignment *= 2)
        call_with(aligned_alloc(alignment, request_bytes[zone]));
}

static void null(void) { call_with(NULL); }

const struct scene correct_scenes[] = {
    {"correct_after_others", free_after_others},
    {"correct_reuse", reuse},
    {"correct_reuse_of_slabs", reuse_of_slabs},
    {"correct_by_other_thread", by_other_thread},
    {"correct_by_other_thread_again", by_other_thread_again},
    {"correct_owner_gone", owner_gone},
    {"correct_owner_gone_by_other", owner_gone_by_other},
    {"correct_in_child", in_child},
    {"correct_in_child_and_parent", in_child_and_parent},
    {"correct_owner_not_forked", owner_not_forked},
    {"correct_freed_by_other_then_fork", freed_by_other_then_fork},
    {"correct_thread_is_dead", thread_is_dead},
    {"correct_evicted_and_mapped_again", evicted_and_mapped_again},
    {"correct_aligned_blocks", aligned_blocks},
    {"correct_null", null},
    {NULL, NULL},
};
