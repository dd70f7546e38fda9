/* Purpose: sample.h. */
#include "check/sample.h"

#include "base/bits.h"
#include "base/exponential.h"
#include "check/check.h"
#include "check/locks.h"
#include "check/stacks.h"
#include "check/trace.h"
#include "core/options.h"
#include "large/large.h"
#include "os/metadata.h"
#include "os/object.h"
#include "slab/zone.h"

/* The directory of sums, by the stack's number, is as stacks.c's. */
enum { PAGE_SUMS = 1024, PAGES = 1024, NOTES_BATCH = 64 };

/* What is known of a sampled block. */
struct note {
    struct note *next; /* free ones */
    uint64_t units;    /* that it stands for */
    size_t bytes;      /* asked for */
    uint32_t stack;
};

__thread struct sample_thread sample_self __attribute__((tls_model("initial-exec")));
uint32_t sample_round;
uint64_t sample_interval;
uint64_t sample_live;

static struct note *free_notes; /* whoever takes one holds RANK_CHECK; they are put back without */
static struct sample_sums *sums_pages[PAGES];
static uint64_t random_state;

/* --- when ------------------------------------------------------------------------------------- */

static uint64_t next_random(void) {
    return bit_mix(fetch_add_relaxed(&random_state, GOLDEN_64));
}

static void seed(void) {
    uint64_t words[2];
    os_start_random(words);
    store_relaxed(&random_state, words[0] ^ os_clock_ms());
}

/* With an interval of 1, every allocation is sampled. */
static int64_t draw(uint64_t interval) {
    return interval == 1 ? 0 : (int64_t)(exponential_draw(next_random()) * (double)interval);
}

/* This is a signal handler that has interrupted what a sample needs, or it comes between fork's
 * handlers. */
static bool is_inside(void) {
    uintptr_t self = thread_id();
    return sample_self.is_inside || lock_is_forking() || lock_holder(check_lock()) == self ||
           lock_holder(large_lock()) == self || lock_holder(metadata_lock()) == self;
}

/* A thread that has not drawn in this round begins with a draw: the process has no memory. */
bool sample_is_due(size_t bytes) {
    struct sample_thread *self = &sample_self;
    uint64_t interval = load_relaxed(&sample_interval);
    uint32_t round = load_acquire(&sample_round);
    if (interval == 0) {
        self->left = 0;
        return false;
    }
    if (self->round != round) {
        self->round = round;
        self->left = draw(interval) - (int64_t)bytes;
        if (self->left >= 0)
            return false;
    }
    self->left = draw(interval);
    return !is_inside();
}

static uint64_t wanted_interval(void) {
    uint64_t interval = option_get(OPTION_sample);
    bool is_implied = option_source(OPTION_sample) == OPTION_FROM_DEFAULT &&
                      (option_get(OPTION_profile) != 0 || option_get(OPTION_profile_signal) != 0);
    if (load_relaxed(&check_active))
        return 0;
    return is_implied ? SAMPLE_BYTES : interval;
}

void sample_apply_options(void) {
    uint64_t interval = wanted_interval();
    if (interval == load_relaxed(&sample_interval))
        return;
    if (load_relaxed(&sample_round) == 0) {
        trace_init();
        os_object_init();
        seed();
    }
    store_relaxed(&sample_interval, interval);
    store_release(&sample_round, load_relaxed(&sample_round) + 1);
    if (interval != 0)
        zone_close_hot_paths();
    else
        zone_open_hot_paths();
}

/* --- what ------------------------------------------------------------------------------------- */

static void put_back(struct note *note) {
    struct note *first = load_relaxed(&free_notes);
    do
        note->next = first;
    while (!cas_acq_rel(&free_notes, &first, note));
}

/* With RANK_CHECK held: nobody else takes any, so the first one stays linked as it is. */
static struct note *take_note(void) {
    struct note *note = load_acquire(&free_notes);
    if (note == NULL) {
        struct note *batch = metadata_alloc(NOTES_BATCH * sizeof *batch);
        for (unsigned i = 1; batch != NULL && i < NOTES_BATCH; i++)
            put_back(&batch[i]);
        return batch;
    }
    while (!cas_acq_rel(&free_notes, &note, note->next))
        ;
    return note;
}

/* NULL: there is no page for it. */
static struct sample_sums *sums_of(uint32_t stack) {
    struct sample_sums *page = load_acquire(&sums_pages[stack / PAGE_SUMS]);
    return page != NULL ? &page[stack % PAGE_SUMS] : NULL;
}

/* With RANK_CHECK held. */
static bool make_sums(uint32_t stack) {
    struct sample_sums **page = &sums_pages[stack / PAGE_SUMS];
    if (*page == NULL)
        store_release(page, metadata_alloc(PAGE_SUMS * sizeof **page));
    return *page != NULL;
}

static uint64_t units_for(size_t bytes, uint64_t interval) {
    if (interval <= 1)
        return SAMPLE_UNIT;
    double blocks = 1 / exponential_within((double)sample_size(bytes) / (double)interval);
    return (uint64_t)(blocks * SAMPLE_UNIT + 0.5);
}

static uint64_t bytes_for(const struct note *note) {
    return (uint64_t)((double)note->bytes * (double)note->units / SAMPLE_UNIT + 0.5);
}

void sample_add(void *pointer, size_t bytes) {
    struct trace trace;
    trace_take_deep(&trace);
    uint32_t stack = stacks_enter(&trace);
    lock_acquire(check_lock(), RANK_CHECK);
    struct note *note = make_sums(stack) ? take_note() : NULL;
    lock_release(check_lock(), RANK_CHECK);
    if (note == NULL)
        return;
    struct sample_sums *sums = sums_of(stack);
    *note = (struct note){NULL, units_for(bytes, load_relaxed(&sample_interval)), bytes, stack};
    fetch_add_relaxed(&sums->live_units, note->units);
    fetch_add_relaxed(&sums->live_bytes, bytes_for(note));
    fetch_add_relaxed(&sums->made_units, note->units);
    fetch_add_relaxed(&sums->made_bytes, bytes_for(note));
    fetch_add_relaxed(&sample_live, 1);
    store_release(large_note(pointer), (void *)note);
}

/* Of two threads that free it at once, one gets the note. */
void sample_take_out(const void *pointer) {
    void **holder = large_note(pointer);
    struct note *note = holder != NULL ? exchange_acq_rel(holder, NULL) : NULL;
    if (note == NULL)
        return;
    struct sample_sums *sums = sums_of(note->stack);
    fetch_add_relaxed(&sums->live_units, -note->units);
    fetch_add_relaxed(&sums->live_bytes, -bytes_for(note));
    fetch_add_relaxed(&sample_live, -(uint64_t)1);
    put_back(note);
}

void sample_walk(void (*visit)(const struct sample_sums *sums, const uintptr_t *frames,
                               unsigned depth, void *context),
                 void *context) {
    for (uint32_t stack = 0; stack <= stacks_count(); stack++) {
        const struct sample_sums *sums = sums_of(stack);
        unsigned depth;
        const uintptr_t *frames = stacks_get(stack, &depth);
        if (sums == NULL || load_relaxed(&sums->made_units) == 0)
            continue;
        struct sample_sums seen = {
            load_relaxed(&sums->live_units), load_relaxed(&sums->live_bytes),
            load_relaxed(&sums->made_units), load_relaxed(&sums->made_bytes)};
        visit(&seen, frames, depth, context);
    }
}
