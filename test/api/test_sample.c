/* Purpose: the heap profile, a sample of all allocations.
 *
 * Protects: the estimates are unbiased at every size, small beside the interval and large (H2:
 * within 5 %); what was freed is gone from what lives, to the byte; with an interval of 1, every
 * block of every way to allocate is counted, exactly; a sampled block is aligned, sized, resized
 * and diagnosed as any other; sampling may be switched on and off; a signal handler or a forked
 * child may allocate meanwhile (H1; threads_sampled has more). */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api.h"
#include "slabmalloc/slabmalloc.h"

/* operator new and delete, that end in no malloc. */
void *_Znwm(size_t size);
void _ZdlPv(void *pointer);

struct sums {
    size_t live_blocks, live_bytes, made_blocks, made_bytes;
};

static void set_sample(const char *bytes) { cr_assert(slm_option_set("sample", bytes)); }

static bool scan(const char *line, struct sums *sums) {
    return sscanf(line, "%zu: %zu [ %zu: %zu] @", &sums->live_blocks, &sums->live_bytes,
                  &sums->made_blocks, &sums->made_bytes) == 4;
}

/* The profile's totals, with which its stacks have to agree but for the rounding of each. */
static struct sums profile(void) {
    static char text[1 << 20];
    struct sums total = {0};
    struct sums sum = {0};
    struct sums one;
    size_t stacks = 0;
    int fd = memfd_create("profile", MFD_CLOEXEC);
    cr_assert(slm_heap_profile(fd));
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    cr_assert(length > 0 && length < (ssize_t)sizeof text - 1);
    text[length] = 0;
    cr_assert(strncmp(text, "heap profile: ", 14) == 0 && scan(text + 14, &total), "%.80s", text);
    cr_assert_not_null(strstr(text, "] @ heapprofile\n"));
    cr_assert_not_null(strstr(text, "\nMAPPED_LIBRARIES:\n"));
    cr_assert_not_null(strstr(text, "libslabmalloc.so"), "the mappings");
    for (char *line = strchr(text, '\n') + 1; *line != '\n'; line = strchr(line, '\n') + 1) {
        cr_assert(scan(line, &one), "%.80s", line);
        cr_assert_not_null(strstr(line, "@ 0x"));
        sum.live_blocks += one.live_blocks;
        sum.live_bytes += one.live_bytes;
        sum.made_blocks += one.made_blocks;
        sum.made_bytes += one.made_bytes;
        stacks++;
    }
    cr_assert_eq(sum.live_bytes, total.live_bytes);
    cr_assert_eq(sum.made_bytes, total.made_bytes);
    cr_assert_leq(sum.live_blocks, total.live_blocks + stacks);
    cr_assert_leq(total.made_blocks, sum.made_blocks + stacks);
    return total;
}

/* What has come between two profiles. */
static struct sums since(struct sums before) {
    struct sums now = profile();
    return (struct sums){now.live_blocks - before.live_blocks, now.live_bytes - before.live_bytes,
                         now.made_blocks - before.made_blocks, now.made_bytes - before.made_bytes};
}

#define WITHIN(part, estimate, truth)                                                              \
    cr_assert((double)(estimate) > (1 - (part)) * (double)(truth) &&                               \
                  (double)(estimate) < (1 + (part)) * (double)(truth),                             \
              "%s: %zu for %zu", #estimate, (size_t)(estimate), (size_t)(truth))

/* --- estimates ---- */

/* 16384 samples of each size, or each block: the standard deviation is below 0.8 %. */
Test(sample, estimates_are_right_at_every_size) {
    static const size_t sizes[] = {16, 100, 1000, 4096, 5000, 40000, 300000, 4000000};
    enum { TOTAL = 64 << 20, BLOCKS_MAX = TOTAL / 16 };
    void **blocks = mmap(NULL, BLOCKS_MAX * sizeof *blocks, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t count = TOTAL / sizes[s];
        set_sample("4096");
        struct sums before = profile();
        for (size_t i = 0; i < count; i++)
            blocks[i] = malloc(sizes[s]);
        struct sums grown = since(before);
        WITHIN(0.05, grown.live_bytes, count * sizes[s]);
        WITHIN(0.05, grown.live_blocks, count);
        cr_assert_eq(grown.live_bytes, grown.made_bytes);
        for (size_t i = 0; i < count; i += 2)
            free(blocks[i]);
        WITHIN(0.05, since(before).live_bytes, count * sizes[s] / 2);
        for (size_t i = 1; i < count; i += 2)
            free(blocks[i]);
        cr_assert_eq(since(before).live_bytes, 0);
        cr_assert_eq(since(before).live_blocks, 0);
        cr_assert_eq(since(before).made_bytes, grown.made_bytes);
        set_sample("0");
    }
}

/* The samples of blocks that are freed at once, too: each serves the next. */
Test(sample, estimates_do_not_depend_on_reuse) {
    enum { COUNT = 1000000, BYTES = 64 };
    set_sample("4096");
    struct sums before = profile();
    for (size_t i = 0; i < COUNT; i++)
        free(hidden(malloc(BYTES)));
    struct sums grown = since(before);
    WITHIN(0.05, grown.made_bytes, COUNT * BYTES);
    cr_assert_eq(grown.live_bytes, 0);
}

/* --- every block ---- */

static void must_count(const char *how, struct sums grown, size_t blocks, size_t bytes) {
    cr_assert_eq(grown.live_bytes, bytes, "%s: %zu bytes, not %zu", how, grown.live_bytes, bytes);
    cr_assert_eq(grown.live_blocks, blocks, "%s: %zu blocks, not %zu", how, grown.live_blocks,
                 blocks);
}

Test(sample, with_an_interval_of_1_every_way_to_allocate_counts) {
    void *aligned;
    set_sample("1");
    free(hidden(malloc(1))); /* whatever profile() needs at first */
    profile();
    for (size_t size = 1; size < 3000000; size = size * 3 + 5) {
        struct sums before = profile();
        void *blocks[] = {malloc(size),         calloc(1, size),   realloc(NULL, size),
                          aligned_alloc(16, size), _Znwm(size),       memalign(4096, size),
                          reallocarray(NULL, 1, size), valloc(size)};
        cr_assert_eq(posix_memalign(&aligned, 64, size), 0);
        must_count("allocated", since(before), 9, 9 * size);
        for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
            i == 4 ? _ZdlPv(blocks[i]) : free(blocks[i]);
        free(aligned);
        must_count("freed", since(before), 0, 0);
    }
}

Test(sample, a_resized_block_counts_as_what_it_is) {
    static const size_t sizes[] = {10, 100, 5000, 200000, 300000, 9000000, 250000, 6000, 20};
    set_sample("1");
    struct sums before = profile();
    unsigned char *block = NULL;
    size_t old = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = realloc(block, sizes[i]);
        for (size_t at = 0; at < old && at < sizes[i]; at++)
            cr_assert_eq(block[at], (unsigned char)(at * 7), "byte %zu of %zu", at, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            block[at] = (unsigned char)(at * 7);
        must_count("resized", since(before), 1, sizes[i]);
        old = sizes[i];
    }
    free(block);
    must_count("freed", since(before), 0, 0);
}

Test(sample, a_sampled_block_has_the_size_and_alignment_of_any_other) {
    for (size_t size = 0; size < 140000; size += size < 2100 ? 1 : 997) {
        set_sample("0");
        void *plain = malloc(size);
        void *plain_aligned = memalign(256, size);
        set_sample("1");
        void *sampled = malloc(size);
        void *sampled_aligned = memalign(256, size);
        cr_assert_eq(malloc_usable_size(sampled), malloc_usable_size(plain), "%zu", size);
        cr_assert_eq(malloc_usable_size(sampled_aligned), malloc_usable_size(plain_aligned), "%zu",
                     size);
        cr_assert(is_aligned(sampled, 16) && is_aligned(sampled_aligned, 256));
        memset(sampled, 1, malloc_usable_size(sampled));
        free(plain);
        free(plain_aligned);
        free(sampled);
        free(sampled_aligned);
    }
    cr_assert(slm_check_heap(2));
}

Test(sample, calloc_is_zero) {
    set_sample("1");
    for (int round = 0; round < 3; round++)
        for (size_t size = 1; size < 1000000; size = size * 2 + 3) {
            unsigned char *block = calloc(1, size);
            for (size_t i = 0; i < size; i++)
                cr_assert_eq(block[i], 0, "byte %zu of %zu", i, size);
            memset(block, 0xff, malloc_usable_size(block));
            free(block);
        }
}

static unsigned heard;
static void hear(const struct slm_error *error, void *context) {
    (void)error, (void)context;
    heard++;
}

Test(sample, a_bad_free_of_a_sampled_block_is_told) {
    static const struct slm_error_handler handler = {hear, NULL};
    set_sample("1");
    cr_assert(slm_option_set("on_error", "ignore"));
    slm_set_error_handler(&handler);
    char *block = hidden(malloc(100));
    free(hidden(block + 16));
    cr_assert_eq(heard, 1, "interior");
    struct sums before = profile();
    free(block);
    cr_assert_eq(heard, 1);
    free(hidden(block));
    cr_assert_eq(heard, 2, "double");
    must_count("once", since(before), (size_t)-1, (size_t)-100);
}

/* --- on and off ---- */

Test(sample, off_is_nothing_and_what_was_sampled_is_known) {
    set_sample("1");
    struct sums before = profile();
    void *sampled = malloc(1000);
    set_sample("0");
    void *other = malloc(1000);
    void *made = _Znwm(1000);
    must_count("off", since(before), 1, 1000);
    free(other);
    _ZdlPv(made);
    must_count("off", since(before), 1, 1000);
    free(sampled);
    must_count("freed", since(before), 0, 0);
    set_sample("1");
    void *again = _Znwm(48);
    must_count("on again", since(before), 1, 48);
    _ZdlPv(again);
}

Test(sample, what_is_wrong_is_told) {
    errno = 0;
    cr_assert_not(slm_heap_profile(1));
    cr_assert_eq(errno, ENODATA, "sampling was never on");
    cr_assert_not(slm_option_set("sample", "often"));
    cr_assert_eq(errno, EINVAL);
    cr_assert_not(slm_option_set("profile", "file"));
    cr_assert_eq(errno, EPERM);
    set_sample("512K");
    errno = 0;
    cr_assert_not(slm_heap_profile(-1));
    cr_assert_eq(errno, EBADF);
    int pipe_ends[2];
    cr_assert_eq(pipe(pipe_ends), 0);
    close(pipe_ends[0]);
    cr_assert_not(slm_heap_profile(pipe_ends[1]), "nobody reads");
    cr_assert_eq(errno, EPIPE);
}

/* --- threads, signals, fork ---- */

enum { THREADS = 4, SLOTS = 200, OPERATIONS = 200000 / (SLM_TORTURE ? 10 : 1) };

static void *churn(void *number) {
    uint64_t state = 0x9e3779b97f4a7c15u * ((uintptr_t)number + 1);
    void *slots[SLOTS] = {NULL};
    for (unsigned i = 0; i < OPERATIONS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        void **slot = &slots[(state >> 33) % SLOTS];
        size_t size = (size_t)1 << (state >> 40) % 18;
        if ((state >> 60) == 0)
            *slot = realloc(*slot, size);
        else {
            free(*slot);
            *slot = (state >> 59 & 1) != 0 ? malloc(size) : calloc(1, size);
        }
        memset(*slot, 1, size);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        free(slots[i]);
    return NULL;
}

/* Builds that check the order of locks do not expect handlers inside of them. */
#if HANDLERS_ALLOCATE
static void run_threads(void) {
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void allocate_in_handler(int number) {
    (void)number;
    free(hidden(malloc(100)));
    free(hidden(malloc(5000)));
}

Test(sample, a_signal_handler_may_allocate_meanwhile, .timeout = 60) {
    struct sigaction action = {.sa_flags = SA_RESTART};
    struct itimerval often = {{0, 300}, {0, 300}};
    struct itimerval never = {{0, 0}, {0, 0}};
    action.sa_handler = allocate_in_handler;
    set_sample("64");
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    run_threads();
    setitimer(ITIMER_REAL, &never, NULL);
    cr_assert(slm_check_heap(2));
}
#endif

Test(sample, a_forked_child_goes_on, .timeout = 60) {
    set_sample("1");
    struct sums before = profile();
    void *block = malloc(1000);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, churn, NULL), 0);
    for (unsigned i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            free(block);
            void *own = malloc(77);
            struct sums now = profile();
            free(own);
            _exit(now.live_bytes - profile().live_bytes == 77 ? 0 : 1);
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "child %u: %x", i, status);
    }
    pthread_join(thread, NULL);
    cr_assert_geq(since(before).live_bytes, 1000);
    free(block);
}
