/* Protects: a fork that comes while another thread sets the heap up, and has not registered the
 * fork handlers yet, leaves a child that allocates; a registration that is another library's may
 * allocate, and may wait for a thread that allocates (field cases 8, A3, A4).
 *
 * The program's own __register_atfork stands for that library's. White box: nothing runs before
 * main, so that the first call is a thread's. */
#include "check.h"

#include <dlfcn.h>

#include "heap/heap.h"

enum { HANG_SECONDS = 20 };

typedef int registers(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                      void *library);

registers __register_atfork;
static registers *register_in_libc;
static struct block *from_handler, *from_helper;
static bool must_help, is_child;
static pthread_barrier_t registering, forked;

static void *help(void *unused) {
    uint64_t state = random_seed(1);
    from_helper = block_new(&state, 500);
    return unused;
}

int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                      void *library) {
    uint64_t state = random_seed(2);
    if (is_child)
        return register_in_libc(prepare, parent, child, library);
    from_handler = block_new(&state, 900);
    if (must_help)
        thread_join(thread_start(help, NULL));
    pthread_barrier_wait(&registering);
    pthread_barrier_wait(&forked);
    return register_in_libc(prepare, parent, child, library);
}

static void use_heap(void) {
    uint64_t state = random_seed(3);
    for (int i = 0; i < 300; i++)
        block_delete(block_resize(&state, block_new(&state, random_size(&state)), 40000));
    CHECK(slm_check_heap(2), "the heap is damaged");
}

static void *first_call(void *unused) {
    use_heap();
    return unused;
}

/* In a child that inherits the blocks of the thread that was registering; a lock that it might have
 * held is held by it. */
static void in_child(void) {
    alarm(HANG_SECONDS);
    is_child = true;
    store_relaxed(&heap_shared_lock.word, (uintptr_t)&from_handler);
    use_heap();
    block_delete(from_handler);
    if (must_help)
        block_delete(from_helper);
    use_heap();
    pid_t grandchild = fork(); /* the handlers are registered by now */
    if (grandchild == 0) {
        use_heap();
        _exit(0);
    }
    child_wait(grandchild, "a child of the child");
    _exit(0);
}

static void run(void) {
    alarm(2 * HANG_SECONDS);
    pthread_barrier_init(&registering, NULL, 2);
    pthread_barrier_init(&forked, NULL, 2);
    pthread_t thread = thread_start(first_call, NULL);
    pthread_barrier_wait(&registering);
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child == 0)
        in_child();
    child_wait(child, "a child, forked beside the registration,");
    pthread_barrier_wait(&forked);
    thread_join(thread);
    use_heap();
    block_delete(from_handler);
    _exit(0);
}

int main(void) {
    register_in_libc = (registers *)dlsym(RTLD_NEXT, "__register_atfork");
    CHECK(register_in_libc, "%s", dlerror());
    for (int i = 0; i < 2; i++) {
        must_help = i == 1;
        pid_t child = fork(); /* before the first call: each has a heap of its own */
        CHECK(child >= 0, "fork: %s", strerror(errno));
        if (child == 0)
            run();
        child_wait(child, must_help ? "a registration that waits for a thread" : "a registration");
    }
    return 0;
}
