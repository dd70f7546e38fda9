/* Purpose: random replacement: a table of blocks, of which one after another is freed and allocated
 *          anew with another size, every byte written.
 *
 *   replace THREADS SLOTS REPLACEMENTS [FROM TO]
 *
 * Each thread has a table and does its share of both.
 *
 * The choice is skewed: four out of five replacements go to one fifth of the slots, as in testers
 * that follow the 80/20 rule, so that young and old blocks live side by side in the same slabs.
 * Sizes are 2^FROM..2^TO - 1 bytes, log-uniform: 2^3 to 2^10 unless others are told. With several
 * threads nothing is shared but the allocator. */
#include "common.h"

static const char usage[] = "THREADS SLOTS REPLACEMENTS [FROM TO]";
static unsigned least_bits = 3, most_bits = 10;

struct job {
    struct random random;
    size_t slots, replacements;
    uint64_t checksum;
};

static size_t choose(struct random *random, size_t slots) {
    size_t hot = slots / 5;
    uint64_t draw = random_next(random);
    size_t range = (draw & 0xffff) < 0xcccc ? hot : slots - hot;
    size_t at = (size_t)(((draw >> 32) * (uint64_t)range) >> 32);
    /* Every fifth slot is a hot one: they lie scattered between the cold ones. */
    return range == hot ? at * 5 : at + at / 4 + 1;
}

static unsigned char *get_block(struct random *random, size_t i) {
    return get_filled(random_log_uniform(random, least_bits, most_bits), (unsigned char)i);
}

static void *run(void *argument) {
    struct job *job = argument;
    struct random random = job->random; /* on this thread's stack: jobs may share a cache line */
    size_t count = job->slots, replacements = job->replacements;
    uint64_t checksum = 0;
    unsigned char **slots = get((count + 1) * sizeof *slots);
    for (size_t i = 0; i < count; i++)
        slots[i] = get_block(&random, i);
    for (size_t i = 0; i < replacements; i++) {
        unsigned char **slot = &slots[choose(&random, count) % count];
        checksum += **slot;
        free(*slot);
        *slot = get_block(&random, i);
    }
    for (size_t i = 0; i < count; i++)
        free(slots[i]);
    free(slots);
    job->checksum = checksum;
    return NULL;
}

int main(int count, char **arguments) {
    size_t threads = number(count, arguments, 1, usage);
    size_t slots = number(count, arguments, 2, usage);
    size_t replacements = number(count, arguments, 3, usage);
    if (count > 4) {
        least_bits = (unsigned)number(count, arguments, 4, usage);
        most_bits = (unsigned)number(count, arguments, 5, usage);
    }
    struct job *jobs = get(threads * sizeof *jobs);
    uint64_t checksum = 0;
    for (size_t i = 0; i < threads; i++)
        jobs[i] = (struct job){{i}, slots / threads, replacements / threads, 0};
    if (threads == 1)
        run(jobs);
    else
        run_threads(threads, run, jobs, sizeof *jobs);
    for (size_t i = 0; i < threads; i++)
        checksum += jobs[i].checksum;
    free(jobs);
    return finish(2 * replacements, checksum);
}
