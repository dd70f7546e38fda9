/* Purpose: what a thread costs.
 *
 *   threads churn THREADS BLOCKS         THREADS threads, four at a time: each allocates BLOCKS
 *                                        blocks, frees them and ends
 *   threads idle THREADS REPLACEMENTS    THREADS threads allocate 200 blocks each, free every
 *                                        second one and sleep, while the main thread replaces
 *                                        blocks of its own
 *
 * Sizes are 16..2047 bytes, log-uniform. A heap for each thread has to be cheap to make and to give
 * back, and what sleeping threads hold, small (field cases 6, 23 and F6). */
#include "common.h"

enum { AT_ONCE = 4, IDLE_BLOCKS = 200, MAIN_SLOTS = 20000 };
static const char usage[] = "churn THREADS BLOCKS | idle THREADS REPLACEMENTS";

struct worker {
    struct random random;
    size_t blocks;
    uint64_t checksum;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static size_t sleeping;
static int is_over;

static unsigned char *get_random(struct random *random, size_t mark) {
    return get_filled(random_log_uniform(random, 4, 11), (unsigned char)mark);
}

static void *live_briefly(void *argument) {
    struct worker *worker = argument;
    struct random random = worker->random; /* on this thread's stack: workers share cache lines */
    uint64_t checksum = 0;
    unsigned char *blocks[256];
    for (size_t i = 0; i < worker->blocks; i++)
        blocks[i] = get_random(&random, i);
    for (size_t i = 0; i < worker->blocks; i++) {
        checksum += *blocks[i];
        free(blocks[i]);
    }
    worker->checksum = checksum;
    return NULL;
}

static void *sleep_with_blocks(void *argument) {
    struct worker *worker = argument;
    unsigned char *blocks[IDLE_BLOCKS];
    for (size_t i = 0; i < IDLE_BLOCKS; i++)
        blocks[i] = get_random(&worker->random, i);
    for (size_t i = 0; i < IDLE_BLOCKS; i += 2)
        free(blocks[i]);
    pthread_mutex_lock(&mutex);
    sleeping++;
    pthread_cond_broadcast(&changed);
    while (!is_over)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    for (size_t i = 1; i < IDLE_BLOCKS; i += 2) {
        worker->checksum += *blocks[i];
        free(blocks[i]);
    }
    return NULL;
}

static uint64_t replace_blocks(size_t replacements) {
    static unsigned char *slots[MAIN_SLOTS];
    struct random random = {8};
    uint64_t checksum = 0;
    for (size_t i = 0; i < replacements; i++) {
        unsigned char **slot = &slots[random_below(&random, MAIN_SLOTS)];
        checksum += *slot ? **slot : 0u;
        free(*slot);
        *slot = get_random(&random, i);
    }
    for (size_t i = 0; i < MAIN_SLOTS; i++)
        free(slots[i]);
    return checksum;
}

static uint64_t churn(size_t threads, size_t blocks) {
    struct worker workers[AT_ONCE];
    uint64_t checksum = 0;
    if (blocks > 256)
        fail("at most 256 blocks");
    for (size_t i = 0; i < threads; i += AT_ONCE) {
        for (size_t j = 0; j < AT_ONCE; j++)
            workers[j] = (struct worker){{i + j}, blocks, 0};
        run_threads(AT_ONCE, live_briefly, workers, sizeof *workers);
        for (size_t j = 0; j < AT_ONCE; j++)
            checksum += workers[j].checksum;
    }
    return checksum;
}

static uint64_t idle(size_t threads, size_t replacements) {
    struct worker *workers = get(threads * sizeof *workers);
    pthread_t *handles = get(threads * sizeof *handles);
    for (size_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){{i}, IDLE_BLOCKS, 0};
        handles[i] = start_thread(sleep_with_blocks, &workers[i], 0);
    }
    pthread_mutex_lock(&mutex);
    while (sleeping < threads)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    uint64_t checksum = replace_blocks(replacements);
    pthread_mutex_lock(&mutex);
    is_over = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < threads; i++) {
        pthread_join(handles[i], NULL);
        checksum += workers[i].checksum;
    }
    free(handles);
    free(workers);
    return checksum;
}

int main(int count, char **arguments) {
    size_t threads = number(count, arguments, 2, usage), work = number(count, arguments, 3, usage);
    if (is_mode(count, arguments, "churn"))
        return finish(2 * threads * work, churn(threads, work));
    if (is_mode(count, arguments, "idle"))
        return finish(2 * (work + threads * IDLE_BLOCKS), idle(threads, work));
    wrong_mode(arguments, usage);
}
