/* Purpose: see child.h. */
#include "child.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void free_sized(void *pointer, size_t size);
void free_aligned_sized(void *pointer, size_t alignment, size_t size);
void operator_delete(void *pointer) __asm__("_ZdlPv");
void operator_delete_array(void *pointer, size_t size) __asm__("_ZdaPvm");

enum zone zone;
static void (*call)(void *pointer);

static volatile size_t sink;

static void by_free(void *p) { free(p); }
static void by_realloc(void *p) { sink = (size_t)realloc(p, request_bytes[zone] / 2); }
static void by_realloc_0(void *p) { sink = (size_t)realloc(p, sink * 0); }
static void by_usable_size(void *p) { sink = malloc_usable_size(p); }
static void by_delete(void *p) { operator_delete(p); }
static void by_delete_array(void *p) { operator_delete_array(p, 12345); }
static void by_free_sized(void *p) { free_sized(p, request_bytes[zone]); }
static void by_free_aligned_sized(void *p) { free_aligned_sized(p, 16, request_bytes[zone]); }

static const struct {
    const char *name;
    void (*call)(void *pointer);
} calls[] = {
    {"free", by_free},
    {"realloc", by_realloc},
    {"realloc_0", by_realloc_0},
    {"malloc_usable_size", by_usable_size},
    {"delete", by_delete},
    {"delete_array", by_delete_array},
    {"free_sized", by_free_sized},
    {"free_aligned_sized", by_free_aligned_sized},
};

void require(bool condition) {
    if (!condition)
        _exit(SETUP_FAILED);
}

void *block(void) {
    void *neighbour = hidden(malloc(request_bytes[zone]));
    void *pointer = hidden(malloc(request_bytes[zone]));
    require(neighbour != NULL && pointer != NULL);
    memset(pointer, 0x11, request_bytes[zone]);
    return pointer;
}

void call_with(void *pointer) { call(hidden(pointer)); }

/* Nothing here may allocate: a block that was freed would be given out again. */
void announce(void *pointer, void *start, long slot) {
    char line[96];
    int length = snprintf(line, sizeof line, "%#lx %#lx %ld\n", (unsigned long)pointer,
                          (unsigned long)start, slot);
    require(write(1, line, (size_t)length) == length);
}

void fault_at_slot(void *pointer, void *start, long slot) {
    announce(pointer, start, slot);
    call_with(pointer);
    _exit(0);
}

void fault(void *pointer, void *start) { fault_at_slot(pointer, start, -1); }

struct job {
    void (*act)(void *);
    void *argument;
};

static void *run_job(void *job) {
    ((struct job *)job)->act(((struct job *)job)->argument);
    return NULL;
}

void in_thread(void (*act)(void *), void *argument) {
    struct job job = {act, argument};
    pthread_t thread;
    require(pthread_create(&thread, NULL, run_job, &job) == 0);
    require(pthread_join(thread, NULL) == 0);
}

void in_forked_child(void (*act)(void *), void *argument) {
    int status;
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        act(argument);
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    _exit(WEXITSTATUS(status));
}

/* By read(2): stdio would allocate its buffer. The file is small here. */
bool find_mapping(uintptr_t address, uintptr_t *start, uintptr_t *end) {
    static char text[1 << 16];
    size_t used = 0;
    ssize_t n;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    require(fd >= 0);
    while ((n = read(fd, text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)n;
    close(fd);
    text[used] = 0;
    for (char *line = text; *line != 0; line += strcspn(line, "\n") + 1) {
        char *rest;
        *start = strtoul(line, &rest, 16);
        *end = strtoul(rest + 1, NULL, 16);
        if (*start <= address && address < *end)
            return true;
    }
    return false;
}

static void run_scene(const struct scene *scenes, const char *name) {
    for (; scenes->name != NULL; scenes++) {
        if (strcmp(scenes->name, name) == 0) {
            scenes->run();
            exit(0);
        }
    }
}

int main(int argc, char **argv) {
    static const char *const zone_names[] = {"TINY", "SMALL", "LARGE"};
    require(argc == 4);
    for (zone = TINY; zone < ZONES && strcmp(argv[2], zone_names[zone]) != 0;)
        zone++;
    require(zone < ZONES);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(argv[3], calls[i].name) == 0)
            call = calls[i].call;
    require(call != NULL);
    alarm(SECONDS_MAX); /* a hang ends with another signal than is expected */
    run_scene(double_scenes, argv[1]);
    run_scene(wild_scenes, argv[1]);
    run_scene(abort_scenes, argv[1]);
    run_scene(correct_scenes, argv[1]);
    return SETUP_FAILED;
}
