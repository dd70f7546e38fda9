/* Purpose: producers allocate and consumers free: no block is freed by the thread that allocated
 *          it.
 *
 *   pass PRODUCERS CONSUMERS BLOCKS
 *
 * Blocks of 16..511 bytes, log-uniform, go from PRODUCERS to CONSUMERS in batches of 64 through one
 * bounded queue, so that the queue's lock is taken once for 64 blocks and at most some 4000 blocks
 * are under way. BLOCKS are allocated in all. 1:1 is a pipeline, 1:N an acceptor with workers, N:1
 * a writer that collects from all. */
#include "common.h"

enum { BATCH = 64, QUEUE = 64 };
static const char usage[] = "PRODUCERS CONSUMERS BLOCKS";

struct batch {
    unsigned char *blocks[BATCH];
};

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t has_room, has_batch;
    struct batch batches[QUEUE];
    size_t first, count, batches_left; /* left to be taken out */
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER,
           .has_room = PTHREAD_COND_INITIALIZER,
           .has_batch = PTHREAD_COND_INITIALIZER};

struct worker {
    struct random random;
    size_t batches; /* to be produced; a consumer takes what it gets */
    int is_producer;
    uint64_t checksum;
};

static void put_in(const struct batch *batch) {
    pthread_mutex_lock(&queue.mutex);
    while (queue.count == QUEUE)
        pthread_cond_wait(&queue.has_room, &queue.mutex);
    queue.batches[(queue.first + queue.count++) % QUEUE] = *batch;
    pthread_cond_signal(&queue.has_batch);
    pthread_mutex_unlock(&queue.mutex);
}

static int take_out(struct batch *batch) {
    pthread_mutex_lock(&queue.mutex);
    while (queue.count == 0 && queue.batches_left > 0)
        pthread_cond_wait(&queue.has_batch, &queue.mutex);
    int is_taken = queue.count > 0;
    if (is_taken) {
        *batch = queue.batches[queue.first];
        queue.first = (queue.first + 1) % QUEUE;
        queue.count--;
        if (--queue.batches_left == 0)
            pthread_cond_broadcast(&queue.has_batch);
        pthread_cond_signal(&queue.has_room);
    }
    pthread_mutex_unlock(&queue.mutex);
    return is_taken;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct random random = worker->random; /* on this thread's stack: workers share cache lines */
    uint64_t checksum = 0;
    struct batch batch;
    if (worker->is_producer) {
        for (size_t i = 0; i < worker->batches; i++) {
            for (size_t j = 0; j < BATCH; j++) {
                size_t size = random_log_uniform(&random, 4, 9);
                batch.blocks[j] = get(size);
                batch.blocks[j][0] = batch.blocks[j][size - 1] = (unsigned char)(i + j);
            }
            put_in(&batch);
        }
        return NULL;
    }
    while (take_out(&batch))
        for (size_t j = 0; j < BATCH; j++) {
            checksum += batch.blocks[j][0];
            free(batch.blocks[j]);
        }
    worker->checksum = checksum;
    return NULL;
}

int main(int count, char **arguments) {
    size_t producers = number(count, arguments, 1, usage);
    size_t consumers = number(count, arguments, 2, usage);
    size_t each = number(count, arguments, 3, usage) / BATCH / producers;
    struct worker *workers = get((producers + consumers) * sizeof *workers);
    uint64_t checksum = 0;

    for (size_t i = 0; i < producers + consumers; i++)
        workers[i] = (struct worker){{i}, each, i < producers, 0};
    queue.batches_left = each * producers;
    run_threads(producers + consumers, work, workers, sizeof *workers);
    for (size_t i = 0; i < producers + consumers; i++)
        checksum += workers[i].checksum;
    free(workers);
    return finish(2 * each * producers * BATCH, checksum);
}
