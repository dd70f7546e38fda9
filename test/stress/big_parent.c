/* Purpose: children of a process with a large heap. Protects: a child that only reads copies next
 * to nothing (field case C8: under 5 MiB of private dirty memory more than a child that does
 * nothing), whichever thread allocated and also when that thread vanished in the fork; fork and
 * exec never fail for want of memory, and the reserved addresses are not charged (field case C9).
 *
 * big_parent cow|cow_nothp|exec MIB: that much in small blocks. What a child copies that allocates
 * 1000 blocks, or frees as many, is printed. */
#include <sys/prctl.h>

#include "smaps.h"

enum { EXECS = 100, SOME = 1000 };

/* 5 MiB is the bound for some GiB. The headers alone of 256 MiB are less: stricter there. */
static size_t dirty_most;

static unsigned char **blocks; /* the first half by main, the second by a thread that stays */
static size_t block_count;
static pthread_barrier_t barrier;

/* 16 .. 1024 bytes, the same for the same number. */
static size_t bytes_of(size_t number) { return 16 + (number * 2654435761u >> 7) % 1009; }

static void fill(size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        blocks[i] = malloc(bytes_of(i));
        CHECK(blocks[i] != NULL, "malloc(%zu)", bytes_of(i));
        memset(blocks[i], (int)(i % 251), bytes_of(i));
    }
    for (size_t i = from; i < to; i += 8) { /* a heap with holes */
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void *fill_half_and_stay(void *unused) {
    (void)unused;
    fill(block_count / 2, block_count);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* vanishes in every child */
    return NULL;
}

static void in_idle(void) {}

static void in_reader(void) {
    for (size_t i = 0; i < block_count; i++)
        for (size_t at = 0; blocks[i] != NULL && at < bytes_of(i); at += 16)
            CHECK(blocks[i][at] == i % 251, "block %zu, byte %zu", i, at);
}

static void in_allocator(void) {
    for (size_t i = 0; i < SOME; i++)
        memset(malloc(bytes_of(i)), 1, bytes_of(i));
}

static void in_freer(void) {
    size_t freed = 0;
    for (size_t i = 0; freed < SOME; i += block_count / SOME / 2) {
        free(blocks[i]);
        freed += blocks[i] != NULL;
        blocks[i] = NULL;
    }
}

/* Private dirty bytes of a child that did that. */
static size_t dirty_in_child(void (*act)(void), const char *what) {
    int ends[2];
    size_t dirty = 0;
    CHECK(pipe(ends) == 0, "pipe");
    pid_t child = child_fork();
    if (child == 0) {
        act();
        dirty = smaps_total("Private_Dirty:");
        CHECK(write(ends[1], &dirty, sizeof dirty) == sizeof dirty, "write");
        _exit(0);
    }
    close(ends[1]);
    bool told = read(ends[0], &dirty, sizeof dirty) == sizeof dirty;
    close(ends[0]);
    child_wait(child, what);
    CHECK(told, "%s told no number", what);
    printf("%-34s %8zu KiB private dirty\n", what, dirty >> 10);
    return dirty;
}

static void cow(void) {
    size_t idle = dirty_in_child(in_idle, "a child that does nothing");
    size_t reader = dirty_in_child(in_reader, "a child that reads all blocks");
    dirty_in_child(in_allocator, "a child that allocates 1000 blocks");
    dirty_in_child(in_freer, "a child that frees 1000 blocks");
    CHECK(reader <= idle + dirty_most, "reading copied %zu bytes", reader - idle);
    CHECK(idle <= dirty_most, "doing nothing copied %zu bytes", idle);
}

static void fork_and_exec(void) {
    size_t all;
    size_t charge = commit_charge(&all);
    size_t touched = smaps_total("Rss:");
    printf("%zu MiB mapped or reserved, %zu MiB charged, %zu MiB resident\n", all >> 20,
           charge >> 20, touched >> 20);
    CHECK(charge <= touched + touched / 4 + 96 * MIB, "charged %zu for %zu", charge, touched);
    for (size_t i = 0; i < EXECS; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork %zu: %s", i, strerror(errno));
        if (child == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(errno == ENOENT ? 0 : 1); /* it is the fork that counts */
        }
        child_wait(child, "a program after fork");
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "usage: big_parent cow|cow_nothp|exec MIB");
    size_t mib = number_argument(argv[2]);
    if (strcmp(argv[1], "cow_nothp") == 0 && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0)
        SKIP("PR_SET_THP_DISABLE: %s", strerror(errno));
    if ((size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) < mib * 3 / 2 * MIB)
        SKIP("less than %zu MiB of memory to be had", mib * 3 / 2);
    smaps_total("Private_Dirty:");
    dirty_most = mib >= 1280 ? 5 * MIB : MIB;

    block_count = mib * MIB / 520 / SLOWNESS;
    blocks = map_table(block_count * sizeof *blocks);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_t thread = thread_start(fill_half_and_stay, NULL);
    fill(0, block_count / 2);
    pthread_barrier_wait(&barrier);
    if (strcmp(argv[1], "exec") == 0)
        fork_and_exec();
    else
        cow();
    pthread_barrier_wait(&barrier);
    thread_join(thread);
    return 0;
}
