/* Purpose: what the programs with one fault share. They know nothing of slabmalloc, so that the
 * same faults can be shown to any allocator by LD_PRELOAD: faults_in_c takes blocks with malloc,
 *          faults_in_cc with new[]; both run the scenes of the .c files here.
 *
 * Usage: faults_in_c SCENE ZONE. Exit codes: 0, the program came to its end and noticed nothing
 * wrong; SAW, it noticed what the fault did, which it says on standard output; NOT_HERE, the scene
 * does not exist in this program or zone, or the allocator lacks the function. A process that the
 * allocator or the kernel ends has been caught. */
#ifndef TEST_MISUSE_FAULTS_H
#define TEST_MISUSE_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum zone { TINY, SMALL, LARGE, ZONES };
enum { SAW = 3, NOT_HERE = 77, SECONDS_MAX = 30 };
enum { FILL = 0x11, OTHERS_FILL = 0x22, STRAY = 0x42, SECRET = 0x5e };

/* Of a block: asked for. Neither fills a size class of any allocator exactly. */
extern enum zone zone;
extern size_t bytes;

/* The language's own way: malloc and free, new char[] and delete[]. */
void *take_bytes(size_t n);
void give(void *pointer);
extern const bool is_c;

/* A block of the zone, filled with FILL. */
char *take(void);

/* Two that lie side by side, as near to each other as any of many; the others stay until settle. */
struct pair {
    char *lower, *upper;
};
struct pair take_pair(void);

/* What a program does after the fault: its other blocks are still what they were, are given back,
 * and it allocates and frees some 40 MiB more. */
void settle(void);
void go_on(void);

/* The program notices what the fault has done. The first time counts. */
void saw(const char *what);
void saw_unless(bool fine, const char *what);

/* Whether all n bytes have the value. */
bool is_all(const void *pointer, int value, size_t n);

/* A block was given back that the program still uses, or was given back twice: is memory handed out
 * now that is in use already? */
void look_for_twins(void);

/* No such scene here: ends the process. */
__attribute__((noreturn)) void not_here(void);
void require_zone(enum zone only);

void in_thread(void (*act)(void *), void *argument);

/* Hides from the compiler where a pointer comes from, and what is done to it. */
static inline char *hidden(const void *pointer) {
    const void *volatile copy = pointer;
    return (char *)(uintptr_t)copy;
}

struct scene {
    const char *name;
    void (*run)(void);
};

/* Ended by a scene without a name. */
extern const struct scene double_scenes[], invalid_scenes[], spill_scenes[], stale_scenes[];
extern const struct scene own_scenes[], more_scenes[]; /* of the language */

#ifdef __cplusplus
}
#endif

#endif
