/* Purpose: plugins loaded with RTLD_DEEPBIND, which look for malloc in libc before they look here;
 *          and who looks it up in libc itself.
 *
 * Protects: they allocate here like everybody else (field case A8), from their constructors on, and
 * any block may be freed by any side. Where the system does not let us change libc's table of
 * symbols, or the option says no, all is as with any other replacement of malloc: a block that
 * libc has allocated for the plugin (asprintf, strdup, getline) is ours, and glibc's free, which
 * the plugin calls, ends the process with glibc's own message; one of the plugin's that the program
 * frees is diagnosed as one of libc's malloc. A plugin that is itself linked with slabmalloc finds
 * ours in any case. Whoever calls dlopen is searched for in the directories of his own file.
 *
 * Not linked with the library: run with it preloaded (but for "late").
 *
 * deepbind here PLUGIN      with the option as it is
 * deepbind linked PLUGIN    with the option off, a plugin that is linked with the library
 * deepbind by_name -        libc is loaded by its name, and no plugin
 * deepbind apart PLUGIN     with the option off
 * deepbind refused PLUGIN   mprotect of libc's memory fails
 * deepbind race PLUGIN      threads load it at one moment
 * deepbind space PLUGIN     dlmopen, in the program's own namespace
 * deepbind late PLUGIN      the library comes with the plugin, deep bound, to a program on glibc's
 * deepbind caller CALLER NAME   CALLER finds NAME, RTLD_DEEPBIND or not; nobody else does */
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef HAS_STUBS
#define HAS_STUBS 0
#endif

/* As programs have that throw without the loader's lock: a list of their own, which takes none. */
#if OWN_LIST
static struct dl_phdr_info files[64];
static int file_count;

static int keep(struct dl_phdr_info *file, size_t bytes, void *data) {
    (void)bytes;
    (void)data;
    files[file_count++] = *file;
    return file_count == 64;
}

int dl_iterate_phdr(int (*see)(struct dl_phdr_info *, size_t, void *), void *data) {
    int (*next)(int (*)(struct dl_phdr_info *, size_t, void *), void *), result = 0;
    *(void **)&next = dlsym(RTLD_NEXT, "dl_iterate_phdr");
    if (file_count == 0)
        next(keep, NULL);
    for (int i = 0; i < file_count && result == 0; i++)
        result = see(&files[i], sizeof *files, data);
    return result;
}
#endif

enum { WAYS = 10, SKIPPED = 77, RACES = 20 / SLOWNESS + 1, RACERS = 6 };

static void fail(const char *what, int status, const char *text) {
    fprintf(stderr, "deepbind: %s: %#x: %s\n", what, (unsigned)status, text != NULL ? text : "");
    exit(1);
}

/* The status of a child that calls `function`; `text`: what it said. */
static int call(int (*function)(void), char *text, size_t size) {
    int ends[2], status = -1;
    ssize_t n;
    size_t used = 0;
    if (pipe(ends) != 0)
        exit(2);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        alarm(60);
        _exit(function());
    }
    close(ends[1]);
    while (used < size - 1 && (n = read(ends[0], text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = 0;
    close(ends[0]);
    waitpid(child, &status, 0);
    return status;
}

static void *load(const char *path, int mode) {
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL | mode);
    if (plugin == NULL)
        fail("dlopen", 0, dlerror());
    return plugin;
}

static void *find(void *plugin, const char *name) {
    void *found = dlsym(plugin, name);
    if (found == NULL)
        fail("dlsym", 0, dlerror());
    return found;
}

static const void *libc_s(const char *name) { return find(load("libc.so.6", 0), name); }

/* --- one heap --------------------------------------------------------------------------------- */

/* `is_led`: libc's own functions lead here. */
static int check_one_heap(const char *path, bool is_led) {
    void *plugin = load(path, RTLD_DEEPBIND);
    int (*own)(void), (*crossing)(void);
    void *(*allocates)(int), *(*at_load)(void);
    *(void **)&own = find(plugin, "plugin_frees_own");
    *(void **)&crossing = find(plugin, "plugin_frees_asprintf");
    *(void **)&allocates = find(plugin, "plugin_allocates");
    *(void **)&at_load = find(plugin, "plugin_at_load");
    if ((libc_s("malloc") == dlsym(RTLD_DEFAULT, "slm_malloc")) != is_led)
        fail("libc's malloc", !is_led, "leads elsewhere");
    int result = own();
    if (result != 0 || (result = crossing()) != 0)
        fail("the plugin", result, NULL);
    for (int way = 0; way < WAYS; way++) {
        char *block = allocates(way);
        if (block == NULL)
            fail("way to allocate", way, NULL);
        free(block); /* or a diagnosis ends the process */
    }
    free(at_load());
    return 0;
}

/* No plugin is loaded. */
static int check_libc_by_name(void) {
#if HAS_STUBS
    void *(*volatile stub)(size_t) = malloc;
    void (*volatile stub_of_free)(void *) = free;
    if (stub == dlsym(RTLD_DEFAULT, "slm_malloc") || stub_of_free == NULL) {
        printf("skipped: this compiler makes no stubs\n");
        exit(SKIPPED);
    }
#endif
    void (*frees)(void *);
    void *(*takes)(size_t);
    *(const void **)&frees = libc_s("free");
    *(const void **)&takes = libc_s("malloc");
    frees(strdup("text"));
    free(takes(100));
    return 0;
}

/* One half of its functions is bound by the first call; the other after libc was loaded by name. */
static int check_space(const char *path) {
    void *plugin = dlmopen(LM_ID_BASE, path, RTLD_LAZY | RTLD_LOCAL | RTLD_DEEPBIND);
    if (plugin == NULL)
        fail("dlmopen", 0, dlerror());
    void *(*take)(int);
    void (*give)(void *);
    *(void **)&take = find(plugin, "plugin_allocates");
    *(void **)&give = find(plugin, "plugin_frees");
    void *block = take(1);
    libc_s("free");
    give(block);
    free(take(0));
    return 0;
}

/* What the program has bound is libc's, and what it binds later, too. */
static int check_late(const char *path) {
    void *(*volatile resize)(void *, size_t) = realloc;
    char *block = malloc(100);
    void *plugin = load(path, RTLD_DEEPBIND);
    void (*loads)(void);
    *(void **)&loads = find(plugin, "plugin_loads_libc");
    loads();
    if (libc_s("malloc") != (const void *)malloc)
        fail("libc's malloc", 0, "leads to the late library");
    block = resize(block, 200);
    free(block);
    return 0;
}

/* --- two, where it can't be helped ------------------------------------------------------------ */

static void *(*allocates)(int);

static int free_the_plugins(void) {
    free(allocates(0));
    return 0;
}

/* A block of libc's malloc comes to us: told by name. */
static void check_the_other_way(void *plugin, char *text, size_t size) {
    *(void **)&allocates = find(plugin, "plugin_allocates");
    int status = call(free_the_plugins, text, size);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
        strstr(text, "slabmalloc: invalid free: free(0x") == NULL ||
        strstr(text, "libraries loaded with RTLD_DEEPBIND\n") == NULL)
        fail("a block of the plugin's", status, text);
}

static int check_two_heaps(const char *path) {
    static char text[4096];
    int (*own)(void), (*crossing)(void);
    if (libc_s("malloc") == dlsym(RTLD_DEFAULT, "slm_malloc"))
        fail("libc's malloc", 0, "leads here");
    void *plugin = load(path, RTLD_DEEPBIND);
    *(void **)&own = find(plugin, "plugin_frees_own");
    *(void **)&crossing = find(plugin, "plugin_frees_asprintf");
    int status = call(own, text, sizeof text);
    if (status != 0)
        fail("malloc and free", status, text);
    status = call(crossing, text, sizeof text);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        fail("asprintf and free", status, text);
    if (strstr(text, "free(): invalid") == NULL &&
        strstr(text, "munmap_chunk(): invalid") == NULL && strstr(text, "slabmalloc: ") == NULL)
        fail("what was said", status, text);
    printf("%s", text);
    check_the_other_way(plugin, text, sizeof text);
    return 0;
}

/* mprotect fails that would make memory of libc's writable. */
static void refuse(void) {
    Dl_info libc;
    if (dladdr((const void *)(uintptr_t)gnu_get_libc_version, &libc) == 0)
        fail("dladdr", 0, NULL);
    uint64_t start = (uintptr_t)libc.dli_fbase, end = start + ((uint64_t)1 << 20);
    if (start >> 32 != end >> 32) {
        printf("skipped: libc lies across a border of 4 GiB, which the filter can't tell\n");
        exit(SKIPPED);
    }
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define UNLESS(test, value, skip) BPF_JUMP(BPF_JMP | (test) | BPF_K, (unsigned)(value), 0, skip)
    struct sock_filter code[] = {
        LOAD(nr),
        UNLESS(BPF_JEQ, SYS_mprotect, 9),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
        UNLESS(BPF_JEQ, start >> 32, 7),
        LOAD(args[0]),
        UNLESS(BPF_JGE, start, 5),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)end, 4, 0),
        LOAD(args[2]),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE),
        UNLESS(BPF_JEQ, PROT_WRITE, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
        printf("skipped: this system allows no seccomp filter\n");
        exit(SKIPPED);
    }
}

/* --- threads ---------------------------------------------------------------------------------- */

static pthread_barrier_t all_ready;

static void *load_and_call(void *path) {
    int (*crossing)(void);
    pthread_barrier_wait(&all_ready);
    *(void **)&crossing = find(load(path, RTLD_DEEPBIND), "plugin_frees_asprintf");
    if (crossing() != 0)
        fail("a thread", 0, NULL);
    return NULL;
}

static const char *race_path;

static int race_once(void) {
    pthread_t threads[RACERS];
    pthread_barrier_init(&all_ready, NULL, RACERS);
    for (int i = 0; i < RACERS; i++)
        if (pthread_create(&threads[i], NULL, load_and_call, (void *)race_path) != 0)
            return 1;
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

static int race(const char *path) {
    static char text[4096];
    race_path = path;
    for (int i = 0; i < RACES; i++) {
        int status = call(race_once, text, sizeof text);
        if (status != 0)
            fail("race", status, text);
    }
    return 0;
}

/* --- who calls -------------------------------------------------------------------------------- */

static int check_caller(const char *path, const char *name) {
    int (*finds)(const char *, int);
    *(void **)&finds = find(load(path, 0), "caller_finds");
    if (dlopen(name, RTLD_NOW) != NULL)
        fail("found by the program, too", 0, name);
    if (!finds(name, 0) || !finds(name, RTLD_DEEPBIND))
        fail("not found", 0, dlerror());
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc < 3 ? "" : argv[1];
    if (strcmp(mode, "late") == 0)
        return check_late(argv[2]);
    if (dlsym(RTLD_DEFAULT, "slm_malloc") == NULL)
        fail("run with the library preloaded", argc, NULL);
    if (strcmp(mode, "here") == 0)
        return check_one_heap(argv[2], true);
    if (strcmp(mode, "linked") == 0)
        return check_one_heap(argv[2], false);
    if (strcmp(mode, "space") == 0)
        return check_space(argv[2]);
    if (strcmp(mode, "by_name") == 0)
        return check_libc_by_name();
    if (strcmp(mode, "apart") == 0)
        return check_two_heaps(argv[2]);
    if (strcmp(mode, "race") == 0)
        return race(argv[2]);
    if (strcmp(mode, "caller") == 0 && argc == 4)
        return check_caller(argv[2], argv[3]);
    if (strcmp(mode, "refused") != 0)
        fail("usage", argc, mode);
    refuse();
    return check_two_heaps(argv[2]);
}
