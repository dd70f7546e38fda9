/* Purpose: blocks that are used after they were given back, used before they were written to, or
 *          never given back. */
#include <stdlib.h>
#include <string.h>

#include "faults.h"

enum { SOME = 100 };

/* Less than a quarantine of 1 MiB holds: what is pushed out of one is a matter of chance. */
static void work(void) {
    char *blocks[SOME];
    int count = zone == LARGE ? 2 : SOME;
    for (int i = 0; i < count; i++)
        blocks[i] = hidden(take_bytes(bytes + 1000));
    for (int i = 0; i < count; i++)
        give(blocks[i]);
}

/* Takes blocks until one is where `block` was; NULL: it does not come back. */
static char *take_again(const char *block) {
    for (int i = 0; i < SOME; i++) {
        char *now = take();
        if (now == block)
            return now;
    }
    return NULL;
}

/* --- writes ----------------------------------------------------------------------------------- */

static void write_freed_at(size_t offset, size_t n) {
    char *block = take();
    give(block);
    memset(hidden(block + offset), STRAY, n);
    settle();
}
static void write_freed(void) { write_freed_at(0, 8); }
static void write_freed_inside(void) { write_freed_at(16, 1); }
static void write_freed_end(void) { write_freed_at(bytes - 1, 1); }
static void write_freed_all(void) { write_freed_at(0, bytes); }

/* And then the program ends. */
static void write_freed_last(void) {
    char *block = take();
    give(block);
    memset(hidden(block), STRAY, 8);
}

static void write_freed_late(void) {
    char *block = take();
    give(block);
    work();
    memset(hidden(block), STRAY, 8);
    settle();
}

/* Another block has the place. */
static void write_freed_reused(void) {
    char *block = take();
    give(block);
    char *now = take_again(block);
    memset(hidden(block), STRAY, 8);
    if (now != NULL) {
        saw_unless(is_all(now, FILL, bytes), "another block's data is damaged");
        give(now);
    }
    settle();
}

static void give_in_thread(void *block) { give(block); }
static void write_freed_by_thread(void) {
    char *block = take();
    in_thread(give_in_thread, block);
    memset(hidden(block), STRAY, 8);
    settle();
}

/* Where allocators chain free blocks by pointers in them, the next but one is anywhere. */
static char target[1024] __attribute__((aligned(64)));
static void forged_free_list(void) {
    char *first = take(), *second = take();
    char *goal = target + 64;
    give(first);
    give(second);
    memcpy(hidden(second), &goal, sizeof goal);
    for (int i = 0; i < 4; i++) {
        char *block = hidden(take_bytes(bytes));
        saw_unless(block != goal, "malloc gives out the attacker's memory");
    }
    settle();
}

/* --- reads ------------------------------------------------------------------------------------ */

static void look_for_secret(const char *block, size_t from) {
    const volatile char *byte = hidden(block);
    for (size_t i = from; i < bytes; i++)
        if (byte[i] == SECRET)
            saw("reads the old data");
}

static char *take_secret(void) {
    char *block = take();
    memset(block, SECRET, bytes);
    return block;
}

static void read_freed(void) {
    char *block = take_secret();
    give(block);
    look_for_secret(block, 0);
    settle();
}

static void read_freed_late(void) {
    char *block = take_secret();
    give(block);
    work();
    look_for_secret(block, 0);
    settle();
}

static void read_freed_reused(void) {
    char *block = take();
    give(block);
    char *now = take_again(block);
    if (now != NULL)
        memset(now, SECRET, bytes);
    look_for_secret(block, 0);
    settle();
}

/* A loop that frees a list goes on from a node that is gone. */
struct node {
    struct node *next;
    char rest[];
};
static void list_walk(void) {
    struct node *head = NULL;
    int count = 0;
    for (int i = 0; i < 10; i++) {
        struct node *node = (struct node *)take();
        node->next = head;
        head = node;
    }
    for (struct node *node = head; node != NULL; node = (struct node *)hidden(node->next)) {
        give(node);
        count++;
    }
    saw(count == 10 ? "reads the old data" : "the list ends early");
}

/* A handler is called by way of a freed block. */
struct with_handler {
    void (*handler)(void);
};
static void old_handler(void) { saw("the old function is called"); }
static void call_freed(void) {
    struct with_handler *object = (struct with_handler *)take();
    object->handler = old_handler;
    give(object);
    ((struct with_handler *)hidden(object))->handler();
}

/* What a block held before shows in the next. */
static void read_uninitialised(void) {
    char *secrets[SOME];
    for (int i = 0; i < SOME; i++)
        secrets[i] = take_secret();
    for (int i = 0; i < SOME; i++)
        give(secrets[i]);
    for (int i = 0; i < SOME; i++) {
        char *block = hidden(take_bytes(bytes));
        look_for_secret(block, 0);
        memset(block, FILL, bytes);
        secrets[i] = block;
    }
    for (int i = 0; i < SOME; i++)
        give(secrets[i]);
}

/* --- never given back ------------------------------------------------------------------------- */

static void leak(void) {
    for (int i = 0; i < 3; i++)
        take();
}

static void lose_one(void *unused) {
    (void)unused;
    take();
}
static void leak_in_thread(void) { in_thread(lose_one, NULL); }

const struct scene stale_scenes[] = {
    {"write_freed", write_freed},
    {"write_freed_inside", write_freed_inside},
    {"write_freed_end", write_freed_end},
    {"write_freed_all", write_freed_all},
    {"write_freed_last", write_freed_last},
    {"write_freed_late", write_freed_late},
    {"write_freed_reused", write_freed_reused},
    {"write_freed_by_thread", write_freed_by_thread},
    {"forged_free_list", forged_free_list},
    {"read_freed", read_freed},
    {"read_freed_late", read_freed_late},
    {"read_freed_reused", read_freed_reused},
    {"list_walk", list_walk},
    {"call_freed", call_freed},
    {"read_uninitialised", read_uninitialised},
    {"leak", leak},
    {"leak_in_thread", leak_in_thread},
    {NULL, NULL},
};
