/* Purpose: blocks that a program has a pointer to in some place only, or in none, for leak_check;
 *          check.py compares what is told. Usage: check_lost SCENE
 *
 * A place is kept by one scene each. What a scene lost, it has forgotten: pointers pass through
 * functions whose frames are overwritten afterwards. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../hostile/hostile.h"
#include "slabmalloc/slabmalloc.h"

enum { BYTES = 90 };

struct node {
    struct node *next;
    char rest[40];
};

static __attribute__((noinline)) void forget(void) {
    volatile char frames[1 << 16];
    memset((char *)frames, 0, sizeof frames);
    __asm__ volatile("" ::"r"(frames) : "memory");
}

/* Calls `act` so far down the stack that what it leaves there is overwritten by forget(). */
static __attribute__((noinline)) uintptr_t below(uintptr_t (*act)(uintptr_t), uintptr_t argument) {
    volatile char space[8192];
    space[0] = 0;
    __asm__ volatile("" ::"r"(space) : "memory"); /* all of it is there */
    uintptr_t (*volatile call)(uintptr_t) = act; /* not inlined: its frame lies below */
    uintptr_t result = call(argument);
    return result + (uintptr_t)space[0];
}

static uintptr_t make_here(uintptr_t size) {
    void *volatile block = malloc(size);
    memset(block, 0, size);
    return ~(uintptr_t)block;
}

/* No pointer: the block's address, all bits turned over. */
static __attribute__((noinline)) uintptr_t make(size_t size) { return below(make_here, size); }

static void *shown(uintptr_t hidden) { return (void *)~hidden; }

static void say(void) {
    forget();
    ptrdiff_t lost = slm_leaks(2, SLM_LEAKS_LOST);
    printf("%td\n", lost);
}

/* --- where a pointer is ----------------------------------------------------------------------- */

static void *volatile in_data = (void *)1;
static void *volatile in_bss;
static __thread void *volatile in_thread;

static void data(void) {
    in_data = shown(make(BYTES));
    say();
}
static void bss(void) {
    in_bss = shown(make(BYTES));
    say();
}
static void variable(void) {
    in_thread = shown(make(BYTES));
    say();
}
static void interior(void) {
    in_bss = (char *)shown(make(BYTES)) + BYTES - 1;
    say();
}
static void large(void) {
    in_bss = (char *)shown(make(500000)) + 300000;
    say();
}
static void stack(void) {
    void *volatile here = shown(make(BYTES));
    say();
    memset(here, 1, BYTES);
}
/* A first block of `bytes`, and 5 more, each of which only the one before points to. */
static uintptr_t link_here(uintptr_t bytes) {
    struct node *volatile node = shown(make(bytes));
    uintptr_t first = ~(uintptr_t)node;
    for (int i = 0; i < 5; i++) {
        node->next = shown(make(i == 3 && bytes > 64 ? 200000 : sizeof *node));
        node = node->next;
    }
    return first;
}
static void chain(void) {
    in_bss = shown(below(link_here, 300));
    say();
}
static void mapping(void) {
    void **memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory[5000] = shown(make(BYTES));
    mprotect(memory, 1 << 20, PROT_READ);
    say();
}
static void key(void) {
    pthread_key_t key;
    pthread_key_create(&key, NULL);
    pthread_setspecific(key, shown(make(BYTES)));
    say();
}
/* In a block of which one page can't be read; and behind that page. */
static void hole(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *block = aligned_alloc(page, 4 * page);
    in_bss = block;
    memset(block, 0, 4 * page);
    *(void **)(void *)(block + 3 * page) = shown(make(BYTES));
    mprotect(block + page, page, PROT_NONE);
    say();
    mprotect(block + page, page, PROT_READ | PROT_WRITE);
}

/* --- other threads ---------------------------------------------------------------------------- */

static sem_t ready, done;
static volatile int over;

static void *sleeps(void *hidden) {
    void *volatile here = shown((uintptr_t)hidden);
    sem_post(&ready);
    while (sem_wait(&done) != 0)
        continue;
    memset(here, 1, BYTES);
    return NULL;
}
static void *sleeps_deaf(void *hidden) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    return sleeps(hidden);
}
static void *runs(void *hidden) {
    void *here = shown((uintptr_t)hidden);
    __asm__ volatile("" : "+r"(here)); /* from here on */
    sem_post(&ready);
    while (!over)
        __asm__ volatile("" : "+r"(here));
    return NULL;
}
static void *allocates(void *unused) {
    (void)unused;
    sem_post(&ready);
    while (!over) {
        struct node *volatile first = malloc(sizeof *first);
        first->next = malloc(5000);
        free(first->next);
        free(first);
    }
    return NULL;
}
static void *makes_threads(void *unused) {
    (void)unused;
    sem_post(&ready);
    while (!over) {
        pthread_t thread;
        sem_t *volatile own = malloc(sizeof *own);
        if (pthread_create(&thread, NULL, (void *(*)(void *))(void *)free, own) != 0)
            abort();
        pthread_join(thread, NULL);
    }
    return NULL;
}

static void beside(void *(*run)(void *), unsigned threads, int rounds) {
    pthread_t ids[16];
    ptrdiff_t lost = 0;
    sem_init(&ready, 0, 0);
    sem_init(&done, 0, 0);
    for (unsigned i = 0; i < threads; i++) {
        pthread_create(&ids[i], NULL, run, (void *)make(BYTES));
        while (sem_wait(&ready) != 0)
            continue;
    }
    forget();
    for (int i = 0; i < rounds; i++)
        lost += slm_leaks(2, SLM_LEAKS_LOST);
    printf("%td\n", lost);
    over = 1;
    for (unsigned i = 0; i < threads; i++)
        sem_post(&done);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
}

static void thread_stack(void) { beside(sleeps, 8, 3); }
static void thread_register(void) { beside(runs, 3, 3); }
static void deaf_thread(void) { beside(sleeps_deaf, 2, 1); }

/* Each of the threads was given a block that it does not keep: 4 are lost, each time. */
static void busy_threads(void) { beside(allocates, 4, 5); }
static void thread_makers(void) { beside(makes_threads, 4, 5); }

/* --- what is lost ----------------------------------------------------------------------------- */

static void lost(void) {
    for (int i = 0; i < 10; i++)
        make(BYTES);
    make(300000);
    say();
}
static void again(void) {
    make(BYTES);
    say();
    in_bss = shown(make(BYTES));
    say();
    in_bss = NULL;
    say();
}
static void held(void) {
    below(link_here, 64);
    say();
}
/* Of a ring of 3 and what hangs from it, one counts as lost. One that points to itself is lost. */
static uintptr_t make_ring(uintptr_t count) {
    uintptr_t tail = make(sizeof(struct node));
    uintptr_t nodes[8];
    for (uintptr_t i = 0; i < count; i++)
        nodes[i] = make(sizeof(struct node));
    for (uintptr_t i = 0; i < count; i++)
        ((struct node *)shown(nodes[i]))->next = shown(nodes[(i + 1) % count]);
    *(void **)(void *)((struct node *)shown(nodes[1]))->rest = shown(tail);
    uintptr_t alone = make(64);
    ((struct node *)shown(alone))->next = shown(alone);
    return 0;
}
static void ring(void) {
    below(make_ring, 3);
    say();
}
static void deaf_and_lost(void) {
    make(BYTES);
    deaf_thread();
}
static void at_exit(void) {
    in_bss = shown(make(64));
    make(BYTES);
    forget();
    puts("done");
}
static void at_exit_whole(void) {
    in_bss = shown(make(64));
    puts("done");
}
static void without_proc(void) {
    in_bss = shown(make(64));
    make(BYTES);
    struct filter filter;
    filter_begin(&filter);
    filter_answer(&filter, SYS_openat, SECCOMP_RET_ERRNO | EACCES);
    filter_install(&filter, SECCOMP_RET_ALLOW);
    say();
}
static void wrong(void) {
    errno = 0;
    printf("%td ", slm_leaks(2, (enum slm_leaks_kind)7));
    printf("%d\n", errno);
    make(BYTES);
    printf("%td ", slm_leaks(-1, SLM_LEAKS_LIVE));
    printf("%d\n", errno);
}
static void live(void) {
    in_bss = shown(make(BYTES));
    printf("%td\n", slm_leaks(2, SLM_LEAKS_LIVE));
}

static const struct {
    const char *name;
    void (*run)(void);
} scenes[] = {
#define SCENE(name) {#name, name}
    SCENE(data), SCENE(bss), SCENE(variable), SCENE(interior), SCENE(large), SCENE(stack),
    SCENE(chain), SCENE(mapping), SCENE(key), SCENE(hole), SCENE(thread_stack),
    SCENE(thread_register), SCENE(deaf_thread), SCENE(busy_threads), SCENE(thread_makers),
    SCENE(lost), SCENE(again), SCENE(held), SCENE(ring), SCENE(deaf_and_lost), SCENE(at_exit),
    SCENE(at_exit_whole), SCENE(without_proc), SCENE(wrong), SCENE(live),
};

int main(int argc, char **argv) {
    alarm(60);
    for (size_t i = 0; argc > 1 && i < sizeof scenes / sizeof *scenes; i++) {
        if (strcmp(argv[1], scenes[i].name) == 0) {
            scenes[i].run();
            return 0;
        }
    }
    return 9;
}
