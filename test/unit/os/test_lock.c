/* Protects: the lock: mutual exclusion, waking of sleepers, entering again while forking, the reset
 * in a forked child, and the last words of a thread that would wait for itself. */
#include "../expect.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/lock.h"

enum { THREADS = 4, ROUNDS = 30000 };

static struct lock lock;
static uint64_t guarded[2];
static uint64_t torn;

static void *add_under_lock(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        lock_acquire(&lock, RANK_ZONE);
        if (guarded[0] != guarded[1] || lock_holder(&lock) != thread_id())
            torn++;
        guarded[0]++;
        if (i % 64 == 0)
            sched_yield(); /* so that others find it held for long, and sleep */
        guarded[1]++;
        lock_release(&lock, RANK_ZONE);
    }
    return unused;
}

Test(lock, lets_one_thread_in_at_a_time, .timeout = 120) {
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, add_under_lock, NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    EXPECT_EQ(guarded[0], THREADS * ROUNDS);
    EXPECT_EQ(guarded[1], THREADS * ROUNDS);
    EXPECT_EQ(lock.acquired, THREADS * ROUNDS);
    EXPECT(lock.contended < lock.acquired);
    EXPECT_EQ(torn, 0);
    EXPECT_EQ(lock.word, 0);
    EXPECT_EQ(lock_holder(&lock), 0);
}

static void *take_and_give(void *unused) {
    lock_acquire(&lock, RANK_ZONE);
    lock_release(&lock, RANK_ZONE);
    return unused;
}

/* The sleeper marks the lock before it sleeps, so that the holder can wait for that. */
Test(lock, a_sleeper_is_woken, .timeout = 120) {
    pthread_t thread;
    lock_acquire(&lock, RANK_ZONE);
    EXPECT(pthread_create(&thread, NULL, take_and_give, NULL) == 0);
    while ((load_acquire(&lock.word) & LOCK_AWAITED) == 0)
        sched_yield();
    lock_release(&lock, RANK_ZONE);
    pthread_join(thread, NULL);
    EXPECT_EQ(lock.word, 0);
    EXPECT_EQ(lock.acquired, 2);
    EXPECT_EQ(lock.contended, 1);
}

Test(lock, knows_its_holder) {
    lock_acquire(&lock, RANK_LARGE);
    EXPECT_EQ(lock.word, thread_id());
    EXPECT_EQ(lock_holder(&lock), thread_id());
    lock_release(&lock, RANK_LARGE);
    EXPECT_EQ(lock.word, 0);
    EXPECT_EQ(lock_holder(&lock), 0);
    EXPECT_EQ(lock.contended, 0);
}

static uintptr_t other_id;

static void *tell_id(void *unused) {
    other_id = thread_id();
    return unused;
}

Test(lock, threads_have_different_ids) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, tell_id, NULL) == 0);
    pthread_join(thread, NULL);
    EXPECT(other_id != 0 && other_id != thread_id());
}

Test(lock, the_forking_thread_may_enter_again) {
    lock_acquire(&lock, RANK_LARGE);
    lock_set_forking(thread_id());
    lock_acquire(&lock, RANK_LARGE);
    lock_acquire(&lock, RANK_LARGE);
    EXPECT_EQ(lock.nested, 2);
    EXPECT_EQ(lock.contended, 0);
    lock_release(&lock, RANK_LARGE);
    lock_release(&lock, RANK_LARGE);
    EXPECT_EQ(lock.nested, 0);
    EXPECT_EQ(lock.word, thread_id());
    EXPECT_EQ(lock_holder(&lock), thread_id());
    lock_set_forking(0);
    lock_release(&lock, RANK_LARGE);
    EXPECT_EQ(lock.word, 0);
}

/* --- what must not happen ---- */

/* What a child that does `fault` writes to standard error, and that it ends by SIGABRT. */
static void expect_last_words(void (*fault)(void), const char *words) {
    char said[512] = "";
    int ends[2];
    int status;
    EXPECT(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], 2);
        fault();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], said + length, sizeof said - 1 - length)) > 0;)
        length += (size_t)n;
    EXPECT(waitpid(child, &status, 0) == child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %x, said %s", status,
              said);
    cr_assert_eq(strncmp(said, words, strlen(words)), 0, "said \"%s\"", said);
}

static void enter_twice(void) {
    lock_acquire(&lock, RANK_LARGE);
    lock_acquire(&lock, RANK_LARGE);
}

Test(lock, entering_again_is_told_and_ends_the_process, .timeout = 60) {
    expect_last_words(
        enter_twice, "slabmalloc: malloc or free was called again by a signal handler, from inside "
                     "malloc or free of the same thread; both would wait for ever\n");
}

static void enter_twice_while_another_forks(void) {
    lock_set_forking(thread_id() + 64);
    enter_twice();
}

Test(lock, only_the_forking_thread_itself_may_enter_again, .timeout = 60) {
    expect_last_words(enter_twice_while_another_forks,
                      "slabmalloc: malloc or free was called again");
}

#if SLM_DEBUG
static struct lock more[2];

static void take_against_the_order(void) {
    lock_acquire(&more[0], RANK_LARGE);
    lock_acquire(&more[1], RANK_ZONE);
}

static void take_one_rank_against_addresses(void) {
    lock_acquire(&more[1], RANK_CLASS);
    lock_acquire(&more[0], RANK_CLASS);
}

Test(lock, debug_builds_check_the_order_of_ranks, .timeout = 60) {
    expect_last_words(take_against_the_order, "slabmalloc: broken invariant: ");
    expect_last_words(take_one_rank_against_addresses, "slabmalloc: broken invariant: ");
    lock_acquire(&more[0], RANK_CLASS);
    lock_acquire(&more[1], RANK_CLASS);
    lock_release(&more[0], RANK_CLASS);
    lock_acquire(&lock, RANK_ZONE);
    lock_release(&lock, RANK_ZONE);
    lock_release(&more[1], RANK_CLASS);
}
#endif
