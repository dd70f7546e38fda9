/* Purpose: a live set of bounded size that flows from threads that allocate to one that frees.
 *
 *   flow PRODUCERS LIVE OPERATIONS
 *
 * Producers fill blocks of 64 bytes to 64 KiB and hand them over in order; the consumer frees the
 * oldest as soon as LIVE bytes are there, and allocates nothing itself. What it frees must serve
 * the producers again, not pile up (field cases F5, 21). */
#include <stdatomic.h>

#include "memory.h"

static const char usage[] = "PRODUCERS LIVE OPERATIONS";

enum { PLACES = 1 << 20, LOOKS = 128 };

struct handed {
    unsigned char *block;
    size_t bytes;
};

static struct handed *ring;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t there_is_room = PTHREAD_COND_INITIALIZER;
static pthread_cond_t there_is_work = PTHREAD_COND_INITIALIZER;
static size_t put, taken, live, operations_each, operations_in_all, live_most;

/* A block counts as live from before it is allocated: so that the bound holds. */
static void *produce(void *argument) {
    struct random random = {(uint64_t)(uintptr_t)argument};
    for (size_t i = 0; i < operations_each; i++) {
        size_t bytes = random_log_uniform(&random, 6, 16);
        pthread_mutex_lock(&lock);
        while (live + bytes > live_most)
            pthread_cond_wait(&there_is_room, &lock);
        live += bytes;
        pthread_mutex_unlock(&lock);
        unsigned char *block = get_filled(bytes, (unsigned char)i);
        pthread_mutex_lock(&lock);
        ring[put++ % PLACES] = (struct handed){block, bytes};
        if (live * 10 > live_most * 9 || put == operations_in_all)
            pthread_cond_signal(&there_is_work);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Frees while more than 9/10 of what may live does. */
static void consume(size_t operations) {
    size_t peak = 0;
    for (size_t done = 0; done < operations; done++) {
        pthread_mutex_lock(&lock);
        while (put == taken || (live * 10 <= live_most * 9 && put < operations))
            pthread_cond_wait(&there_is_work, &lock);
        struct handed handed = ring[taken++ % PLACES];
        pthread_mutex_unlock(&lock);
        free(handed.block);
        pthread_mutex_lock(&lock);
        live -= handed.bytes;
        pthread_cond_broadcast(&there_is_room);
        size_t now_live = live;
        pthread_mutex_unlock(&lock);
        if (done % (operations / LOOKS) == 0) {
            size_t now = take_sample((double)done / (double)operations, now_live);
            peak = now > peak ? now : peak;
        }
    }
    print_figure("peak", peak);
}

int main(int count, char **arguments) {
    size_t producers = number(count, arguments, 1, usage);
    live_most = number(count, arguments, 2, usage);
    operations_each = number(count, arguments, 3, usage) / producers;
    operations_in_all = operations_each * producers;
    ring = own_table(PLACES * sizeof *ring);
    pthread_t *threads = own_table(producers * sizeof *threads);
    begin_measuring();
    for (size_t i = 0; i < producers; i++)
        threads[i] = start_thread(produce, (void *)(i + 1), 0);
    consume(operations_in_all);
    for (size_t i = 0; i < producers; i++)
        pthread_join(threads[i], NULL);
    print_figure("bound", live_most);
    print_samples();
    return 0;
}
