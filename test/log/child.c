/* Purpose: known calls for the log of events, one scene each, between two marks; log.py compares
 *          what was logged with what is printed here. Usage: log_child SCENE
 *
 * Each call is printed as the log's line has it from its kind on, without the place. Printing
 * allocates nothing. */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slabmalloc/slabmalloc.h"

void *operator_new(size_t size) __asm__("_Znwm");
void *operator_new_array(size_t size) __asm__("_Znam");
void *operator_new_aligned(size_t size, size_t alignment) __asm__("_ZnwmSt11align_val_t");
void operator_delete(void *pointer) __asm__("_ZdlPv");
void operator_delete_array(void *pointer) __asm__("_ZdaPv");
void operator_delete_aligned(void *pointer, size_t alignment) __asm__("_ZdlPvSt11align_val_t");

enum { MARK = 77777, MANY = 12000, THREADS = 8, EACH = 2000, POPULATE_WRITE = 23 };

static char output[1 << 16];

/* Where a block comes from is hidden, or the compiler would leave calls out. */
static void *hidden(void *pointer) {
    void *volatile copy = pointer;
    return copy;
}

static void mark(void) { free(hidden(malloc(MARK))); }

static void *made(const char *call, void *pointer, size_t bytes) {
    printf("allocate 0x%zx %zu %s\n", (size_t)pointer, bytes, call);
    return hidden(pointer);
}

static void given(const char *call, const void *pointer, size_t bytes) {
    printf("free 0x%zx %zu %s\n", (size_t)pointer, bytes, call);
}

static void *resized(void *old, size_t old_bytes, size_t bytes) {
    size_t old_address = (size_t)old;
    void *pointer = hidden(realloc(old, bytes));
    printf("realloc 0x%zx %zu -> 0x%zx %zu realloc\n", old_address, old_bytes, (size_t)pointer,
           bytes);
    return pointer;
}

static void freed(void *pointer, size_t bytes) {
    given("free", pointer, bytes);
    free(pointer);
}

/* --- scenes ----------------------------------------------------------------------------------- */

static void each_kind(void) {
    static const size_t sizes[] = {200, 150, 5000, 40, 100000, 300000, 5000000, 900, 0};
    size_t bytes = 100;
    char *p = made("malloc", malloc(bytes), bytes);
    for (const size_t *size = sizes; *size != 0; size++) {
        p = resized(p, bytes, *size);
        bytes = *size;
    }
    freed(p, bytes);
    freed(made("calloc", calloc(10, 33), 330), 330);
    freed(made("aligned_alloc", aligned_alloc(4096, 500), 500), 500);
    freed(made("malloc", realloc(NULL, 61), 61), 61);
    p = made("malloc", malloc(10), 10);
    given("free_by_realloc", p, 10);
    p = realloc(p, 0);
    freed(made("malloc", malloc(0), 0), 0);
    p = made("operator_new", operator_new(70), 70);
    given("operator_delete", p, 70);
    operator_delete(p);
    p = made("operator_new[]", operator_new_array(3000), 3000);
    given("operator_delete[]", p, 3000);
    operator_delete_array(p);
    p = made("operator_new", operator_new_aligned(90, 64), 90);
    given("operator_delete", p, 90);
    operator_delete_aligned(p, 64);
    made("malloc", malloc((size_t)1 << 46), (size_t)1 << 46);
    p = made("malloc", malloc(100), 100);
    resized(p, 100, (size_t)1 << 46);
    freed(p, 100);
    freed(made("malloc", malloc(400000), 400000), 400000);
}

static void churn(size_t count, size_t bytes) {
    for (size_t i = 0; i < count; i++)
        free(hidden(malloc(bytes)));
}

static void many(void) {
    churn(MANY, 48);
    freed(made("malloc", malloc(49), 49), 49);
}

/* The last events before the process is killed. */
static void killed(void) {
    made("malloc", malloc(51), 51);
    mark();
    fflush(stdout);
    kill(getpid(), SIGKILL);
}

static void closed(void) {
    fflush(stdout);
    int kept = dup3(1, 900, 0);
    close_range(0, 899, 0);
    churn(MANY, 48);
    dup2(kept, 1);
    freed(made("malloc", malloc(53), 53), 53);
}

static void filters(void) {
    char number[16];
    churn(3, 20);
    freed(made("malloc", malloc(100), 100), 100);
    churn(3, 300);
    snprintf(number, sizeof number, "%ld", syscall(SYS_gettid) + 1);
    slm_option_set("log_thread", number); /* not this one */
    churn(3, 100);
    slm_option_set("log_thread", "0");
    slm_option_set("log_kinds", "none");
    churn(3, 100);
    slm_option_set("log_kinds", "all");
    freed(made("malloc", malloc(120), 120), 120);
    slm_option_set("log_min", "0");
}

static void *run_thread(void *number) {
    size_t bytes = 1000 + (size_t)number;
    for (size_t i = 0; i < EACH; i++) {
        char *p = hidden(malloc(bytes));
        p = hidden(realloc(p, 2 * bytes));
        free(p);
    }
    return NULL;
}

static void threads(void) {
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, run_thread, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
}

static void await(pid_t child) {
    int status = -1;
    waitpid(child, &status, 0);
    printf("child %d %#x\n", (int)child, (unsigned)status);
}

static void in_child(void) {
    churn(100, 64);
    mark();
    freed(made("malloc", malloc(65), 65), 65);
    mark();
    fflush(stdout);
    _exit(0);
}

static void forked(void) {
    freed(made("malloc", malloc(62), 62), 62);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        in_child();
    churn(100, 63);
    await(child);
}

/* No handler of ours hears of it. */
static void forked_unheard(void) {
    fflush(stdout);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        in_child();
    churn(100, 63);
    await(child);
}

/* A file system that has become full, as the library is told of it. */
static void full(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, POPULATE_WRITE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 14 /* EFAULT */),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    freed(made("malloc", malloc(67), 67), 67);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        exit(77);
    churn(MANY, 48);
}

static void sleeping(void) {
    mark();
    fflush(stdout);
    close(1);
    pause();
}

static void elsewhere(void) {
    fflush(stdout);
    if (chdir("/") != 0)
        exit(1);
    churn(10, 48);
    forked();
}

static const struct {
    const char *name;
    void (*run)(void);
} scenes[] = {
    {"each_kind", each_kind}, {"many", many},         {"killed", killed},
    {"closed", closed},       {"filters", filters},   {"threads", threads},
    {"forked", forked},       {"full", full},         {"forked_unheard", forked_unheard},
    {"sleeping", sleeping},   {"elsewhere", elsewhere},
};

int main(int argc, char **argv) {
    setvbuf(stdout, output, _IOFBF, sizeof output);
    for (size_t i = 0; argc == 2 && i < sizeof scenes / sizeof *scenes; i++) {
        if (strcmp(argv[1], scenes[i].name) != 0)
            continue;
        mark();
        scenes[i].run();
        mark();
        printf("end\n");
        return 0;
    }
    fprintf(stderr, "usage: log_child SCENE\n");
    return 2;
}
