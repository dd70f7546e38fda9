/* Protects: that statistics are exact: calls, live blocks, slabs and bytes by class and zone after
 * a known sequence, with frees from other threads, threads that ended, and frees still waiting to
 * be merged. */
#include "../expect.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cache/cache.h"
#include "core/options.h"
#include "os/metadata.h"
#include "report/breakdown.h"
#include "report/stats.h"
#include "slab/zone.h"
#include "slabmalloc/slabmalloc.h"

enum { BYTES = 48, COUNT = 10000 };

static void *blocks[COUNT];

static void set_up(void) {
    slm_free(slm_malloc(1024)); /* counted: one call each of class 1024 */
    os_inject(0, 0, 0);
}

static struct slm_stats get(void) {
    struct slm_stats stats;
    slm_stats_get(&stats);
    return stats;
}

/* One class, and that zones are the sums of their classes. */
static void expect_class(size_t bytes, size_t live, uint64_t allocations, uint64_t frees) {
    struct slm_stats stats = get();
    const struct slm_class_stats *c = &stats.classes[class_of(bytes)];
    EXPECT_EQ(c->slot_bytes, size_classes[class_of(bytes)].slot_bytes);
    EXPECT_EQ(c->live, live);
    EXPECT_EQ(c->allocations, allocations);
    EXPECT_EQ(c->frees, frees);
    struct slm_zone_stats sums[2] = {{0}, {0}};
    size_t slabs[2] = {0, 0};
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        unsigned kind = size_classes[cls].zone;
        sums[kind].live_bytes += stats.classes[cls].live * stats.classes[cls].slot_bytes;
        sums[kind].allocations += stats.classes[cls].allocations;
        sums[kind].frees += stats.classes[cls].frees;
        slabs[kind] += stats.classes[cls].slabs;
        EXPECT_AT(stats.classes[cls].live <= stats.classes[cls].slots, cls);
    }
    const struct slm_zone_stats *are[2] = {&stats.tiny, &stats.small};
    for (unsigned kind = 0; kind < ZONE_COUNT; kind++) {
        EXPECT_EQ(are[kind]->live_bytes, sums[kind].live_bytes);
        EXPECT_EQ(are[kind]->allocations, sums[kind].allocations);
        EXPECT_EQ(are[kind]->frees, sums[kind].frees);
        EXPECT_EQ(are[kind]->slabs, slabs[kind]);
        EXPECT_EQ(are[kind]->slabs, zones[kind].used);
        EXPECT(are[kind]->slabs <= are[kind]->slabs_peak);
        EXPECT(are[kind]->slabs_dirty <= are[kind]->slabs_empty);
        EXPECT_EQ(are[kind]->slab_bytes, (size_t)1 << slab_shift_of((enum zone_kind)kind));
    }
}

static void *call(void *context) {
    ((void (*)(void))context)();
    return NULL;
}

static void in_another_thread(void (*function)(void)) {
    pthread_t thread;
    EXPECT(pthread_create(&thread, NULL, call, (void *)function) == 0);
    pthread_join(thread, NULL);
}

static void allocate(void) {
    for (unsigned i = 0; i < COUNT; i++)
        blocks[i] = slm_malloc(BYTES);
}

static void free_every_third(void) {
    for (unsigned i = 0; i < COUNT; i += 3)
        slm_free(blocks[i]);
}

static void free_the_others(void) {
    for (unsigned i = 0; i < COUNT; i++)
        if (i % 3 != 0)
            slm_free(blocks[i]);
}

enum { THIRD = (COUNT + 2) / 3 };

Test(stats, every_class_counts_its_own_calls, .init = set_up) {
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) {
        size_t bytes = size_classes[cls].slot_bytes;
        uint64_t before = bytes == 1024;
        void *one = slm_malloc(bytes);
        void *other = slm_calloc(1, bytes);
        EXPECT(one != NULL && other != NULL);
        slm_free(one);
        expect_class(bytes, 1, 2 + before, 1 + before);
        EXPECT_EQ(get().classes[cls].slabs, 1);
    }
    EXPECT_EQ(get().caches, 2); /* the shared one and ours */
    EXPECT(get().metadata_bytes >= sizeof(struct cache));
    struct slm_stats stats = get(); /* caches lie in the metadata's chunks, headers do not */
    size_t slabs = stats.tiny.slabs + stats.tiny.slabs_empty + stats.small.slabs +
                   stats.small.slabs_empty;
    size_t tables = slabs * (sizeof(struct slab) + SLAB_REMOTE_BYTES);
    EXPECT_EQ(stats.metadata_bytes, metadata_bytes() + tables);
}

Test(stats, of_one_thread_are_exact_at_every_moment, .init = set_up) {
    allocate();
    expect_class(BYTES, COUNT, COUNT, 0);
    free_every_third();
    expect_class(BYTES, COUNT - THIRD, COUNT, THIRD);
    free_the_others();
    expect_class(BYTES, 0, COUNT, COUNT);
    for (unsigned round = 2; round < 5; round++) {
        allocate();
        expect_class(BYTES, COUNT, round * COUNT, (round - 1) * COUNT);
        free_the_others();
        free_every_third();
        expect_class(BYTES, 0, round * COUNT, round * COUNT);
    }
}

Test(stats, frees_by_another_thread_count_before_and_after_they_are_merged, .init = set_up) {
    allocate();
    in_another_thread(free_every_third);
    expect_class(BYTES, COUNT - THIRD, COUNT, THIRD);
    cache_drain(cache_self);
    expect_class(BYTES, COUNT - THIRD, COUNT, THIRD);
    free_the_others();
    expect_class(BYTES, 0, COUNT, COUNT);
}

Test(stats, of_threads_that_ended_are_kept, .init = set_up) {
    in_another_thread(allocate);
    expect_class(BYTES, COUNT, COUNT, 0);
    in_another_thread(free_every_third);
    expect_class(BYTES, COUNT - THIRD, COUNT, THIRD);
    free_the_others();
    expect_class(BYTES, 0, COUNT, COUNT);
    for (unsigned round = 2; round < 6; round++) {
        in_another_thread(allocate);
        in_another_thread(free_the_others);
        in_another_thread(free_every_third);
        expect_class(BYTES, 0, round * COUNT, round * COUNT);
    }
}

Test(stats, realloc_is_one_call_of_each_class_it_leaves_and_enters, .init = set_up) {
    void *block = slm_malloc(100);
    block = slm_realloc(block, 110); /* stays */
    expect_class(112, 1, 1, 0);
    block = slm_realloc(block, 5000);
    expect_class(112, 0, 1, 1);
    expect_class(5000, 1, 1, 0);
    EXPECT(slm_realloc(block, 0) == NULL);
    expect_class(5000, 0, 1, 1);
}

Test(stats, of_large_blocks, .init = set_up) {
    void *one = slm_malloc(1 << 20);
    void *other = slm_malloc((2 << 20) + 1);
    struct slm_stats stats = get();
    EXPECT_EQ(stats.large.live, 2);
    EXPECT_EQ(stats.large.live_bytes, (3 << 20) + os_page_bytes);
    EXPECT_EQ(stats.large.allocations, 2);
    EXPECT_EQ(stats.large.frees, 0);
    slm_free(one);
    slm_free(other);
    slm_malloc_trim(0);
    stats = get();
    EXPECT_EQ(stats.large.live + stats.large.live_bytes, 0);
    EXPECT(stats.large.cached_bytes == 0 || SLM_TORTURE); /* the system may refuse one */
    EXPECT_EQ(stats.large.frees, 2);
    EXPECT(stats.large.mappings >= 1 && stats.large.unmappings >= 1);
}

Test(stats, empty_and_dirty_slabs_are_told, .init = set_up) {
    zones[ZONE_TINY].next_purge_ms = UINT64_MAX;
    allocate();
    size_t slabs = get().tiny.slabs;
    EXPECT(slabs > COUNT * BYTES >> TINY_SLAB_SHIFT);
    free_every_third();
    free_the_others();
    struct slm_stats stats = get();
    EXPECT(stats.tiny.slabs < slabs && stats.tiny.slabs_peak == slabs);
    EXPECT_EQ(stats.tiny.slabs + stats.tiny.slabs_empty, slabs);
    EXPECT_EQ(stats.tiny.slabs_dirty, stats.tiny.slabs_empty);
    slm_malloc_trim(0);
    EXPECT(get().tiny.slabs_dirty == 0 || SLM_TORTURE);
    EXPECT_EQ(get().tiny.slabs_empty, stats.tiny.slabs_empty);
}

/* What the text format prints, in one piece. */
struct page {
    struct text text;
    char bytes[16384];
};

static int to_page(void *context, const struct text *text) {
    struct page *page = context;
    EXPECT(page->text.used + text->used < page->text.size);
    memcpy(page->text.bytes + page->text.used, text->bytes, text->used);
    page->text.used += text->used;
    return 0;
}

static void print(struct page *page, const struct slm_stats *stats, bool knows_resident) {
    struct slm_breakdown breakdown;
    struct out out;
    struct emitter emitter;
    page->text = (struct text){page->bytes, 0, sizeof page->bytes};
    breakdown_collect(&breakdown);
    out_to_sink(&out, to_page, page);
    emit_begin(&emitter, &out, EMIT_TEXT);
    stats_emit(&emitter, stats, &breakdown, knows_resident);
    emit_end(&emitter);
    EXPECT_EQ(out_end(&out), 0);
    EXPECT(page->bytes[page->text.used - 1] == '\n');
    page->bytes[page->text.used] = 0;
}

Test(stats, the_text_has_a_line_for_every_class_in_use, .init = set_up) {
    static struct page page;
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++)
        EXPECT(slm_malloc(size_classes[cls].slot_bytes) != NULL);
    struct slm_stats stats = get();
    for (unsigned cls = 0; cls < CLASS_COUNT; cls++) /* longer numbers than there will be */
        stats.classes[cls].allocations = stats.classes[cls].frees = stats.classes[cls].live =
            99999999999;
    print(&page, &stats, true);
    EXPECT(strstr(page.bytes, "TINY") != NULL && strstr(page.bytes, "LARGE") != NULL);
    unsigned lines = 0;
    for (const char *at = page.bytes; (at = strstr(at, "99,999,999,999  99,999,999,999"));
         at += 20)
        lines++;
    EXPECT_EQ(lines, CLASS_COUNT);
    EXPECT(strstr(page.bytes, "bad pointers given back                    0\n") != NULL);
}

/* The figures that stand at the end of the line which begins with `heading`. */
static size_t figure(const char *text, const char *heading) {
    const char *line = strstr(text, heading);
    EXPECT(line != NULL);
    const char *at = strchr(line + 1, '\n');
    while (at[-1] != ' ')
        at--;
    size_t value = 0;
    for (; *at != '\n'; at++)
        if (*at != ',')
            value = value * 10 + (size_t)(*at - '0');
    return value;
}

static const char *const parts[] = {
    "\nlive blocks in slabs", "\nlive LARGE blocks",          "\nfree slots", "\nslabs' edges",
    "\nempty slabs",          "\nLARGE blocks' room to grow", "\nfreed LARGE, kept",
    "\nmetadata",
};

Test(stats, the_text_adds_up_and_names_the_classes_that_waste_most, .init = set_up) {
    static struct page page;
    allocate();
    for (unsigned i = 0; i < COUNT; i++)
        memset(blocks[i], 1, BYTES);
    free_every_third();
    memset(slm_malloc(1 << 20), 1, 1 << 20);
    struct slm_stats stats = get();
    print(&page, &stats, true);
    size_t sum = 0;
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++)
        sum += figure(page.bytes, parts[i]);
    EXPECT_EQ(sum, figure(page.bytes, "\ntotal, held by the kernel"));
    EXPECT(sum > COUNT * BYTES + (1 << 20));
    const char *most = strstr(page.bytes, "most memory in free slots");
    EXPECT(most != NULL);
    size_t class_bytes = 0;
    EXPECT(sscanf(strchr(strchr(most, '\n') + 1, '\n'), "%zu", &class_bytes) == 1);
    EXPECT_EQ(class_bytes, BYTES);

    print(&page, &stats, false);
    EXPECT(strstr(page.bytes, "held by the kernel") != NULL);
    const char *total = strstr(page.bytes, "\ntotal, held by the kernel");
    EXPECT(strncmp(strchr(total + 1, '\n') - 2, " -", 2) == 0);
}

Test(stats, faults_that_the_program_survived_are_told, .init = set_up) {
    static struct page page;
    TEXT(complaints, 64);
    char *block = slm_malloc(100);
    options_parse("on_error=ignore", &complaints);
    slm_free(block + 1);
    EXPECT_EQ(slm_malloc_usable_size(block + 16), 0);
    slm_free(block);
    slm_free(block);
    struct slm_stats stats = get();
    EXPECT_EQ(stats.faults, 3);
    print(&page, &stats, true);
    EXPECT_EQ(figure(page.bytes, "bad pointers given back"), 3);
}

static uint64_t acquisitions(const struct slm_stats *stats) {
    uint64_t sum = 0;
    for (unsigned kind = 0; kind < SLM_LOCK_KINDS; kind++)
        sum += stats->locks[kind].acquired;
    return sum;
}

static void *free_two(void *unused) {
    slm_free(blocks[0]);
    slm_free(blocks[1]);
    return unused;
}

Test(stats, locks_are_counted_and_the_usual_way_takes_none, .init = set_up) {
    pthread_t thread;
    static struct slm_stats before, pairs, remote, large;
    static struct page page;
    blocks[0] = slm_malloc(BYTES);
    blocks[1] = slm_malloc(BYTES);
    before = get();
    for (unsigned i = 0; i < 1000; i++)
        slm_free(slm_malloc(BYTES));
    pairs = get();
    EXPECT_EQ(acquisitions(&pairs), acquisitions(&before));
    EXPECT(pthread_create(&thread, NULL, free_two, NULL) == 0);
    pthread_join(thread, NULL);
    remote = get();
    /* The slab is queued once, for both. A thread's end takes its own queue's, too. */
    uint64_t queued = remote.locks[SLM_LOCK_QUEUE].acquired - pairs.locks[SLM_LOCK_QUEUE].acquired;
    EXPECT(queued >= 1 && queued <= 1 + CLASS_COUNT);
    EXPECT(remote.locks[SLM_LOCK_THREADS].acquired > pairs.locks[SLM_LOCK_THREADS].acquired);
    slm_free(slm_malloc(1 << 20));
    large = get();
    EXPECT(large.locks[SLM_LOCK_LARGE].acquired >= remote.locks[SLM_LOCK_LARGE].acquired + 2);
    EXPECT_EQ(large.locks[SLM_LOCK_LARGE].contended, 0);
    print(&page, &large, true);
    EXPECT_EQ(figure(page.bytes, "\nthreads' remote frees"), large.locks[SLM_LOCK_QUEUE].contended);
}
