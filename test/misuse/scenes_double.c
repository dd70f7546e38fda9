/* Purpose: scenes in which a block is used again after it was freed. */
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "slabmalloc/slabmalloc.h"

static void at_once(void) {
    void *p = block();
    free(p);
    fault(p, p);
}

static void after_other_frees(void) {
    enum { OTHERS = 50 };
    void *others[OTHERS];
    void *p = block();
    for (int i = 0; i < OTHERS; i++)
        others[i] = malloc(request_bytes[zone]);
    free(p);
    for (int i = 0; i < OTHERS; i++)
        free(others[i]);
    fault(p, p);
}

/* Freed, given out again, freed again: the third free is one too many. */
static void after_reuse(void) {
    void *p = block();
    free(p);
    void *again = hidden(malloc(request_bytes[zone]));
    require(again == p);
    free(again);
    fault(p, p);
}

/* The block freed last of a slab that is empty then, and went back to its zone. */
static void slab_gone(void) {
    enum { BLOCKS = 4096 };
    static void *blocks[BLOCKS];
    static struct slm_stats before, after;
    size_t slab_bytes = zone == TINY ? 65536 : 1 << 20;
    size_t count = 4 * slab_bytes / block_bytes[zone];
    size_t second = count * 3 / 8; /* in the middle of the second of four slabs */
    for (size_t i = 0; i < count; i++)
        blocks[i] = malloc(request_bytes[zone]);
    slm_stats_get(&before);
    for (size_t i = 0; i < count; i++)
        if (i != second)
            free(blocks[i]);
    free(blocks[second]);
    slm_stats_get(&after);
    if (zone == TINY)
        require(after.tiny.slabs_empty > before.tiny.slabs_empty);
    if (zone == SMALL)
        require(after.small.slabs_empty > before.small.slabs_empty);
    fault(blocks[second], blocks[second]);
}

/* As above, and the memory went back to the system. */
static void slab_purged(void) {
    enum { BLOCKS = 4096 };
    static void *blocks[BLOCKS];
    size_t count = 4 * (zone == TINY ? 65536 : 1 << 20) / block_bytes[zone];
    for (size_t i = 0; i < count; i++)
        memset(blocks[i] = malloc(request_bytes[zone]), 1, request_bytes[zone]);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    malloc_trim(0);
    fault(blocks[count / 2], blocks[count / 2]);
}

/* Of so many slabs that the pages of their headers go as well. */
static void headers_gone(void) {
    enum { BLOCKS = 1 << 18 };
    static void *blocks[BLOCKS];
    static struct slm_breakdown before, after;
    size_t count = ((size_t)8 << 20) / block_bytes[zone];
    for (size_t i = 0; i < count; i++)
        memset(blocks[i] = malloc(request_bytes[zone]), 1, request_bytes[zone]);
    slm_memory_breakdown(&before);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    slm_purge();
    slm_memory_breakdown(&after);
    if (zone == TINY && !SLM_TORTURE) /* in which purges fail */
        require(after.metadata.resident_bytes + 50000 < before.metadata.resident_bytes);
    fault(blocks[count / 2], blocks[count / 2]);
}

static void free_it(void *p) { free(p); }

static void other_then_owner(void) {
    void *p = block();
    in_thread(free_it, p);
    fault(p, p);
}

/* Of the freeing thread only the last block frees a slab whose owner is at work in it. */
static void other_then_owner_with_more(void) {
    void *p = block();
    in_thread(free_it, p);
    free(hidden(malloc(request_bytes[zone])));
    fault(p, p);
}

static void fault_in_thread(void *p) { fault(p, p); }

static void owner_then_other(void) {
    void *p = block();
    free(p);
    in_thread(fault_in_thread, p);
}

static void two_others(void) {
    void *p = block();
    in_thread(free_it, p);
    in_thread(fault_in_thread, p);
}

static void one_other_twice_act(void *p) {
    free(p);
    fault(p, p);
}

static void one_other_twice(void) { in_thread(one_other_twice_act, block()); }

static void allocate_act(void *result) { *(void **)result = block(); }

static void owner_gone(void) {
    void *p;
    in_thread(allocate_act, &p);
    free(p);
    fault(p, p);
}

static void allocate_and_free_act(void *result) {
    allocate_act(result);
    free(*(void **)result);
}

static void owner_freed_and_gone(void) {
    void *p;
    in_thread(allocate_and_free_act, &p);
    fault(p, p);
}

static void owner_gone_two_others(void) {
    void *p;
    in_thread(allocate_act, &p);
    in_thread(free_it, p);
    in_thread(fault_in_thread, p);
}

/* --- fork ------------------------------------------------------------------------------------ */

static void freed_before_fork(void) {
    void *p = block();
    free(p);
    in_forked_child(fault_in_thread, p);
}

static void freed_by_other_before_fork(void) {
    void *p = block();
    in_thread(free_it, p);
    in_forked_child(fault_in_thread, p);
}

static void freed_in_child(void) { in_forked_child(one_other_twice_act, block()); }

static pthread_barrier_t allocated;

static void *allocate_and_stay(void *result) {
    allocate_act(result);
    pthread_barrier_wait(&allocated);
    for (;;)
        pause();
    return NULL;
}

/* The owner is a thread that the fork does not copy. */
static void owner_not_forked(void) {
    pthread_t thread;
    void *p;
    pthread_barrier_init(&allocated, NULL, 2);
    require(pthread_create(&thread, NULL, allocate_and_stay, &p) == 0);
    pthread_barrier_wait(&allocated);
    in_forked_child(one_other_twice_act, p);
}

/* --- a thread whose cache is gone ------------------------------------------------------------ */

static pthread_key_t key;
static int rounds;

/* In the last round of destructors, after that of the older key of the heap. */
static void destroyed(void *p) {
    if (++rounds < 4) {
        pthread_setspecific(key, p);
        return;
    }
    one_other_twice_act(p);
}

static void set_key_act(void *unused) {
    (void)unused;
    pthread_setspecific(key, block());
}

static void thread_is_dead(void) {
    free(block());
    require(pthread_key_create(&key, destroyed) == 0);
    in_thread(set_key_act, NULL);
}

/* --- LARGE ----------------------------------------------------------------------------------- */

static void evicted(void) {
    void *p = block();
    free(p);
    require(malloc_trim(0) == 1);
    fault(p, p);
}

/* More than twice what the cache of free mappings holds: unmapped by the free itself. */
static void too_large_to_cache(void) {
    void *p = hidden(malloc((size_t)200 << 20));
    free(p);
    fault(p, p);
}

static void resized_away(void) {
    void *p = block();
    void *wall = malloc(request_bytes[zone]);
    void *moved = hidden(realloc(p, 40 * request_bytes[zone]));
    require(moved != NULL && moved != p && wall != NULL);
    fault(p, p);
}

/* --- which slot ------------------------------------------------------------------------------ */

/* A class that nothing else in the process uses gives out slots 0, 1, 2, ... of a fresh slab. */
static void slot_number(void) {
    void *slots[100];
    for (int i = 0; i < 100; i++)
        slots[i] = malloc(request_bytes[zone]);
    free(slots[16]);
    fault_at_slot(slots[16], slots[16], 16);
}

const struct scene double_scenes[] = {
    {"at_once", at_once},
    {"after_other_frees", after_other_frees},
    {"after_reuse", after_reuse},
    {"slab_gone", slab_gone},
    {"slab_purged", slab_purged},
    {"headers_gone", headers_gone},
    {"other_then_owner", other_then_owner},
    {"other_then_owner_with_more", other_then_owner_with_more},
    {"owner_then_other", owner_then_other},
    {"two_others", two_others},
    {"one_other_twice", one_other_twice},
    {"owner_gone", owner_gone},
    {"owner_freed_and_gone", owner_freed_and_gone},
    {"owner_gone_two_others", owner_gone_two_others},
    {"freed_before_fork", freed_before_fork},
    {"freed_by_other_before_fork", freed_by_other_before_fork},
    {"freed_in_child", freed_in_child},
    {"owner_not_forked", owner_not_forked},
    {"thread_is_dead", thread_is_dead},
    {"evicted", evicted},
    {"too_large_to_cache", too_large_to_cache},
    {"resized_away", resized_away},
    {"slot_number", slot_number},
    {NULL, NULL},
};
