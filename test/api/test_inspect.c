/* Protects: the functions that look at the heap give real figures: each known allocation and free
 * moves them by exactly what it should. malloc_info writes well-formed XML, malloc_stats a table to
 * standard error, malloc_trim gives memory back, mallopt knows glibc's parameters. */
#include <criterion/criterion.h>
#include <limits.h>
#include <unistd.h>

#include "api.h"
#include "slabmalloc/slabmalloc.h"
#include "xml.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* mallinfo, in favour of mallinfo2 */

enum { BLOCKS = 1000, TINY_BYTES = 100, TINY_SLOT = 112, SMALL_BYTES = 5000, SMALL_SLOT = 5120 };
enum { LARGE_BYTES = 1 << 20 };

static void *tiny[BLOCKS], *small[BLOCKS], *large[3];

static void allocate_all(void) {
    for (int i = 0; i < BLOCKS; i++) {
        tiny[i] = malloc(TINY_BYTES);
        small[i] = malloc(SMALL_BYTES);
    }
    for (int i = 0; i < 3; i++)
        large[i] = malloc(LARGE_BYTES);
}

static void free_all(void) {
    for (int i = 0; i < BLOCKS; i++) {
        free(tiny[i]);
        free(small[i]);
    }
    for (int i = 0; i < 3; i++)
        free(large[i]);
}

Test(inspect, malloc_is_ours) {
    cr_assert(is_ours("malloc"));
    cr_assert(is_ours("mallinfo2"));
    cr_assert(is_ours("malloc_info"));
    cr_assert(is_ours("malloc_trim"));
}

Test(inspect, mallinfo2_counts_every_byte) {
    enum { IN_SLABS = BLOCKS * (TINY_SLOT + SMALL_SLOT) };
    cr_assert(slm_option_set("keep_free", "all"));
    struct mallinfo2 before = mallinfo2();
    allocate_all();
    struct mallinfo2 during = mallinfo2();
    cr_assert_eq(during.uordblks, before.uordblks + IN_SLABS);
    cr_assert_eq(during.hblks, before.hblks + 3);
    cr_assert_eq(during.hblkhd, before.hblkhd + 3 * (size_t)LARGE_BYTES);
    cr_assert_eq(during.arena, during.uordblks + during.fordblks);
    cr_assert_geq(during.arena, before.arena);
    cr_assert_gt(during.ordblks, 0);
    for (int i = 0; i < BLOCKS; i += 2)
        free(tiny[i]);
    struct mallinfo2 fewer = mallinfo2();
    cr_assert_eq(fewer.uordblks, during.uordblks - BLOCKS / 2 * TINY_SLOT);
    cr_assert_eq(fewer.arena, fewer.uordblks + fewer.fordblks);
    for (int i = 0; i < BLOCKS; i += 2)
        tiny[i] = NULL;
    free_all();
    struct mallinfo2 after = mallinfo2();
    cr_assert_eq(after.uordblks, before.uordblks);
    cr_assert_eq(after.hblks, before.hblks);
    cr_assert_eq(after.hblkhd, before.hblkhd);
    cr_assert_geq(after.keepcost, 3 * (size_t)LARGE_BYTES);
}

Test(inspect, mallinfo_gives_the_same_up_to_int_max) {
    allocate_all();
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo narrow = mallinfo();
    cr_assert_eq((size_t)narrow.arena, wide.arena);
    cr_assert_eq((size_t)narrow.ordblks, wide.ordblks);
    cr_assert_eq((size_t)narrow.hblks, wide.hblks);
    cr_assert_eq((size_t)narrow.hblkhd, wide.hblkhd);
    cr_assert_eq((size_t)narrow.uordblks, wide.uordblks);
    cr_assert_eq((size_t)narrow.fordblks, wide.fordblks);
    cr_assert_eq((size_t)narrow.keepcost, wide.keepcost);
    void *huge = hidden(malloc((size_t)3 << 30)); /* never touched */
    cr_assert_not_null(huge);
    cr_assert_eq(mallinfo().hblkhd, INT_MAX);
    cr_assert_eq(mallinfo2().hblkhd, wide.hblkhd + ((size_t)3 << 30));
    free(huge);
    free_all();
}

static const struct slm_class_stats *class_stats(const struct slm_stats *stats, size_t slot_bytes) {
    for (int i = 0; i < SLM_CLASS_COUNT; i++)
        if (stats->classes[i].slot_bytes == slot_bytes)
            return &stats->classes[i];
    cr_assert_fail("no class of %zu bytes", slot_bytes);
    return NULL;
}

static void check_class(const struct slm_stats *before, const struct slm_stats *now, size_t slot,
                        size_t allocated, size_t freed) {
    const struct slm_class_stats *a = class_stats(before, slot);
    const struct slm_class_stats *b = class_stats(now, slot);
    cr_assert_eq(b->allocations, a->allocations + allocated, "class %zu", slot);
    cr_assert_eq(b->frees, a->frees + freed, "class %zu", slot);
    cr_assert_eq(b->live, a->live + allocated - freed, "class %zu", slot);
    cr_assert_geq(b->slots, b->live);
}

Test(inspect, slm_stats_count_calls_and_blocks) {
    static struct slm_stats before, during, after;
    slm_stats_get(&before);
    allocate_all();
    slm_stats_get(&during);
    check_class(&before, &during, TINY_SLOT, BLOCKS, 0);
    check_class(&before, &during, SMALL_SLOT, BLOCKS, 0);
    cr_assert_eq(during.tiny.allocations, before.tiny.allocations + BLOCKS);
    cr_assert_eq(during.small.allocations, before.small.allocations + BLOCKS);
    cr_assert_eq(during.tiny.live_bytes, before.tiny.live_bytes + BLOCKS * TINY_SLOT);
    cr_assert_eq(during.large.live, before.large.live + 3);
    cr_assert_eq(during.large.allocations, before.large.allocations + 3);
    cr_assert_eq(during.large.live_bytes, before.large.live_bytes + 3 * (size_t)LARGE_BYTES);
    free_all();
    slm_stats_get(&after);
    check_class(&before, &after, TINY_SLOT, BLOCKS, BLOCKS);
    check_class(&before, &after, SMALL_SLOT, BLOCKS, BLOCKS);
    cr_assert_eq(after.large.frees, before.large.frees + 3);
    cr_assert_eq(after.large.live, before.large.live);
    cr_assert_eq(after.large.live_bytes, before.large.live_bytes);
    cr_assert_geq(after.small.slabs_peak, during.small.slabs);
    cr_assert_geq(after.large.peak_bytes, during.large.live_bytes);
}

static size_t resident_bytes(void) {
    size_t total, resident;
    FILE *statm = fopen("/proc/self/statm", "r");
    cr_assert_eq(fscanf(statm, "%zu %zu", &total, &resident), 2);
    fclose(statm);
    return resident * 4096;
}

Test(inspect, malloc_trim_gives_memory_back) {
    enum { COUNT = 60000, BYTES = 1000, LARGES = 4 };
    static void *blocks[COUNT];
    malloc_trim(0);
    size_t before = resident_bytes();
    for (int i = 0; i < COUNT; i++)
        memset(blocks[i] = malloc(BYTES), 1, BYTES);
    void *mapping = malloc(LARGES * LARGE_BYTES);
    memset(mapping, 1, LARGES * LARGE_BYTES);
    cr_assert_geq(resident_bytes(), before + COUNT * BYTES);
    free(mapping);
    for (int i = 0; i < COUNT; i++)
        free(blocks[i]);
    errno = ERRNO_MARK;
    int gave = malloc_trim(0);
    cr_assert_eq(errno, ERRNO_MARK);
    if (SLM_TORTURE) {
        cr_assert(gave == 0 || gave == 1);
        return;
    }
    cr_assert_eq(gave, 1);
    cr_assert_leq(resident_bytes(), before + COUNT * BYTES / 10);
    cr_assert_leq(mallinfo2().keepcost, 200000);
    malloc_trim(0);
    cr_assert_eq(malloc_trim(0), 0);
}

/* Calls `print` with standard error sent to a file, and reads what it wrote. */
static size_t capture_stderr(void (*print)(void), char *text, size_t size) {
    FILE *file = tmpfile();
    int saved = dup(2);
    dup2(fileno(file), 2);
    print();
    dup2(saved, 2);
    close(saved);
    ssize_t used = pread(fileno(file), text, size - 1, 0);
    fclose(file);
    text[used < 0 ? 0 : used] = 0;
    return used < 0 ? 0 : (size_t)used;
}

static void print_stats(void) { slm_stats_print(2, SLM_STATS_TEXT); }

/* Without the commas that group digits. */
static void remove_commas(char *text) {
    char *to = text;
    for (; *text != 0; text++)
        if (*text != ',')
            *to++ = *text;
    *to = 0;
}

static bool has_class_row(char *text, size_t slot, size_t allocated, size_t freed, size_t live) {
    remove_commas(text);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        size_t a, b, c, d;
        line += *line == '\n';
        if (sscanf(line, "%zu %zu %zu %zu", &a, &b, &c, &d) == 4 && a == slot)
            return b == allocated && c == freed && d == live;
    }
    return false;
}

Test(inspect, malloc_stats_prints_the_table) {
    static char text[16384], same[16384];
    static struct slm_stats stats;
    allocate_all();
    free(tiny[0]);
    tiny[0] = NULL;
    slm_stats_get(&stats);
    const struct slm_class_stats *c = class_stats(&stats, TINY_SLOT);
    cr_assert_gt(capture_stderr(malloc_stats, text, sizeof text), 0);
    cr_assert_not_null(strstr(text, "TINY"));
    cr_assert_not_null(strstr(text, "SMALL"));
    cr_assert_not_null(strstr(text, "LARGE"));
    cr_assert_eq(text[strlen(text) - 1], '\n');
    cr_assert(has_class_row(text, TINY_SLOT, c->allocations, c->frees, c->live), "%s", text);
    capture_stderr(print_stats, same, sizeof same);
    cr_assert(has_class_row(same, TINY_SLOT, c->allocations, c->frees, c->live), "%s", same);
    free_all();
}

static void read_info(char *text, size_t size) {
    FILE *file = tmpfile();
    errno = ERRNO_MARK;
    cr_assert_eq(malloc_info(0, file), 0);
    fflush(file);
    ssize_t used = pread(fileno(file), text, size - 1, 0);
    cr_assert_gt(used, 0);
    text[used] = 0;
    fclose(file);
}

Test(inspect, malloc_info_is_well_formed_and_true) {
    static char before[16384], during[16384];
    unsigned elements;
    void *one = malloc(TINY_BYTES);
    void *another = malloc(SMALL_BYTES);
    read_info(before, sizeof before);
    allocate_all();
    read_info(during, sizeof during);
    free_all();
    free(one);
    free(another);

    cr_assert(xml_is_well_formed(before, &elements), "%s", before);
    cr_assert_geq(elements, 10);
    cr_assert(xml_is_well_formed(during, &elements), "%s", during);
    cr_assert_eq(xml_number(during, "<malloc", "version"), 1);
    static const char *const rows[] = {"<class slot_bytes=\"112\"", "<class slot_bytes=\"5120\""};
    for (int i = 0; i < 2; i++) {
        cr_assert_geq(xml_number(before, rows[i], "live"), 1);
        cr_assert_eq(xml_number(during, rows[i], "live"),
                     xml_number(before, rows[i], "live") + BLOCKS);
        cr_assert_eq(xml_number(during, rows[i], "allocations"),
                     xml_number(before, rows[i], "allocations") + BLOCKS);
    }
    cr_assert_eq(xml_number(during, "<total type=\"mmap\"", "count"),
                 xml_number(before, "<total type=\"mmap\"", "count") + 3);
    cr_assert_eq(xml_number(during, "<total type=\"mmap\"", "size"),
                 xml_number(before, "<total type=\"mmap\"", "size") + 3 * LARGE_BYTES);
}

Test(inspect, malloc_info_knows_no_options) {
    FILE *file = tmpfile();
    cr_assert_eq(malloc_info(1, file), EINVAL);
    cr_assert_eq(malloc_info(-1, file), EINVAL);
    cr_assert_eq(ftell(file), 0);
    fclose(file);
}

/* The XML check itself must be able to say no. */
Test(inspect, xml_check_rejects_what_is_not_xml) {
    static const char *const bad[] = {"",           "<a>",          "<a></b>",    "<a/><b/>",
                                      "<a b=1/>",   "<a b=\"<\"/>", "<a b=\"1/>", "text",
                                      "<a><b></a>", "</a>",         "<a",         "<1/>",
                                      "<a b=\"&\"/>"};
    unsigned elements;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(xml_is_well_formed(bad[i], &elements), "%s", bad[i]);
    cr_assert(xml_is_well_formed("<a x=\"1\">\n<b y=\"\" z=\"2\"/>\n</a>\n", &elements));
    cr_assert_eq(elements, 2);
}

Test(inspect, mallopt_knows_glibc_parameters) {
    static const int known[] = {M_MXFAST,   M_TRIM_THRESHOLD, M_TOP_PAD,    M_MMAP_THRESHOLD,
                                M_MMAP_MAX, M_CHECK_ACTION,   M_PERTURB,    M_ARENA_TEST,
                                M_ARENA_MAX};
    errno = ERRNO_MARK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        cr_assert_eq(mallopt(known[i], 1), 1);
    cr_assert_eq(mallopt(12345, 1), 0);
    cr_assert_eq(mallopt(0, 1), 0);
    cr_assert_eq(errno, ERRNO_MARK);
    void *block = calloc(1, 100); /* M_PERTURB changed nothing */
    cr_assert(is_all(block, 0, 100));
    free(block);
}
