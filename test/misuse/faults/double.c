/* Purpose: blocks that are given back twice. What the program can notice afterwards is that one
 *          block is handed out to two. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <signal.h>

#include "faults.h"

static void give_in_thread(void *block) { give(block); }

static void double_free(void) {
    char *block = take();
    give(block);
    give(block);
    look_for_twins();
}

/* The classic way past the check of a free list's head. */
static void double_free_after_another(void) {
    char *block = take(), *other = take();
    give(block);
    give(other);
    give(block);
    look_for_twins();
}

static void double_free_after_many(void) {
    char *block = take(), *others[100];
    for (int i = 0; i < 100; i++)
        others[i] = take();
    give(block);
    for (int i = 0; i < 100; i++)
        give(others[i]);
    give(block);
    look_for_twins();
}

/* Of another size, so that nothing takes the place of the block. */
static void double_free_after_work(void) {
    char *block = take();
    give(block);
    for (int i = 0; i < 1000; i++)
        give(hidden(take_bytes(16000)));
    give(block);
    look_for_twins();
}

/* When all others of its size are gone too, and with them perhaps the memory it was in. */
static void double_free_after_all(void) {
    struct pair pair = take_pair();
    settle();
    give(pair.lower);
    look_for_twins();
}

/* Another block has the place now: for an allocator that hands it out again, this is a correct call
 * of free; it is the program that loses a block. */
static void double_free_reused(void) {
    char *block = take(), *now;
    give(block);
    for (int i = 0; i < 100; i++) {
        now = take();
        if (now == block)
            break;
    }
    give(block);
    for (int i = 0; i < 100 && now == block; i++) {
        char *next = hidden(take_bytes(bytes));
        if (next == block)
            saw("a block is given to two");
    }
}

static void double_free_by_thread(void) {
    char *block = take();
    give(block);
    in_thread(give_in_thread, block);
    look_for_twins();
}

static void double_free_thread_first(void) {
    char *block = take();
    in_thread(give_in_thread, block);
    give(block);
    look_for_twins();
}

static void double_free_two_threads(void) {
    char *block = take();
    in_thread(give_in_thread, block);
    in_thread(give_in_thread, block);
    look_for_twins();
}

static void double_free_in_child(void) {
    int status = 0;
    char *block = take();
    give(block);
    pid_t child = fork();
    if (child == 0) {
        give(block);
        look_for_twins();
        go_on();
        _exit(0);
    }
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) { /* as the child */
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
}

/* As what is written to freed memory may break what recognises a double free. */
static void double_free_after_write(void) {
    char *block = take();
    give(block);
    memset(block, STRAY, 32);
    give(block);
    look_for_twins();
}

static void double_free_empty(void) {
    require_zone(TINY);
    char *block = hidden(take_bytes(0));
    give(block);
    give(block);
    bytes = 1;
    look_for_twins();
}

const struct scene double_scenes[] = {
    {"double_free", double_free},
    {"double_free_after_another", double_free_after_another},
    {"double_free_after_many", double_free_after_many},
    {"double_free_after_work", double_free_after_work},
    {"double_free_after_all", double_free_after_all},
    {"double_free_reused", double_free_reused},
    {"double_free_by_thread", double_free_by_thread},
    {"double_free_thread_first", double_free_thread_first},
    {"double_free_two_threads", double_free_two_threads},
    {"double_free_in_child", double_free_in_child},
    {"double_free_after_write", double_free_after_write},
    {"double_free_empty", double_free_empty},
    {NULL, NULL},
};
