/* Protects: the whole API against a model: random calls from one thread or many, every live block's
 * contents, size, alignment and zeroes checked, and what the heap says it holds compared with what
 * it should hold.
 *
 *   model_test SEED STEPS THREADS
 *
 * Each thread works on a table of blocks, its actor's; threads end before their actor does, and a
 * new one carries on with the blocks that the old one allocated. Blocks also change actors, through
 * an exchange. The first thing wrong is told with seed, actor and step, and ends the program. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "model.h"
#include "slab/zone.h"

enum { GENERATIONS = 16, ACTORS_MAX = 64, CHECK_EVERY = 2048, KEPT_ERRNO = 4242 };

unsigned long model_seed;
static struct actor actors[ACTORS_MAX];
static unsigned actor_count;

static struct {
    pthread_mutex_t mutex;
    struct block blocks[64];
    size_t count;
} exchange = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void model_fail(const struct actor *actor, const char *what, const struct block *block) {
    fprintf(stderr, "model_test: seed %lu, actor %u, step %lu: %s", model_seed, actor->number,
            actor->step, what);
    if (block != NULL)
        fprintf(stderr, " (block %p, size %zu, usable %zu, alignment %zu)", (void *)block->memory,
                block->size, block->usable, block->alignment);
    fprintf(stderr, "; errno %d\n", errno);
    exit(1);
}

/* The library itself found something wrong, and told it. */
static void tell_where(int number) {
    TEXT(line, 1024);
    text_format(&line,
                "model_test: seed %zu ended by signal %d; actors' steps:", (size_t)model_seed,
                number);
    for (unsigned i = 0; i < actor_count; i++)
        text_format(&line, " %zu", (size_t)actors[i].step);
    text_format(&line, "\n");
    text_write(&line, 2);
}

void model_enter(struct actor *actor, struct block block) {
    block.usable = slm_malloc_usable_size(block.memory);
    block.id = random_next(&actor->seed);
    if ((uintptr_t)block.memory % block.alignment != 0 || (uintptr_t)block.memory % 16 != 0)
        model_fail(actor, "not aligned", &block);
    if (block.usable < block.size || block.usable < 16)
        model_fail(actor, "less usable than asked for", &block);
    shadow_fill(&block);
    actor->bytes += block.usable;
    actor->blocks[actor->count++] = block;
    actor->live[model_kind(&block)]++;
}

struct block model_remove(struct actor *actor, size_t index) {
    struct block block = actor->blocks[index];
    if (slm_malloc_usable_size(block.memory) != block.usable)
        model_fail(actor, "the usable size has changed", &block);
    actor->blocks[index] = actor->blocks[--actor->count];
    actor->bytes -= block.usable;
    actor->live[model_kind(&block)]--;
    return block;
}

unsigned model_kind(const struct block *block) {
    if (zone_find((uintptr_t)block->memory) == NULL)
        return KIND_LARGE;
    return class_of(block->usable);
}

static void verify(const struct actor *actor, const struct block *block) {
    if (!shadow_holds(block, block->usable))
        model_fail(actor, "the contents have changed", block);
}

static void free_one(struct actor *actor) {
    struct block block = model_remove(actor, random_below(&actor->seed, actor->count));
    verify(actor, &block);
    actor->frees[model_kind(&block)]++;
    model_free(actor, &block);
}

static void hand_over(struct actor *actor) {
    size_t room = sizeof exchange.blocks / sizeof exchange.blocks[0];
    pthread_mutex_lock(&exchange.mutex);
    if (exchange.count == room || (exchange.count > 0 && random_below(&actor->seed, 2) == 0)) {
        struct block block = exchange.blocks[--exchange.count];
        actor->blocks[actor->count++] = block;
        actor->bytes += block.usable;
        actor->live[model_kind(&block)]++;
    } else {
        exchange.blocks[exchange.count++] =
            model_remove(actor, random_below(&actor->seed, actor->count));
    }
    pthread_mutex_unlock(&exchange.mutex);
}

static void look_at_one(struct actor *actor) {
    struct block *block = &actor->blocks[random_below(&actor->seed, actor->count)];
    if (slm_malloc_usable_size(block->memory) != block->usable)
        model_fail(actor, "the usable size has changed", block);
    for (int i = 0; i < 4; i++)
        if (!shadow_holds_at(block, random_next(&actor->seed)))
            model_fail(actor, "the contents have changed", block);
}

/* --- what the heap says ---- */

/* Exact while no other thread calls. `sums` is what all actors and the exchange hold. */
static void check_stats(const struct actor *actor, const struct actor *sums) {
    static struct slm_stats stats;
    size_t tiny = 0, small = 0;
    slm_stats_get(&stats);
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        const struct slm_class_stats *c = &stats.classes[cls];
        if (c->live != sums->live[cls] || c->slots < c->live)
            model_fail(actor, "a class has another number of live slots", NULL);
        if (c->frees != sums->frees[cls] || c->allocations != c->frees + c->live)
            model_fail(actor, "a class has another number of calls", NULL);
        *(cls < TINY_CLASSES ? &tiny : &small) += c->live * c->slot_bytes;
    }
    if (stats.tiny.live_bytes != tiny || stats.small.live_bytes != small)
        model_fail(actor, "a zone's live bytes are not those of its classes", NULL);
    if (stats.tiny.slabs_peak < stats.tiny.slabs || stats.small.slabs_peak < stats.small.slabs)
        model_fail(actor, "more slabs than ever", NULL);
    if (stats.large.live != sums->live[KIND_LARGE] ||
        stats.large.allocations - stats.large.frees != stats.large.live)
        model_fail(actor, "another number of LARGE blocks", NULL);
    if (tiny + small + stats.large.live_bytes < sums->bytes ||
        stats.large.peak_bytes < stats.large.live_bytes)
        model_fail(actor, "fewer bytes live than the program holds", NULL);
    struct mallinfo2 info = slm_mallinfo2();
    if (info.uordblks != tiny + small || info.hblks != stats.large.live)
        model_fail(actor, "mallinfo2 disagrees", NULL);
}

static void check_all(struct actor *actor) {
    for (size_t i = 0; i < actor->count; i++)
        verify(actor, &actor->blocks[i]);
    if (actor_count > 1)
        return;
    struct actor sums = *actor;
    for (size_t i = 0; i < exchange.count; i++) {
        sums.live[model_kind(&exchange.blocks[i])]++;
        sums.bytes += exchange.blocks[i].usable;
    }
    check_stats(actor, &sums);
}

/* --- the walk ---- */

static void take_step(struct actor *actor) {
    size_t choice = random_below(&actor->seed, 100);
    /* Fills up and empties in turns, so that slabs run full and become empty. */
    bool grow = (actor->step >> 13 & 1) == 0 ? choice < 44 : choice < 34;
    if (actor->count == 0 ||
        (grow && actor->bytes < actor->bytes_max && actor->count < BLOCKS_MAX - 1))
        model_allocate(actor);
    else if (choice < 78 || actor->bytes >= actor->bytes_max)
        free_one(actor);
    else if (choice < 86)
        model_reallocate(actor);
    else if (choice < 91 && actor->count < BLOCKS_MAX - 1)
        hand_over(actor);
    else if (choice < 98)
        look_at_one(actor);
    else
        model_fail_on_purpose(actor);
}

static void *run(void *context) {
    struct actor *actor = context;
    for (unsigned long i = 0; i < actor->steps_a_thread; i++) {
        errno = KEPT_ERRNO;
        take_step(actor);
        if (errno != KEPT_ERRNO)
            model_fail(actor, "errno was changed", NULL);
        actor->step++;
        if (random_below(&actor->seed, 16384) == 0)
            slm_malloc_trim(0);
        if (actor->step % CHECK_EVERY == 0)
            check_all(actor);
    }
    return NULL;
}

static void run_threads(void) {
    pthread_t threads[ACTORS_MAX];
    for (unsigned generation = 0; generation < GENERATIONS; generation++) {
        /* Another one carries on with each actor, and sees it: create and join order memory. */
        for (unsigned i = 0; i < actor_count; i++)
            if (pthread_create(&threads[i], NULL, run, &actors[i]) != 0)
                model_fail(&actors[i], "no thread", NULL);
        for (unsigned i = 0; i < actor_count; i++)
            pthread_join(threads[i], NULL);
    }
}

static void free_all(struct actor *sums) {
    *sums = (struct actor){.number = ACTORS_MAX};
    for (unsigned i = 0; i < actor_count; i++) {
        while (actors[i].count > 0)
            free_one(&actors[i]);
        for (unsigned kind = 0; kind < KINDS; kind++) {
            if (actors[i].live[kind] != 0)
                model_fail(&actors[i], "the model itself lost count", NULL);
            sums->frees[kind] += actors[i].frees[kind];
        }
    }
}

int main(int argc, char **argv) {
    struct actor sums;
    if (argc != 4) {
        fprintf(stderr, "usage: model_test SEED STEPS THREADS\n");
        return 2;
    }
    model_seed = strtoul(argv[1], NULL, 10);
    unsigned long steps = strtoul(argv[2], NULL, 10);
    actor_count = (unsigned)strtoul(argv[3], NULL, 10);
    if (actor_count < 1 || actor_count > ACTORS_MAX)
        return 2;
    for (unsigned i = 0; i < actor_count; i++) {
        actors[i].number = i;
        actors[i].seed = (model_seed + 1) * 0x9e3779b97f4a7c15u + i * 0x6a09e667f3bcc909u;
        actors[i].bytes_max = BYTES_MAX / actor_count;
        actors[i].steps_a_thread = steps / actor_count;
        if (actor_count > 1)
            actors[i].steps_a_thread /= GENERATIONS;
    }
    sigaction(SIGABRT, &(struct sigaction){.sa_handler = tell_where}, NULL);
    if (actor_count == 1)
        run(&actors[0]);
    else
        run_threads();
    while (exchange.count > 0) {
        struct block block = exchange.blocks[--exchange.count];
        actors[0].blocks[actors[0].count++] = block;
        actors[0].bytes += block.usable;
        actors[0].live[model_kind(&block)]++;
        free_one(&actors[0]);
    }
    free_all(&sums);
    check_stats(&sums, &sums); /* all other threads have ended: exact again */
    printf("model_test: seed %lu, %lu steps, %u threads: as the model says\n", model_seed, steps,
           actor_count);
    return 0;
}
