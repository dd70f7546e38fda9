/* Purpose: a plugin loaded with RTLD_DEEPBIND, which finds libc's malloc before ours.
 *
 * Protects: the outcome is known (field case A8). Blocks that the plugin allocates and frees itself
 * are glibc's, and fine. A block that libc has allocated for it (asprintf, strdup, getline) is
 * ours, and glibc's free, which the plugin calls, ends the process with glibc's own message. A
 * plugin that is itself linked with slabmalloc finds ours, and works. A block of the plugin's that
 * the program frees is diagnosed as one of libc's malloc.
 *
 * Not linked with the library: run with it preloaded. deepbind PLUGIN libc|linked: what the plugin
 * is linked with */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static int fail(const char *what, int status, const char *text) {
    fprintf(stderr, "deepbind: %s: status %#x: %s\n", what, (unsigned)status, text);
    return 1;
}

static void *(*allocates)(void);

static int free_the_plugins(void) {
    free(allocates());
    return 0;
}

/* A block of libc's malloc comes to us: told by name. */
static int check_the_other_way(void *plugin, char *text, size_t size) {
    *(void **)&allocates = dlsym(plugin, "plugin_allocates");
    int status = call(free_the_plugins, text, size);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
        strstr(text, "slabmalloc: invalid free: free(0x") == NULL ||
        strstr(text, "libraries loaded with RTLD_DEEPBIND\n") == NULL)
        return fail("a block of the plugin's", status, text);
    return 0;
}

int main(int argc, char **argv) {
    static char text[4096];
    int (*own)(void), (*crossing)(void);
    extern void *slm_malloc(size_t) __attribute__((weak));
    if (argc != 3 || slm_malloc == NULL)
        return fail("run with the library preloaded", argc, "");
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (plugin == NULL)
        return fail(dlerror(), 0, "");
    *(void **)&own = dlsym(plugin, "plugin_frees_own");
    *(void **)&crossing = dlsym(plugin, "plugin_frees_asprintf");
    int status = call(own, text, sizeof text);
    if (status != 0)
        return fail("malloc and free", status, text);
    status = call(crossing, text, sizeof text);
    if (strcmp(argv[2], "linked") == 0)
        return status == 0 ? 0 : fail("asprintf and free, linked", status, text);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        return fail("asprintf and free", status, text);
    if (strstr(text, "free(): invalid") == NULL &&
        strstr(text, "munmap_chunk(): invalid") == NULL && strstr(text, "slabmalloc: ") == NULL)
        return fail("what was said", status, text);
    printf("%s", text);
    return check_the_other_way(plugin, text, sizeof text);
}
