/* Protects: the parts of check/ by themselves, and the way of a block through them, in builds
 * without the override too (the sanitizers'): exact sizes, reuse of slabs by other classes, blocks
 * from before checks began, quarantine's order and limit, stacks entered once. What a program sees
 * is in test/check. */
#include "../expect.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "cache/hot.h"
#include "check/check.h"
#include "check/fill.h"
#include "check/quarantine.h"
#include "check/record.h"
#include "check/stacks.h"
#include "core/options.h"
#include "heap/heap.h"
#include "slab/zone.h"
#include "slabmalloc/slabmalloc.h"

static void start(const char *options) {
    TEXT(complaints, 256);
    options_parse(options, &complaints);
    EXPECT_EQ(complaints.used, 0);
    heap_set_up();
    heap_start_checks();
    EXPECT_EQ(check_active, 1);
}

/* The processor that is so many behind the first, of those that there are for this process. */
static void stay_on(unsigned number) {
    cpu_set_t all, one;
    EXPECT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    number %= (unsigned)CPU_COUNT(&all);
    CPU_ZERO(&one);
    for (unsigned cpu = 0; CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all) && number-- == 0)
            CPU_SET(cpu, &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
}

static void expect_finding(enum fault fault, const void *block, size_t offset) {
    struct check_finding finding;
    EXPECT(check_take(&finding));
    EXPECT_EQ(finding.fault, fault);
    EXPECT_EQ(finding.start, (uintptr_t)block);
    EXPECT_EQ(finding.offset, offset);
    EXPECT(!check_take(&finding));
}

static void expect_nothing(void) {
    struct check_finding finding;
    EXPECT(!check_take(&finding));
}

Test(check, is_off_without_an_option) {
    EXPECT(!check_start());
    EXPECT_EQ(check_active, 0);
}

Test(check, a_canary_has_no_zero_byte_and_finds_each_changed_one) {
    static _Alignas(16) unsigned char room[64];
    struct damage damage;
    for (size_t bytes = 0; bytes <= sizeof room; bytes++) {
        canary_write((uintptr_t)room, bytes, sizeof room);
        EXPECT_AT(canary_verify((uintptr_t)room, bytes, sizeof room, &damage), bytes);
        for (size_t at = bytes; at < sizeof room; at++) {
            unsigned char kept = room[at];
            EXPECT_AT(kept != 0, at);
            room[at] = 0;
            EXPECT_AT(!canary_verify((uintptr_t)room, bytes, sizeof room, &damage), at);
            EXPECT_EQ(damage.offset, at);
            EXPECT_EQ(damage.count, 1);
            room[at] = kept;
        }
    }
}

Test(check, a_fill_finds_the_first_and_the_last_changed_byte) {
    static _Alignas(16) unsigned char room[64];
    struct damage damage;
    memset(room, 0xdf, sizeof room);
    EXPECT(fill_verify((uintptr_t)room, sizeof room, 0xdf, &damage));
    room[13] = 1;
    room[20] = 2;
    EXPECT(!fill_verify((uintptr_t)room, sizeof room, 0xdf, &damage));
    EXPECT_EQ(damage.offset, 13);
    EXPECT_EQ(damage.count, 8);
    EXPECT_EQ(damage.byte, 1);
}

Test(check, every_size_is_told_exactly_and_each_next_byte_found) {
    start("canary=on");
    for (size_t bytes = 0; bytes < 200000; bytes += bytes / 7 + 1) {
        enum fault fault;
        unsigned char *block = heap_malloc(bytes);
        memset(block, 1, bytes);
        EXPECT_AT(heap_usable(block, &fault) == bytes, bytes);
        EXPECT_EQ(heap_free(block), FAULT_NONE);
        expect_nothing();
        block = heap_malloc(bytes);
        block[bytes]++;
        EXPECT_EQ(heap_free(block), FAULT_NONE);
        expect_finding(FAULT_OVERFLOW, block, bytes);
    }
}

Test(check, a_block_from_before_is_not_known_and_works) {
    enum fault fault;
    char *before[3] = {slm_malloc(100), slm_malloc(5000), slm_malloc(300000)};
    void *freed = slm_malloc(100);
    slm_free(freed);
    for (size_t i = 0; i < 3; i++)
        memset(before[i], 3, 100);
    start("canary=on,junk=on,quarantine=1M,check_kinds=on,history=on");
    EXPECT(cache_self == &cache_dead);
    EXPECT_EQ(heap_usable(before[0], &fault), 112);
    EXPECT_EQ(check_facts_of((uintptr_t)before[0]).state, CHECK_UNKNOWN);
    for (size_t i = 0; i < 3; i++) {
        char *moved = heap_realloc(before[i], 400000, &fault);
        EXPECT(moved != NULL && fault == FAULT_NONE && moved[0] == 3 && moved[99] == 3);
        EXPECT_EQ(heap_usable(moved, &fault), 400000);
        EXPECT_EQ(heap_free(before[i]), FAULT_DOUBLE_FREE);
        EXPECT_EQ(heap_free(moved), FAULT_NONE);
        EXPECT_EQ(heap_free(moved), FAULT_DOUBLE_FREE);
    }
    EXPECT_EQ(heap_free(freed), FAULT_DOUBLE_FREE);
    expect_nothing();
}

static char *of_thread[2];
static pthread_barrier_t turns;

static void *live_before(void *unused) {
    of_thread[0] = slm_malloc(100);
    pthread_barrier_wait(&turns);
    pthread_barrier_wait(&turns); /* checks have begun */
    of_thread[1] = slm_malloc(100); /* by the hot path: not known */
    slm_free(slm_malloc(100000));
    slm_free(slm_malloc(100000)); /* by the slow one, at the latest */
    return unused;
}

Test(check, a_thread_from_before_joins_when_it_comes_by) {
    pthread_t thread;
    pthread_barrier_init(&turns, NULL, 2);
    pthread_create(&thread, NULL, live_before, NULL);
    pthread_barrier_wait(&turns);
    start("canary=on,quarantine=1M,junk=on");
    pthread_barrier_wait(&turns);
    pthread_join(thread, NULL);
    EXPECT_EQ(heap_free(of_thread[0]), FAULT_NONE);
    EXPECT_EQ(heap_free(of_thread[1]), FAULT_NONE);
    EXPECT_EQ(heap_free(of_thread[1]), FAULT_DOUBLE_FREE);
    expect_nothing();
}

struct taker {
    unsigned number, row;
    void *block;
};

static void *take_there(void *context) {
    struct taker *taker = context;
    stay_on(taker->number);
    taker->row = common_row();
    taker->block = heap_malloc(100);
    return NULL;
}

/* The block of a taker who has come back to his processor is the one that another has freed. */
Test(check, threads_take_from_the_rows_of_their_processors_and_blocks_go_back_there) {
    struct taker takers[3] = {{0, 0, NULL}, {1, 0, NULL}, {0, 0, NULL}};
    pthread_t thread;
    start("check_kinds=on");
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ(pthread_create(&thread, NULL, take_there, &takers[i]), 0);
        EXPECT_EQ(pthread_join(thread, NULL), 0);
        uintptr_t owner = zone_find((uintptr_t)takers[i].block)->owner;
        EXPECT_EQ(owner, (uintptr_t)&common_of_row(takers[i].row, 0)->cache);
        if (i == 1)
            EXPECT_EQ(heap_free(takers[0].block), FAULT_NONE);
    }
    if (takers[2].row == takers[0].row)
        EXPECT_EQ(takers[2].block, takers[0].block);
    EXPECT_EQ(heap_free(takers[0].block),
              takers[2].block == takers[0].block ? FAULT_NONE : FAULT_DOUBLE_FREE);
    EXPECT_EQ(heap_free(takers[1].block), FAULT_NONE);
    expect_nothing();
}

/* A slab that is given back, purged and formatted anew holds no promise of its former life. */
Test(check, a_slab_of_another_life_has_other_records) {
    enum { BLOCKS = 3000 };
    static void *blocks[BLOCKS];
    start("junk=on,canary=on,history=on");
    for (unsigned round = 0; round < 8; round++) {
        size_t bytes = round / 2 % 2 ? 1000 : 500; /* the same class, then another */
        for (size_t i = 0; i < BLOCKS; i++)
            memset(blocks[i] = heap_malloc(bytes), (int)i, bytes);
        for (size_t i = 0; i < BLOCKS; i++)
            EXPECT_EQ(heap_free(blocks[i]), FAULT_NONE);
        heap_trim(); /* what was filled is zero from here */
        expect_nothing();
    }
}

Test(check, a_write_after_free_is_found_at_reuse_without_a_quarantine) {
    stay_on(0); /* or the slot may be of another processor's slab */
    start("zero_on_free=on");
    char *block = heap_malloc(90);
    EXPECT_EQ(heap_free(block), FAULT_NONE);
    block[17] = 5;
    EXPECT(heap_malloc(90) == block); /* the lowest slot */
    expect_finding(FAULT_WRITE_AFTER_FREE, block, 17);
}

Test(check, quarantine_keeps_to_its_limit_and_loses_nothing) {
    static bool out[5000];
    size_t inside = 0;
    check_policy.quarantine_bytes = 64 << 10;
    heap_set_up();
    EXPECT(!quarantine_put((struct kept){.start = 16, .room = (64 << 10) + 1}));
    for (uintptr_t i = 1; i < 5000; i++) {
        EXPECT(quarantine_put((struct kept){.start = i, .room = 100}));
        inside++;
        for (uintptr_t gone; (gone = quarantine_take(false).start) != 0; inside--) {
            EXPECT_AT(gone < i && !out[gone], gone);
            out[gone] = true;
        }
        EXPECT_AT(inside * 100 <= 64 << 10, i);
    }
    EXPECT(inside > 600);
    for (uintptr_t gone; (gone = quarantine_take(true).start) != 0; inside--)
        out[gone] = true;
    EXPECT_EQ(inside, 0);
    for (uintptr_t i = 1; i < 5000; i++)
        EXPECT_AT(out[i], i);
}

/* With more than one thread, rows count what they keep now and then only: 1/64 of the limit
 * each. */
enum { LIMIT = 64 << 10, ROOM = 100, KEEPERS = 4, EACH = 20000 };
static uint8_t times_out[KEEPERS * EACH];

static size_t limit_of_all(void) {
    long rows = sysconf(_SC_NPROCESSORS_CONF);
    return LIMIT + (size_t)(rows > ROWS_BY_THREAD ? rows : ROWS_BY_THREAD) * (LIMIT / 64 + ROOM);
}

static void *keep(void *index) {
    uintptr_t first = (uintptr_t)index * EACH;
    for (uintptr_t i = first; i < first + EACH; i++) {
        EXPECT(quarantine_put((struct kept){.start = i + 1, .room = ROOM}));
        for (uintptr_t gone; (gone = quarantine_take(false).start) != 0;)
            EXPECT_AT(__atomic_fetch_add(&times_out[gone - 1], 1, __ATOMIC_RELAXED) == 0, gone);
    }
    return NULL;
}

static bool count_kept(uintptr_t start, void *context) {
    EXPECT_AT(times_out[start - 1] == 0, start);
    ++*(size_t *)context;
    return true;
}

static size_t in_quarantine(void) {
    size_t count = 0;
    heap_lock_all();
    quarantine_walk(count_kept, &count);
    heap_unlock_all();
    return count;
}

static void take_all(void) {
    for (uintptr_t gone; (gone = quarantine_take(true).start) != 0;)
        EXPECT_AT(times_out[gone - 1]++ == 0, gone);
}

Test(check, threads_share_the_quarantine_and_lose_nothing) {
    pthread_t threads[KEEPERS];
    heap_set_up();
    check_policy.quarantine_bytes = LIMIT;
    for (uintptr_t i = 0; i < KEEPERS; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, keep, (void *)i), 0);
    for (unsigned i = 0; i < KEEPERS; i++)
        EXPECT_EQ(pthread_join(threads[i], NULL), 0);
    size_t kept = in_quarantine() * ROOM;
    EXPECT_AT(kept > LIMIT / 2 && kept <= limit_of_all(), kept);
    take_all();
    EXPECT_EQ(in_quarantine(), 0);
    for (size_t i = 0; i < KEEPERS * EACH; i++)
        EXPECT_AT(times_out[i] == 1, i);
}

static void *keep_as_much_as_may_be(void *context) {
    (void)context;
    stay_on(0);
    for (uintptr_t i = 0; i < LIMIT / ROOM; i++)
        EXPECT(quarantine_put((struct kept){.start = i + 1, .room = ROOM}));
    return NULL;
}

static void *keep_after_others(void *context) {
    enum { FIRST = LIMIT / ROOM, COUNT = 8 * FIRST };
    size_t *own = context;
    stay_on(1);
    for (uintptr_t i = FIRST; i < COUNT; i++) {
        EXPECT(quarantine_put((struct kept){.start = i + 1, .room = ROOM}));
        for (uintptr_t gone; (gone = quarantine_take(false).start) != 0;)
            times_out[gone - 1]++;
    }
    for (uintptr_t i = FIRST; i < COUNT; i++)
        *own += times_out[i] == 0;
    return NULL;
}

/* A thread elsewhere that sleeps with all of it leaves to the one that goes on half of its share,
 * at least: of two rows, a quarter. */
Test(check, what_a_thread_kept_makes_room_for_anothers) {
    pthread_t thread;
    size_t own = 0;
    heap_set_up();
    check_policy.quarantine_bytes = LIMIT;
    EXPECT_EQ(pthread_create(&thread, NULL, keep_as_much_as_may_be, NULL), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    EXPECT_EQ(pthread_create(&thread, NULL, keep_after_others, &own), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    EXPECT_AT(own * ROOM >= LIMIT / 4 - 2 * (LIMIT / 64 + ROOM), own);
    EXPECT_AT(in_quarantine() * ROOM <= limit_of_all(), own);
    take_all();
}

Test(check, a_stack_is_entered_once) {
    enum { STACKS = 5000 };
    heap_set_up();
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < STACKS; i++) {
            struct trace trace = {2, {0x1000, 0x2000 + i}};
            EXPECT_AT(stacks_enter(&trace) == i + 1, i);
        }
    }
    for (unsigned i = 0; i < STACKS; i++) {
        unsigned depth;
        const uintptr_t *frames = stacks_get(i + 1, &depth);
        EXPECT_AT(depth == 2 && frames[0] == 0x1000 && frames[1] == 0x2000 + i, i);
    }
    unsigned depth;
    EXPECT(stacks_get(0, &depth) == NULL && stacks_get(STACKS + 1, &depth) == NULL);
}

enum { ENTERED = 20000, ENTERERS = 4 };

/* Each stack's number is that of the same frames, whoever was first. */
static void *enter_stacks(void *context) {
    uint32_t *numbers = context;
    for (unsigned i = 0; i < ENTERED; i++) {
        struct trace trace = {2, {0x1000 + i, 0x2000}};
        unsigned depth;
        numbers[i] = stacks_enter(&trace);
        const uintptr_t *frames = stacks_get(numbers[i], &depth);
        EXPECT_AT(frames != NULL && depth == 2 && frames[0] == 0x1000 + i, i);
    }
    return NULL;
}

Test(check, a_stack_that_threads_enter_at_once_has_one_number) {
    static uint32_t numbers[ENTERERS][ENTERED];
    pthread_t threads[ENTERERS];
    heap_set_up();
    for (unsigned i = 0; i < ENTERERS; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, enter_stacks, numbers[i]), 0);
    for (unsigned i = 0; i < ENTERERS; i++)
        EXPECT_EQ(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 1; i < ENTERERS; i++)
        EXPECT(memcmp(numbers[0], numbers[i], sizeof numbers[0]) == 0);
}

Test(check, realloc_keeps_contents_and_size_in_all_zones) {
    enum fault fault;
    start("canary=on,junk=on,quarantine=1M,random=on");
    size_t bytes = 10;
    unsigned char *block = heap_malloc(bytes);
    memset(block, 9, bytes);
    static const size_t sizes[] = {20,   24,    100,    101,    1016,   1017,  5000, 131064, 131065,
                                   7000, 300000, 900000, 800000, 400000, 10000, 50,   1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        block = heap_realloc(block, sizes[i], &fault);
        EXPECT_AT(block != NULL && heap_usable(block, &fault) == sizes[i], sizes[i]);
        size_t kept = bytes < sizes[i] ? bytes : sizes[i];
        for (size_t at = 0; at < kept; at++)
            EXPECT_AT(block[at] == 9, at);
        bytes = sizes[i];
        memset(block, 9, bytes);
    }
    EXPECT_EQ(heap_free(block), FAULT_NONE);
    expect_nothing();
    struct violation violation;
    EXPECT(heap_verify(&violation));
}

static void *churn(void *unused) {
    void *blocks[100] = {0};
    for (unsigned i = 0; i < 20000; i++) {
        unsigned at = i * 7919 % 100;
        heap_free(blocks[at]);
        blocks[at] = heap_malloc(i * 31 % 3000);
    }
    for (unsigned i = 0; i < 100; i++)
        heap_free(blocks[i]);
    return unused;
}

Test(check, threads_at_once_find_nothing_wrong) {
    pthread_t threads[4];
    struct violation violation;
    start("canary=on,junk=on,quarantine=64K,history=on,random=on");
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    expect_nothing();
    EXPECT(heap_verify(&violation));
}
