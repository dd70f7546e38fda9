/* Purpose: programs in a steady state: is the system called although nothing changes, and do
 *          mappings become more and more?
 *
 *   steady churn THREADS OPERATIONS
 *
 * Each thread replaces random ones of 4000 blocks of 16 bytes to 64 KiB; now and then 200 at once
 * are freed and allocated anew, so that whole slabs fall empty and fill again (field case F3). An
 * operation is a malloc or a free.
 *
 *   steady maps OPERATIONS LIVE
 *
 * Replaces random blocks of 4 KiB to 64 MiB, of which only ends are touched, and counts the lines
 * of /proc/self/maps (field case E2). */
#include "memory.h"

static const char usage[] = "churn THREADS OPERATIONS | maps OPERATIONS LIVE";

enum { BLOCKS = 4000, BURST = 200, BURST_EVERY = 5000 };

static size_t operations_each;

static void replace(unsigned char **block, struct random *random) {
    size_t size = random_log_uniform(random, 4, 16);
    free(*block);
    *block = get(size);
    (*block)[0] = (*block)[size - 1] = 1;
}

static void burst(unsigned char **blocks, struct random *random) {
    for (size_t i = 0; i < BURST; i++) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
    for (size_t i = 0; i < BURST; i++)
        replace(&blocks[i], random);
}

static void *churn(void *argument) {
    struct random random = {(uint64_t)(uintptr_t)argument};
    unsigned char **blocks = get(BLOCKS * sizeof *blocks);
    memset(blocks, 0, BLOCKS * sizeof *blocks);
    for (size_t done = 0; done < operations_each; done += 2) {
        replace(&blocks[random_below(&random, BLOCKS)], &random);
        if (done % BURST_EVERY == 0) {
            burst(blocks, &random);
            done += 2 * BURST;
        }
    }
    return NULL;
}

static int run_churn(size_t threads, size_t operations) {
    pthread_t *started = own_table(threads * sizeof *started);
    operations_each = operations / threads;
    double begin = seconds_now();
    for (size_t i = 0; i < threads; i++)
        started[i] = start_thread(churn, (void *)(i + 1), 0);
    for (size_t i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    printf("nanoseconds %.3f\n", (seconds_now() - begin) * 1e9 / (double)operations);
    return 0;
}

static int run_maps(size_t operations, size_t most) {
    enum { LOOKS = 100, PLACES = 2000 };
    static struct {
        unsigned char *bytes;
        size_t size;
    } blocks[PLACES];
    struct random random = {3};
    size_t live = 0, at_start = lines_of_maps(), peak = at_start;
    for (size_t i = 0; i < operations; i += 2) {
        size_t place = random_below(&random, PLACES), size = random_log_uniform(&random, 12, 26);
        for (size_t next = place; blocks[place].bytes || live + size > most;
             next = (next + 1) % PLACES) {
            free(blocks[next].bytes);
            live -= blocks[next].size;
            blocks[next].bytes = NULL;
            blocks[next].size = 0;
        }
        blocks[place].bytes = get(size);
        blocks[place].bytes[0] = blocks[place].bytes[size - 1] = 1;
        blocks[place].size = size;
        live += size;
        if (i / 2 % (operations / 2 / LOOKS) == 0) {
            size_t now = lines_of_maps();
            peak = now > peak ? now : peak;
        }
    }
    print_figure("at_start", at_start);
    print_figure("most", peak);
    print_figure("at_end", lines_of_maps());
    return 0;
}

int main(int count, char **arguments) {
    size_t first = number(count, arguments, 2, usage), second = number(count, arguments, 3, usage);
    if (is_mode(count, arguments, "churn"))
        return run_churn(first, second);
    if (is_mode(count, arguments, "maps"))
        return run_maps(first, second);
    wrong_mode(arguments, usage);
}
