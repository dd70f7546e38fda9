/* Purpose: the heap starts in a process that has used up its mappings.
 *
 * Protects: with nearly as many mappings as the system allows, made before the heap's first use,
 * the heap starts and works; with none left it says ENOMEM and goes on when there are some (field
 * cases 19, E2). test/threads/mappings.c uses them up after the start.
 *
 * crowded_start SPARE: how many mappings are left */
#include "hostile.h"

enum { OPERATIONS = 5000 / SLOWNESS };

static size_t spare, made, area_bytes;
static char *area;
static bool heap_was_there;

/* The lines of a file of /proc; *longest: the largest difference of the addresses in them, in MiB.
 * Nothing in here allocates. */
static size_t read_maps(size_t *longest) {
    static char text[1 << 16];
    size_t lines = 0, used = 0;
    ssize_t n;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    *longest = 0;
    while (fd >= 0 && (n = read(fd, text + used, sizeof text - 1 - used)) > 0) {
        char *line = text, *end;
        used += (size_t)n;
        text[used] = 0;
        while ((end = strchr(line, '\n')) != NULL) {
            unsigned long from = strtoul(line, &line, 16), to = strtoul(line + 1, NULL, 16);
            if ((to - from) >> 20 > *longest)
                *longest = (to - from) >> 20;
            lines++;
            line = end + 1;
        }
        used = (size_t)(text + used - line);
        memmove(text, line, used);
    }
    close(fd);
    return lines;
}

static size_t mappings_allowed(void) {
    char text[32] = {0};
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return 0;
    close(fd);
    return strtoul(text, NULL, 10);
}

/* Every other page of an area is readable, so that each is a mapping. As a preinit function it runs
 * before all constructors. */
static void use_up(int argc, char **argv, char **environment) {
    size_t longest, page = (size_t)sysconf(_SC_PAGESIZE), allowed = mappings_allowed();
    (void)environment;
    if (argc != 2 || allowed == 0 || allowed > 200000)
        return;
    spare = strtoul(argv[1], NULL, 10);
    size_t already = read_maps(&longest);
    heap_was_there = longest >= 1 << 20; /* a range of the heap's */
    area_bytes = (allowed + 2) * page;
    area = mmap(NULL, area_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || already + spare + 8 > allowed)
        return;
    size_t pages = allowed - already - spare - 2;
    for (size_t i = 1; i < pages; i += 2)
        made += mprotect(area + i * page, page, PROT_READ) == 0 ? 2 : 0;
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) = use_up;

int main(int argc, char **argv) {
    (void)argv;
    CHECK(argc == 2, "usage: crowded_start SPARE");
    if (made == 0)
        SKIP("this system allows %zu mappings", mappings_allowed());
    CHECK(made > 10000, "only %zu mappings were made", made);
    CHECK(!heap_was_there, "the heap had started already");
    printf("%zu mappings before the first use\n", made);
    if (spare == 0) {
        errno = 0;
        void *block = malloc(100);
        CHECK(block != NULL || errno == ENOMEM, "errno %d", errno);
        printf("with none left: %s\n", block != NULL ? "a block" : "ENOMEM");
        free(block);
        CHECK(munmap(area, area_bytes) == 0, "munmap");
    }
    workout(1, OPERATIONS);
    workout_end();
    zero_check_all();
    return 0;
}
