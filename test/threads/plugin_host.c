/* Protects: plugins that contain the static library, loaded by dlopen into a program that runs on
 * another malloc, or on this one preloaded: before and after ten other libraries with initial-exec
 * thread-local variables, so that glibc's room for late ones suffices, and beside the shared
 * library, which has a heap of its own then (field cases 4, A1). Threads of the program that have
 * used a plugin end after its dlclose: it is linked with -z nodelete.
 *
 * plugin_host COUNTS LIBRARY...: COUNTS has a digit for each plugin among the libraries: 1 if its
 * malloc is its slm_malloc. Not linked with the library. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLUGINS_MAX = 4 };

struct plugin {
    void *handle;
    int (*run)(void);
    char *(*keep)(size_t);
    void (*drop)(char *);
};

static struct plugin plugins[PLUGINS_MAX];
static size_t plugin_count;
static pthread_barrier_t closing;

#define CHECK(condition, ...)                                                                     \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "plugin_host:%d: %s: ", __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                         \
            fprintf(stderr, "\n");                                                                \
            _exit(1);                                                                             \
        }                                                                                         \
    } while (0)

static void *find(void *library, const char *name) { return dlsym(library, name); }

static void load_plugin(void *library, const char *path, int counts_malloc) {
    CHECK(plugin_count < PLUGINS_MAX, "too many plugins");
    struct plugin *plugin = &plugins[plugin_count++];
    plugin->handle = library;
    plugin->run = (int (*)(void))(uintptr_t)find(library, "plugin_run");
    plugin->keep = (char *(*)(size_t))(uintptr_t)find(library, "plugin_keep");
    plugin->drop = (void (*)(char *))(uintptr_t)find(library, "plugin_drop");
    int (*counts)(void) = (int (*)(void))(uintptr_t)find(library, "plugin_counts_malloc");
    CHECK(counts() == counts_malloc, "%s: %d", path, counts());
}

static void load(const char *path, const char **counts) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL, "%s", dlerror());
    int (*use)(int) = (int (*)(int))(uintptr_t)find(library, "ie_use");
    void *(*allocate)(size_t) = (void *(*)(size_t))(uintptr_t)find(library, "slm_malloc");
    void (*release)(void *) = (void (*)(void *))(uintptr_t)find(library, "slm_free");
    if (use != NULL) {
        CHECK(use(5) == 5, "%s", path);
    } else if (find(library, "plugin_run") != NULL) {
        CHECK(**counts != 0, "usage: plugin_host COUNTS LIBRARY...");
        load_plugin(library, path, *(*counts)++ - '0');
    } else { /* the shared library */
        CHECK(allocate != NULL && release != NULL, "%s", path);
        release(allocate(100));
    }
}

static void run_all(const char *where) {
    for (size_t i = 0; i < plugin_count; i++) {
        int result = plugins[i].run();
        CHECK(result == 0, "plugin %zu, %s: %d", i, where, result);
    }
    char *own = malloc(5000);
    memset(own, 'h', 5000);
    free(realloc(own, 100));
}

static void *use_and_outlive(void *unused) {
    char *kept[PLUGINS_MAX];
    for (size_t i = 0; i < plugin_count; i++)
        CHECK((kept[i] = plugins[i].keep(200)) != NULL, "plugin %zu", i);
    pthread_barrier_wait(&closing);
    pthread_barrier_wait(&closing);
    for (size_t i = 0; i < plugin_count; i++)
        plugins[i].drop(kept[i]);
    return unused;
}

static void run_in_child(void) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        alarm(30);
        run_all("in a child");
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child: %#x", (unsigned)status);
}

int main(int argc, char **argv) {
    char *early = strdup("of the program's malloc");
    CHECK(argc > 2, "usage: plugin_host COUNTS LIBRARY...");
    const char *counts = argv[1];
    for (int i = 2; i < argc; i++)
        load(argv[i], &counts);
    CHECK(plugin_count > 0 && *counts == 0, "%zu plugins, counts %s", plugin_count, argv[1]);
    run_all("at first");
    run_in_child();

    pthread_t thread;
    pthread_barrier_init(&closing, NULL, 2);
    CHECK(pthread_create(&thread, NULL, use_and_outlive, NULL) == 0, "pthread_create");
    pthread_barrier_wait(&closing);
    for (size_t i = 0; i < plugin_count; i++)
        CHECK(dlclose(plugins[i].handle) == 0, "%s", dlerror());
    pthread_barrier_wait(&closing);
    CHECK(pthread_join(thread, NULL) == 0, "pthread_join");
    free(early);
    return 0;
}
