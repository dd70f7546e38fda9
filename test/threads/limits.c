/* Protects: the heap under limits of address space and data: a million mixed operations work; when
 * memory ends, NULL and ENOMEM say so, nothing that lives is damaged, and after freeing work goes
 * on (field cases 19, E1, D2).
 *
 * limits as|data MIB mixed|threads|BYTES|BYTES+: sets the limit and executes itself, so that the
 * heap starts under it. BYTES: takes all memory in blocks of that size, and again after freeing
 * them; with +, blocks of other sizes must be had then too. */
#include "check.h"

#include <sys/resource.h>

enum { OPERATIONS = 1000000 / SLOWNESS, SLOTS = 4096, THREADS = 4 };

static struct block *slots[SLOTS];

/* At most some 8 MiB live at once. */
static void mixed_operations(void) {
    uint64_t state = random_seed(1);
    for (size_t i = 0; i < OPERATIONS; i++) {
        struct block **slot = &slots[random_below(&state, SLOTS)];
        size_t bytes = random_below(&state, 64) == 0 ? random_below(&state, 100000)
                                                     : random_below(&state, 600);
        if (*slot == NULL) {
            *slot = block_new(&state, bytes);
        } else if (random_below(&state, 2) == 0) {
            *slot = block_resize(&state, *slot, random_below(&state, 900));
        } else {
            block_delete(*slot);
            *slot = NULL;
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (slots[i] != NULL)
            block_delete(slots[i]);
        slots[i] = NULL;
    }
}

static void *thread_operations(void *argument) {
    uint64_t state = random_seed((uintptr_t)argument);
    for (size_t i = 0; i < 20000 / SLOWNESS; i++)
        block_delete(block_new(&state, random_below(&state, 2000)));
    return NULL;
}

static void threads(void) {
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], &attributes, thread_operations, (void *)i) == 0,
              "pthread_create");
    for (size_t i = 0; i < THREADS; i++)
        thread_join(threads[i]);
}

struct chained {
    struct chained *next;
    size_t number;
    struct block block;
};

/* Allocates blocks of one size until there are no more. */
static void exhaust(size_t bytes, size_t limit) {
    struct chained *chain = NULL;
    size_t count = 0;
    for (;; count++) {
        errno = 0;
        struct chained *next = malloc(sizeof *next + bytes);
        if (next == NULL)
            break;
        next->next = chain;
        next->number = count;
        block_fill(&next->block, bytes, count);
        chain = next;
    }
    CHECK(errno == ENOMEM, "after %zu blocks of %zu: errno %d", count, bytes, errno);
    CHECK(count * bytes >= limit / 3, "only %zu blocks of %zu", count, bytes);
    errno = 0;
    CHECK(calloc(4, limit / 4) == NULL && errno == ENOMEM, "calloc: errno %d", errno);
    errno = 0;
    CHECK(realloc(chain, limit) == NULL && errno == ENOMEM, "realloc: errno %d", errno);
    errno = 0;
    CHECK(aligned_alloc(4096, limit) == NULL && errno == ENOMEM, "aligned_alloc: errno %d",
          errno);
    void *result = &count;
    CHECK(posix_memalign(&result, 4096, limit) == ENOMEM && result == &count, "posix_memalign");
    while (chain != NULL) {
        struct chained *next = chain->next;
        CHECK(chain->number == --count, "block %zu, not %zu", chain->number, count);
        block_check(&chain->block, bytes);
        free(chain);
        chain = next;
    }
    CHECK(count == 0, "%zu blocks are lost", count);
}

/* Executes the program again under the limit. */
static void limit_self(char **argv, int resource, size_t limit) {
    struct rlimit limits = {limit, limit};
    char *arguments[] = {argv[0], argv[1], argv[2], argv[3], (char *)"limited", NULL};
    CHECK(setrlimit(resource, &limits) == 0, "setrlimit");
    execv("/proc/self/exe", arguments);
    CHECK(false, "execv: %s", strerror(errno));
}

int main(int argc, char **argv) {
    CHECK(argc == 4 || argc == 5, "usage: limits as|data MIB mixed|threads|BYTES[+]");
    size_t limit = strtoul(argv[2], NULL, 10) * MIB;
    if (argc == 4)
        limit_self(argv, strcmp(argv[1], "as") == 0 ? RLIMIT_AS : RLIMIT_DATA, limit);
    size_t bytes = strtoul(argv[3], NULL, 10);
    for (int round = 0; round < 2 && bytes > 0; round++)
        exhaust(bytes, limit);
    if (strcmp(argv[3], "threads") == 0)
        threads();
    if (bytes == 0 || strchr(argv[3], '+') != NULL)
        mixed_operations();
    return 0;
}
