/* Purpose: threads that take turns, so that frees across threads, adoption and exit happen in an
 *          order that only the input decides: exactly one thread runs at any time. */
#include <pthread.h>

#include "fuzz.h"

enum { NOBODY = ACTORS }; /* then it is the conductor's turn, the thread that called actors_run */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned whose_turn;
    struct request request; /* of the last turn */
    struct request (*turn)(unsigned actor);
    pthread_t threads[ACTORS];
    bool lives[ACTORS];
} stage = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void wait_for_turn(unsigned who) {
    pthread_mutex_lock(&stage.mutex);
    while (stage.whose_turn != who)
        pthread_cond_wait(&stage.changed, &stage.mutex);
    pthread_mutex_unlock(&stage.mutex);
}

static void give_turn(unsigned who) {
    pthread_mutex_lock(&stage.mutex);
    stage.whose_turn = who;
    pthread_cond_broadcast(&stage.changed);
    pthread_mutex_unlock(&stage.mutex);
}

static void *act(void *context) {
    unsigned self = (unsigned)(uintptr_t)context;
    for (;;) {
        wait_for_turn(self);
        if (stage.request.kind == REQUEST_END)
            break;
        stage.request = stage.turn(self);
        if (stage.request.kind == REQUEST_EXIT)
            break;
        give_turn(NOBODY);
    }
    give_turn(NOBODY); /* the conductor joins: our exit is over before another's turn begins */
    return NULL;
}

static void start(unsigned actor) {
    enum { STACK_BYTES = 256 << 10 }; /* the sanitizers clear the shadow of whole stacks */
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&stage.threads[actor], &attributes, act, (void *)(uintptr_t)actor) != 0)
        fuzz_fail("no thread to be had, which is no fault of the heap", NULL);
    pthread_attr_destroy(&attributes);
    stage.lives[actor] = true;
}

static void end(unsigned actor) {
    pthread_join(stage.threads[actor], NULL);
    stage.lives[actor] = false;
}

void actors_run(struct request (*turn)(unsigned actor)) {
    unsigned actor = 0;
    stage.turn = turn;
    stage.whose_turn = NOBODY;
    do {
        stage.request.kind = REQUEST_SWITCH;
        if (!stage.lives[actor])
            start(actor);
        give_turn(actor);
        wait_for_turn(NOBODY);
        if (stage.request.kind == REQUEST_EXIT)
            end(actor);
        actor = stage.request.next % ACTORS;
    } while (stage.request.kind != REQUEST_END);
    for (actor = 0; actor < ACTORS; actor++) {
        if (!stage.lives[actor])
            continue;
        give_turn(actor);
        end(actor);
    }
}
