/* Purpose: the heap in a process that locks its memory.
 *
 * Protects: under mlockall(MCL_CURRENT | MCL_FUTURE), before the heap's first use or after it, the
 * heap starts, does not make its reservation resident, and works; memory given back, which the
 * system refuses for locked pages, does not count as zero (field cases 13, E8). With little memory
 * to lock, what is refused is refused with ENOMEM.
 *
 * locked_memory before|after|little */
#include "hostile.h"

#include <sys/resource.h>

enum { OPERATIONS = 8000 / SLOWNESS, NOBODY = 65534 };

#define RESIDENT_MAX (160 * MIB)
#define LITTLE_MAX (64 * MIB)
#define PROBE (1024 * MIB)

static int locked_error = -1;
static size_t little;

static void lock_all(int flags) { locked_error = syscall(SYS_mlockall, flags) == 0 ? 0 : errno; }

/* As preinit functions, these run before every constructor. */
static void lock_early(int argc, char **argv, char **environment) {
    (void)environment;
    if (argc == 2 && strcmp(argv[1], "before") == 0)
        lock_all(MCL_CURRENT | MCL_FUTURE);
    if (argc == 2 && strcmp(argv[1], "little") == 0) {
        /* Raw calls: libc is not to have run. The limit may be less already; root has none. */
        struct rlimit limit = {LITTLE_MAX, LITTLE_MAX};
        syscall(SYS_setrlimit, RLIMIT_MEMLOCK, &limit);
        syscall(SYS_getrlimit, RLIMIT_MEMLOCK, &limit);
        little = limit.rlim_cur;
        syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY);
        lock_all(MCL_FUTURE);
    }
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) = lock_early;

/* As much as there is to lock, block by block; then it must be told, and be had again. */
static void exhaust(size_t bytes) {
    void **chain = NULL;
    size_t count = 0, again = 0;
    for (int round = 0; round < 2; round++) {
        size_t *counter = round == 0 ? &count : &again;
        for (;; ++*counter) {
            errno = 0;
            void **next = malloc(bytes);
            if (next == NULL)
                break;
            memset(next, 1, bytes);
            *next = chain;
            chain = next;
            CHECK(*counter < 2 * little / bytes, "more than may be locked");
        }
        CHECK(errno == ENOMEM, "errno %d", errno);
        while (chain != NULL) {
            void **next = *chain;
            free(chain);
            chain = next;
        }
        malloc_trim(0);
    }
    CHECK(count * bytes >= little / 16, "only %zu blocks of %zu of %zu", count, bytes, little);
    /* A block may cost a page of its own where there is no room for a slab. */
    CHECK(again >= count - count / 8, "%zu blocks of %zu, then %zu", count, bytes, again);
    printf("%zu KiB in blocks of %zu\n", count * bytes >> 10, bytes);
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: locked_memory before|after|little");
    setvbuf(stdout, NULL, _IONBF, 0);
    if (strcmp(argv[1], "after") == 0)
        lock_all(MCL_CURRENT | MCL_FUTURE);
    if (locked_error != 0)
        SKIP("mlockall: %s", strerror(locked_error));
    if (strcmp(argv[1], "little") == 0) {
        if (little > LITTLE_MAX)
            SKIP("the limit of locked memory could not be set");
        exhaust(1000);
        exhaust(20000);
        exhaust(500000);
        return 0;
    }
    void *probe = mmap(NULL, PROBE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (probe == MAP_FAILED)
        SKIP("only little memory may be locked, which is another case: %s", strerror(errno));
    munmap(probe, PROBE);
    CHECK(rss_bytes() < RESIDENT_MAX, "%zu bytes are resident at the start", rss_bytes());
    zero_check_all();
    workout(1, OPERATIONS);
    workout_end();
    zero_check_all();
    CHECK(rss_bytes() < 2 * RESIDENT_MAX, "%zu bytes are resident", rss_bytes());
    return 0;
}
