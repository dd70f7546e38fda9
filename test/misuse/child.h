/* Purpose: what the faulty programs share. misuse_child runs one scene: it brings about one fault,
 *          with blocks of one zone, through one function.
 *
 * Usage: misuse_child SCENE ZONE CALL. Before the fault it writes a line to standard output, "bad
 * pointer, start of the block, number of the slot or -1", from which the driver composes the line
 * that it expects on standard error. A scene that can't be set up exits with 9. */
#ifndef TEST_MISUSE_CHILD_H
#define TEST_MISUSE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum zone { TINY, SMALL, LARGE, ZONES };
enum { SETUP_FAILED = 9, SECONDS_MAX = 20 };

/* Bytes that are asked for, and that a block of the zone then has. */
static const size_t request_bytes[ZONES] = {90, 5000, 300000};
static const size_t block_bytes[ZONES] = {96, 5120, 303104};

extern enum zone zone;

/* A block of the zone. A neighbour of its lives on, so that its slab does too. */
void *block(void);

/* Writes the line about the pointer; slot -1: not known. */
void announce(void *pointer, void *start, long slot);

/* Announces the pointer and gives it to the function that the command line names. A call that
 * does not end the process ends it with 0. */
__attribute__((noreturn)) void fault(void *pointer, void *start);
__attribute__((noreturn)) void fault_at_slot(void *pointer, void *start, long slot);

/* The same without the announcement, and it may return: for legitimate uses. */
void call_with(void *pointer);

void require(bool condition);
void in_thread(void (*act)(void *), void *argument);

/* Runs `act` in a forked child and dies of the same signal. */
__attribute__((noreturn)) void in_forked_child(void (*act)(void *), void *argument);

/* The mapping that `address` lies in by /proc/self/maps; false: none. */
bool find_mapping(uintptr_t address, uintptr_t *start, uintptr_t *end);

/* Hides from the compiler where a pointer comes from. */
static inline void *hidden(void *pointer) {
    void *volatile copy = pointer;
    return copy;
}

struct scene {
    const char *name;
    void (*run)(void);
};

extern const struct scene double_scenes[], wild_scenes[], abort_scenes[], correct_scenes[];

#endif
