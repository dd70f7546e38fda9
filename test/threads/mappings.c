/* Protects: the number of mappings that the heap makes stays small, and it works where the process
 * has nearly as many as the system allows (field cases 19, 20, E2).
 *
 * mappings count|many */
#include "check.h"

#include <sys/mman.h>

enum { SLOTS = 256, SPARE = 1500, MANY = 200000, SKIPPED = 77, SECONDS = 30 };

static struct block *slots[SLOTS];

/* Sizes spread evenly over the powers of two from 4 KiB to `largest`; little of a block
 * is touched. */
static size_t spread_size(uint64_t *state, size_t largest) {
    size_t bytes = (size_t)4096 << random_below(state, 15);
    bytes += random_below(state, bytes);
    return bytes < largest ? bytes : largest;
}

static void operations(size_t count, size_t largest) {
    uint64_t state = random_seed(3);
    for (size_t i = 0; i < count && (i < count / 10 || !time_is_up(SECONDS)); i++) {
        struct block **slot = &slots[random_below(&state, SLOTS)];
        size_t bytes = spread_size(&state, largest);
        size_t kind = random_below(&state, 8);
        if (*slot != NULL && kind < 4) {
            CHECK((*slot)->seed == (uintptr_t)slot, "the block is damaged");
            free(*slot);
            *slot = NULL;
        } else if (*slot != NULL && kind < 6) {
            *slot = realloc(*slot, bytes);
        } else if (*slot == NULL) {
            *slot = kind == 7 ? memalign((size_t)4096 << (i & 7), bytes) : malloc(bytes);
        }
        if (*slot != NULL)
            (*slot)->seed = (uintptr_t)slot;
        else
            CHECK(kind < 4, "no memory for %zu bytes", bytes);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        free(slots[i]);
        slots[i] = NULL;
    }
}

static void stay_few(void) {
    operations(1000, 64 * MIB);
    size_t before = mapping_count();
    operations(400000 / SLOWNESS, 64 * MIB);
    size_t after = mapping_count();
    CHECK(after < before + 64, "%zu mappings, before %zu", after, before);
}

static size_t mappings_allowed(void) {
    char text[32] = {0};
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) > 0, "max_map_count");
    close(fd);
    return strtoul(text, NULL, 10);
}

/* Every other page is read-only, so that each is a mapping. */
static void use_up_mappings(size_t mappings) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, mappings * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED, "mmap");
    for (size_t i = 0; i < mappings; i += 2)
        CHECK(mprotect(pages + i * page, page, PROT_READ) == 0, "mprotect: %s", strerror(errno));
}

/* Returns the exit code. */
static int run_with_many(void) {
    size_t allowed = mappings_allowed();
    if (allowed > MANY) {
        printf("skipped: this system allows %zu mappings, too many to use up\n", allowed);
        return SKIPPED;
    }
    use_up_mappings(allowed - mapping_count() - SPARE);
    operations(100000 / SLOWNESS, 16 * MIB);
    uint64_t state = random_seed(8);
    for (size_t i = 0; i < 100000 / SLOWNESS && !time_is_up(2 * SECONDS); i++)
        block_delete(block_new(&state, random_size(&state)));

    /* None is left: what was freed can still be used again. */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct block *kept = block_new(&state, 10 * MIB);
    for (unsigned i = 0; mmap(NULL, page, i % 2 ? PROT_READ : PROT_NONE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;)
        i++;
    block_delete(kept);
    for (size_t i = 0; i < 10000 / SLOWNESS + 100; i++)
        block_delete(block_resize(&state, block_new(&state, random_below(&state, 9 * MIB)), 100));
    return 0;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: mappings count|many");
    if (strcmp(argv[1], "count") != 0)
        return run_with_many();
    stay_few();
    return 0;
}
