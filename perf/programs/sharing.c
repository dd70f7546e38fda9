/* Purpose: false sharing: do small blocks of different threads lie in one cache line? (After
 *          Berger, McKinley, Blumofe and Wilson, "Hoard", 2000.)
 *
 *   sharing active THREADS ROUNDS WRITES     each thread allocates 8 blocks of 8 bytes, writes them
 *                                            WRITES times, frees them, and again
 *   sharing passive THREADS ROUNDS WRITES    the same, but the first blocks of all threads were
 *                                            allocated side by side by the main thread: who gives a
 *                                            freed slot to the thread that freed it, spreads them
 *
 * One line shared by two threads on two cores makes it slower many times over (field case G6). */
#include "common.h"

enum { BLOCKS = 8, BLOCK_BYTES = 8 };
static const char usage[] = "active|passive THREADS ROUNDS WRITES";

struct worker {
    volatile unsigned char *blocks[BLOCKS];
    size_t rounds, writes;
    uint64_t checksum;
};

static void *write_blocks(void *argument) {
    struct worker *worker = argument;
    volatile unsigned char *blocks[BLOCKS];
    memcpy(blocks, worker->blocks, sizeof blocks);
    for (size_t round = 0; round < worker->rounds; round++) {
        for (size_t i = 0; i < BLOCKS; i++) {
            if (!blocks[i])
                blocks[i] = get(BLOCK_BYTES);
            *blocks[i] = 0;
        }
        for (size_t i = 0; i < worker->writes; i++)
            ++*blocks[i % BLOCKS];
        for (size_t i = 0; i < BLOCKS; i++) {
            worker->checksum += *blocks[i];
            free((void *)blocks[i]);
            blocks[i] = NULL;
        }
    }
    return NULL;
}

int main(int count, char **arguments) {
    size_t threads = number(count, arguments, 2, usage);
    size_t rounds = number(count, arguments, 3, usage);
    size_t writes = number(count, arguments, 4, usage);
    int is_passive = is_mode(count, arguments, "passive");
    if (!is_passive && !is_mode(count, arguments, "active"))
        wrong_mode(arguments, usage);

    struct worker *workers = get(threads * sizeof *workers);
    for (size_t i = 0; i < threads; i++)
        workers[i] = (struct worker){{NULL}, rounds, writes, 0};
    for (size_t i = 0; is_passive && i < BLOCKS; i++)
        for (size_t j = 0; j < threads; j++)
            workers[j].blocks[i] = get(BLOCK_BYTES);
    run_threads(threads, write_blocks, workers, sizeof *workers);
    uint64_t checksum = 0;
    for (size_t i = 0; i < threads; i++)
        checksum += workers[i].checksum;
    free(workers);
    return finish(2 * threads * rounds * BLOCKS, checksum);
}
