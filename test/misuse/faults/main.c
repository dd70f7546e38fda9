/* Purpose: faults.h, for both languages. */
#include "faults.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum zone zone;
size_t bytes;
static const char *seen;

static const size_t zone_bytes[ZONES] = {90, 5000, 300000};

/* More than a slab of slabmalloc has slots, so that two of them are neighbours for certain. */
enum { MANY = 1300 };
static const size_t many[ZONES] = {MANY, 700, 16};
static char *others[MANY];
static size_t other_count;

/* --- effects ---------------------------------------------------------------------------------- */

void saw(const char *what) { seen = seen != NULL ? seen : what; }

void saw_unless(bool fine, const char *what) {
    if (!fine)
        saw(what);
}

bool is_all(const void *pointer, int value, size_t n) {
    const unsigned char *volatile byte = (const unsigned char *)pointer;
    for (size_t i = 0; i < n; i++)
        if (byte[i] != value)
            return false;
    return true;
}

void not_here(void) { _exit(NOT_HERE); }

void require_zone(enum zone only) {
    if (zone != only)
        not_here();
}

/* --- blocks ----------------------------------------------------------------------------------- */

char *take(void) {
    char *block = hidden(take_bytes(bytes));
    memset(block, FILL, bytes);
    return block;
}

static int by_address(const void *a, const void *b) {
    const char *const *left = a, *const *right = b;
    return (*left > *right) - (*left < *right);
}

struct pair take_pair(void) {
    struct pair pair = {NULL, NULL};
    size_t gap = SIZE_MAX, at = 0;
    static char *sorted[MANY];
    for (other_count = 0; other_count < many[zone]; other_count++) {
        others[other_count] = hidden(take_bytes(bytes));
        memset(others[other_count], OTHERS_FILL, bytes);
    }
    memcpy(sorted, others, sizeof sorted);
    qsort(sorted, other_count, sizeof *sorted, by_address);
    /* From the middle: an allocator may treat its first and last slots in another way. */
    for (size_t i = 0; i + 1 < other_count; i++) {
        size_t middle = (i + other_count / 2) % (other_count - 1);
        size_t here = (size_t)(sorted[middle + 1] - sorted[middle]);
        if (here < gap) {
            gap = here;
            at = middle;
        }
    }
    pair.lower = sorted[at];
    pair.upper = sorted[at + 1];
    return pair;
}

/* So many that an allocator comes to what it had put aside for later. */
void look_for_twins(void) {
    static char *taken[MANY];
    for (size_t i = 0; i < many[zone]; i++)
        taken[i] = hidden(take_bytes(bytes));
    qsort(taken, many[zone], sizeof *taken, by_address);
    for (size_t i = 0; i + 1 < many[zone]; i++)
        if (taken[i] == taken[i + 1])
            saw("a block is given to two");
}

void go_on(void) {
    enum { ROUNDS = 400 };
    static const size_t sizes[] = {64 << 10, 90, 3000, 20000};
    char *kept[64];
    for (int i = 0; i < 64; i++)
        kept[i] = take();
    for (int i = 0; i < 64; i++) {
        saw_unless(is_all(kept[i], FILL, bytes), "another block's data is damaged");
        give(kept[i]);
    }
    for (int i = 0; i < ROUNDS; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++)
            give(hidden(take_bytes(sizes[j])));
}

void settle(void) {
    for (size_t i = 0; i < other_count; i++)
        saw_unless(is_all(others[i], OTHERS_FILL, bytes), "another block's data is damaged");
    for (size_t i = 0; i < other_count; i++)
        give(others[i]);
    other_count = 0;
    go_on();
}

/* --- threads ---------------------------------------------------------------------------------- */

struct job {
    void (*act)(void *);
    void *argument;
};

static void *run_job(void *job) {
    ((struct job *)job)->act(((struct job *)job)->argument);
    return NULL;
}

void in_thread(void (*act)(void *), void *argument) {
    struct job job = {act, argument};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_job, &job) != 0)
        abort();
    pthread_join(thread, NULL);
}

/* --- all of it -------------------------------------------------------------------------------- */

static bool run_scene(const struct scene *scene, const char *name) {
    while (scene->name != NULL && strcmp(scene->name, name) != 0)
        scene++;
    if (scene->name == NULL)
        return false;
    scene->run();
    return true;
}

int main(int argc, char **argv) {
    static const char *const zone_names[] = {"TINY", "SMALL", "LARGE"};
    if (argc != 3)
        return 2;
    for (zone = TINY; zone < ZONES && strcmp(argv[2], zone_names[zone]) != 0;)
        zone++;
    if (zone == ZONES)
        return 2;
    bytes = zone_bytes[zone];
    alarm(SECONDS_MAX); /* a program that hangs was not caught */
    if (!run_scene(double_scenes, argv[1]) && !run_scene(invalid_scenes, argv[1]) &&
        !run_scene(spill_scenes, argv[1]) && !run_scene(stale_scenes, argv[1]) &&
        !run_scene(own_scenes, argv[1]) && !run_scene(more_scenes, argv[1]))
        not_here();
    if (seen == NULL)
        return 0;
    printf("%s\n", seen);
    return SAW;
}
