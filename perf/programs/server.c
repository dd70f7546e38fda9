/* Purpose: a server: threads replace random blocks, and every round each of them hands its blocks
 *          over to a new thread and ends (after Larson and Krishnan, "Memory Allocation for
 *          Long-Running Server Applications", 1998).
 *
 *   server THREADS BLOCKS REPLACEMENTS ROUNDS
 *
 * There are THREADS chains of threads at any time, BLOCKS blocks for each, 8..1000 bytes, even, and
 * REPLACEMENTS for each thread of a chain. The first blocks are allocated by the main thread and
 * dealt out at random. So most frees meet a block of another thread, often of one that is no
 * more. */
#include "common.h"

static const char usage[] = "THREADS BLOCKS REPLACEMENTS ROUNDS";

struct chain {
    struct random random;
    unsigned char **blocks;
    size_t count, replacements, rounds_left;
    uint64_t checksum;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t is_one_done = PTHREAD_COND_INITIALIZER;
static size_t running;

static size_t size_of(struct random *random) { return 8 + random_below(random, 993); }

static unsigned char *get_marked(size_t size, unsigned char mark) {
    unsigned char *block = get(size);
    block[0] = block[size - 1] = mark;
    return block;
}

static void *serve(void *argument) {
    struct chain *chain = argument;
    struct random random = chain->random;
    uint64_t checksum = 0;
    for (size_t i = 0; i < chain->replacements; i++) {
        unsigned char **block = &chain->blocks[random_below(&random, chain->count)];
        checksum += **block;
        free(*block);
        *block = get_marked(size_of(&random), (unsigned char)i);
    }
    chain->random = random;
    chain->checksum += checksum;
    if (--chain->rounds_left > 0) {
        start_thread(serve, chain, 1);
        return NULL;
    }
    pthread_mutex_lock(&mutex);
    running--;
    pthread_cond_signal(&is_one_done);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static struct chain *make_chains(size_t threads, size_t blocks, size_t replacements,
                                 size_t rounds) {
    struct random random = {3};
    struct chain *chains = get(threads * sizeof *chains);
    unsigned *order = get(threads * blocks * sizeof *order);
    random_order(&random, order, threads * blocks);
    for (size_t i = 0; i < threads; i++)
        chains[i] = (struct chain){
            {i}, get(blocks * sizeof(void *)), blocks, replacements, rounds, 0};
    for (size_t i = 0; i < threads * blocks; i++)
        chains[order[i] % threads].blocks[order[i] / threads] =
            get_marked(size_of(&random), (unsigned char)order[i]);
    free(order);
    return chains;
}

int main(int count, char **arguments) {
    size_t threads = number(count, arguments, 1, usage);
    size_t blocks = number(count, arguments, 2, usage);
    size_t replacements = number(count, arguments, 3, usage);
    size_t rounds = number(count, arguments, 4, usage);
    struct chain *chains = make_chains(threads, blocks, replacements, rounds);
    uint64_t checksum = 0;

    running = threads;
    for (size_t i = 0; i < threads; i++)
        start_thread(serve, &chains[i], 1);
    pthread_mutex_lock(&mutex);
    while (running > 0)
        pthread_cond_wait(&is_one_done, &mutex);
    pthread_mutex_unlock(&mutex);
    for (size_t i = 0; i < threads; i++) {
        checksum += chains[i].checksum;
        for (size_t j = 0; j < blocks; j++)
            free(chains[i].blocks[j]);
        free(chains[i].blocks);
    }
    free(chains);
    return finish(2 * threads * replacements * rounds, checksum);
}
