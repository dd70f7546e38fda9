/* Protects: the heap may be sampled, and sampling switched on and off, while other threads allocate
 * and free each other's blocks and profiles are written: contents stay, no profile is torn, and in
 * the end nothing lives that was sampled (field case H1).
 *
 * sampled [INTERVAL]    of one interval from the start, or of changing ones */
#include "check.h"

#include <sys/mman.h>

enum { THREADS = 4, SHELVES = 64, OPERATIONS = 200000 / SLOWNESS, REPORT_BYTES = 1 << 16 };

static struct block *shelves[SHELVES];
static int stop;

/* Whoever takes a block from a shelf checks it, and puts another there. */
static void *churn(void *number) {
    uint64_t state = random_seed((uintptr_t)number);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        struct block **shelf = &shelves[random_below(&state, SHELVES)];
        struct block *block = block_new(&state, random_size(&state));
        struct block *old = __atomic_exchange_n(shelf, block, __ATOMIC_ACQ_REL);
        if (old != NULL)
            block_delete(old);
    }
    return NULL;
}

/* The bytes that live, by the first line; every other line is whole. */
static size_t profiled_bytes(void) {
    static char text[REPORT_BYTES];
    size_t blocks = 0;
    size_t bytes = 0;
    int fd = memfd_create("profile", MFD_CLOEXEC);
    CHECK(slm_heap_profile(fd), "errno %d", errno);
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    CHECK(length > 0, "%zd", length);
    text[length] = 0;
    CHECK(sscanf(text, "heap profile: %zu: %zu [", &blocks, &bytes) == 2, "%.60s", text);
    CHECK(strstr(text, "\n\nMAPPED_LIBRARIES:\n") != NULL, "no mappings");
    for (char *line = strchr(text, '\n') + 1; *line != '\n'; line = strchr(line, '\n') + 1)
        CHECK(memchr(line, '@', (size_t)(strchr(line, '\n') - line)) != NULL, "%.60s", line);
    return bytes;
}

static void *change(void *unused) {
    static const char *const intervals[] = {"0", "1", "100", "64K", "0", "4096"};
    for (unsigned i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        CHECK(slm_option_set("sample", intervals[i % 6]), "errno %d", errno);
        profiled_bytes();
        usleep(200);
    }
    return unused;
}

static void delete_all(void) {
    for (unsigned i = 0; i < SHELVES; i++)
        if (shelves[i] != NULL)
            block_delete(shelves[i]);
}

int main(int count, char **arguments) {
    pthread_t threads[THREADS], changer;
    CHECK(slm_option_set("sample", count > 1 ? arguments[1] : "1"), "errno %d", errno);
    size_t before = profiled_bytes();
    if (count == 1)
        CHECK(pthread_create(&changer, NULL, change, NULL) == 0, "no thread");
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0, "no thread");
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    if (count == 1)
        pthread_join(changer, NULL);
    delete_all();
    CHECK(slm_option_set("sample", "0"), "errno %d", errno);
    /* glibc keeps some for the threads that there were. */
    size_t left = profiled_bytes() - before;
    CHECK(left <= THREADS * (64 << 10), "%zu bytes still live", left);
    CHECK(slm_check_heap(2), "the heap");
    return 0;
}
