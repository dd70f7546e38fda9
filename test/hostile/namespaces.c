/* Purpose: a library in a namespace of its own, which has another libc and another heap.
 *
 * Protects: dlmopen beside slabmalloc (field case A16): inside the namespace all works, with
 * glibc's heap or with a second slabmalloc; a block that crosses from there to us, or between two
 * copies of slabmalloc, is told as no block of this heap; one of ours that crosses to glibc's free
 * ends the process with glibc's message.
 *
 * namespaces PLUGIN within|to_us|to_them glibc|slabmalloc: whose heap is in the namespace. */
#include "hostile.h"

#include <dlfcn.h>

static char *(*plugin_new)(const char *);
static void (*plugin_delete)(char *);
static int (*plugin_work)(void);

static void *find(void *plugin, const char *name) {
    void *function = dlsym(plugin, name);
    CHECK(function != NULL, "%s", dlerror());
    return function;
}

static void to_us(void *unused) {
    (void)unused;
    free(plugin_new("theirs"));
}

/* The bytes before the block, where glibc looks for its own, are zero. */
static void to_them(void *unused) {
    (void)unused;
    char *blocks[8];
    for (size_t i = 0; i < 8; i++)
        blocks[i] = calloc(1, 96);
    plugin_delete(blocks[4]);
}

static void *run(void *unused) {
    (void)unused;
    CHECK(plugin_work() == 0, "in a thread");
    return NULL;
}

static void expect_abort(void (*act)(void *), const char *words) {
    static char text[4096];
    int status = child_collect(act, NULL, text, sizeof text);
    CHECK(aborted(status), "status %#x: %s", (unsigned)status, text);
    CHECK(strstr(text, words) != NULL, "it said: %s", text);
}

int main(int argc, char **argv) {
    CHECK(argc == 4, "usage: namespaces PLUGIN within|to_us|to_them glibc|slabmalloc");
    bool theirs_is_glibc = strcmp(argv[3], "glibc") == 0;
    void *plugin = dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW | RTLD_LOCAL);
    CHECK(plugin != NULL, "dlmopen: %s", dlerror());
    *(void **)&plugin_new = find(plugin, "plugin_new");
    *(void **)&plugin_delete = find(plugin, "plugin_delete");
    *(void **)&plugin_work = find(plugin, "plugin_work");
    if (strcmp(argv[2], "within") == 0) {
        uint64_t state = random_seed(1);
        struct block *ours = block_new(&state, 1000);
        CHECK(plugin_work() == 0, "in the main thread");
        thread_join(thread_start(run, NULL));
        char *text = plugin_new("a text");
        CHECK(strcmp(text, "a text") == 0, "%s", text);
        plugin_delete(text);
        block_delete(ours);
        CHECK(dlclose(plugin) == 0, "%s", dlerror());
        workout(2, 2000);
        workout_end();
    } else if (strcmp(argv[2], "to_us") == 0) {
        expect_abort(to_us, "slabmalloc: invalid free: free(0x");
        expect_abort(to_us, "never allocated here");
    } else {
        expect_abort(to_them, theirs_is_glibc ? "free(): invalid" : "never allocated here");
    }
    return 0;
}
