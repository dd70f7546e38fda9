/* Protects: show_alloc_mem lists the live blocks, all of them and no other, under their zones, with
 * their addresses, sizes and sum; its extended form their contents, within the limits that were
 * asked for. Neither it nor the statistics allocate, hold on to a closed, full or broken
 * descriptor, or change errno where they succeed. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../shown.h"
#include "api.h"
#include "slabmalloc/slabmalloc.h"

enum { TINIES = 700, SMALLS = 300, LARGES = 5, ALL = TINIES + SMALLS + LARGES };

static unsigned char *blocks[ALL];
static size_t sizes[ALL];
static bool seen[ALL];

static size_t size_of(size_t i) {
    if (i < TINIES)
        return 1 + i * 13 % 4096;
    if (i < TINIES + SMALLS)
        return 4097 + i * 997 % 60000;
    return 140000 + i * 999983 % 900000;
}

static enum shown_zone zone_of(size_t i) {
    return i < TINIES ? SHOWN_TINY : i < TINIES + SMALLS ? SHOWN_SMALL : SHOWN_LARGE;
}

static unsigned char byte_of(size_t i, size_t at) { return (unsigned char)(i * 7 + at * 3); }

/* Among blocks that are freed at once, so that live and free ones alternate. */
static void set_up(void) {
    for (size_t i = 0; i < ALL; i++) {
        void *other = hidden(malloc(size_of(i)));
        blocks[i] = malloc(size_of(i));
        sizes[i] = malloc_usable_size(blocks[i]);
        for (size_t at = 0; at < size_of(i); at++)
            blocks[i][at] = byte_of(i, at);
        free(other);
    }
}

static void tear_down(void) {
    for (size_t i = 0; i < ALL; i++)
        free(blocks[i]);
}

static size_t index_of(uintptr_t address) {
    for (size_t i = 0; i < ALL; i++)
        if ((uintptr_t)blocks[i] == address)
            return i;
    return ALL;
}

static void note_block(enum shown_zone zone, uintptr_t from, size_t bytes, void *context) {
    size_t i = index_of(from);
    size_t *others = context;
    if (i == ALL) {
        ++*others;
        return;
    }
    cr_assert_eq(zone, zone_of(i), "block %zu is in zone %d", i, zone);
    cr_assert_eq(bytes, sizes[i]);
    cr_assert_not(seen[i]);
    seen[i] = true;
}

/* Runs `print` into a file, and reads it. */
static struct shown read_shown(bool (*print)(int fd, const void *argument), const void *argument,
                               struct shown shown) {
    int fd = memfd_create("shown", 0);
    cr_assert_geq(fd, 0);
    errno = ERRNO_MARK;
    bool printed = print(fd, argument);
    cr_assert_eq(errno, ERRNO_MARK);
    cr_assert(printed);
    lseek(fd, 0, SEEK_SET);
    bool right = shown_read(&shown, fd);
    cr_assert(right, "wrong line: '%s'", shown.wrong_line);
    close(fd);
    return shown;
}

static bool print_blocks(int fd, const void *argument) {
    (void)argument;
    return slm_show_alloc_mem(fd);
}

static bool print_ex(int fd, const void *options) { return slm_show_alloc_mem_ex(fd, options); }

Test(show, lists_exactly_the_live_blocks, .init = set_up, .fini = tear_down) {
    static struct slm_stats stats;
    size_t others = 0;
    slm_stats_get(&stats);
    struct shown shown = read_shown(print_blocks, NULL,
                                    (struct shown){.block = note_block, .context = &others});
    for (size_t i = 0; i < ALL; i++)
        cr_assert(seen[i], "block %zu of %zu bytes is missing", i, sizes[i]);
    size_t live = stats.large.live;
    for (size_t i = 0; i < SLM_CLASS_COUNT; i++)
        live += stats.classes[i].live;
    cr_assert_eq(shown.blocks, live); /* what others there are is as many as the heap holds */
    cr_assert_eq(others, live - ALL);
    cr_assert_eq(shown.bytes,
                 stats.tiny.live_bytes + stats.small.live_bytes + stats.large.live_bytes);
    cr_assert_eq(shown.slabs + shown.bars + shown.empties + shown.frees + shown.dump_lines, 0);
    cr_assert_eq(shown.zones, 3);
}

Test(show, a_freed_block_is_gone, .init = set_up) {
    size_t others = 0;
    for (size_t i = 0; i < ALL; i += 2)
        free(blocks[i]);
    read_shown(print_blocks, NULL, (struct shown){.block = note_block, .context = &others});
    for (size_t i = 0; i < ALL; i++)
        cr_assert_eq(seen[i], i % 2 == 1, "block %zu", i);
}

struct contents {
    size_t block; /* whose lines are to come */
    size_t bytes; /* read of it so far */
    size_t checked;
};

static void begin_contents(enum shown_zone zone, uintptr_t from, size_t bytes, void *context) {
    struct contents *contents = context;
    (void)zone;
    (void)bytes;
    contents->block = index_of(from);
    contents->bytes = 0;
}

static void check_contents(uintptr_t from, const unsigned char *bytes, size_t count,
                           void *context) {
    struct contents *contents = context;
    size_t i = contents->block;
    if (i == ALL)
        return;
    cr_assert_eq(from, (uintptr_t)blocks[i] + contents->bytes);
    for (size_t k = 0; k < count; k++, contents->bytes++)
        if (contents->bytes < size_of(i))
            cr_assert(bytes[k] == byte_of(i, contents->bytes), "block %zu, byte %zu", i,
                      contents->bytes);
    contents->checked++;
}

static void check_dump(size_t dump_bytes, size_t lines_max) {
    struct contents contents = {ALL, 0, 0};
    struct slm_show_options options = {.parts = SLM_SHOW_BLOCKS, .dump_bytes = dump_bytes};
    struct shown shown = read_shown(
        print_ex, &options,
        (struct shown){.block = begin_contents, .dump = check_contents, .context = &contents});
    cr_assert_leq(shown.dump_lines, shown.blocks * lines_max);
    cr_assert_geq(contents.checked, (size_t)ALL);
}

Test(show, contents_are_those_of_the_block, .init = set_up, .fini = tear_down) {
    check_dump(1, 1);
    check_dump(16, 1);
    check_dump(1000, 63);
    check_dump(5000, 313);
}

static struct shown read_ex(struct slm_show_options options) {
    memset(seen, 0, sizeof seen);
    static size_t others;
    return read_shown(print_ex, &options,
                      (struct shown){.block = note_block, .context = &others});
}

Test(show, can_be_limited_by_zone_size_and_address, .init = set_up, .fini = tear_down) {
    for (unsigned zone = SHOWN_TINY; zone <= SHOWN_LARGE; zone++) {
        read_ex((struct slm_show_options){.zones = 1u << (zone - SHOWN_TINY)});
        for (size_t i = 0; i < ALL; i++)
            cr_assert_eq(seen[i], zone_of(i) == zone, "zone %u, block %zu", zone, i);
    }
    read_ex((struct slm_show_options){.min_bytes = 112, .max_bytes = 8192});
    for (size_t i = 0; i < ALL; i++)
        cr_assert_eq(seen[i], sizes[i] >= 112 && sizes[i] <= 8192, "block %zu", i);
    for (size_t k = 0; k < ALL; k += 97) {
        struct shown shown =
            read_ex((struct slm_show_options){.from = blocks[k] + 1, .to = blocks[k] + 2});
        cr_assert(seen[k]);
        cr_assert_eq(shown.blocks, 1);
    }
    cr_assert_eq(read_ex((struct slm_show_options){.from = &seen, .to = &seen + 1}).blocks, 0);
}

Test(show, parts_are_chosen, .init = set_up, .fini = tear_down) {
    struct shown slabs = read_ex((struct slm_show_options){.parts = SLM_SHOW_SLABS});
    cr_assert_gt(slabs.slabs, 40);
    cr_assert_eq(slabs.bars, slabs.slabs);
    cr_assert_eq(slabs.blocks + slabs.empties + slabs.frees + slabs.dump_lines, 0);
    struct shown frees = read_ex((struct slm_show_options){.parts = SLM_SHOW_FREE});
    cr_assert_eq(frees.blocks + frees.slabs + frees.dump_lines, 0);
    if (!SLM_TORTURE)
        cr_assert_geq(frees.frees, 1);
    struct shown all = read_ex((struct slm_show_options){0});
    cr_assert_eq(all.slabs, slabs.slabs);
    cr_assert_eq(all.frees, frees.frees);
    cr_assert_eq(all.empties, frees.empties);
    cr_assert_geq(all.blocks, (size_t)ALL);
    cr_assert_eq(all.dump_lines, 0);
    struct shown everything = read_shown(print_ex, NULL, (struct shown){0});
    cr_assert_gt(everything.dump_lines, everything.blocks);
    cr_assert_leq(everything.dump_lines, 4 * everything.blocks);
}

extern void show_alloc_mem(void);
extern void show_alloc_mem_ex(void);

static bool print_classic(int fd, const void *function) {
    int saved = dup(1);
    dup2(fd, 1);
    (*(void (*const *)(void))function)();
    dup2(saved, 1);
    close(saved);
    return true;
}

Test(show, classic_names_print_to_standard_output, .init = set_up, .fini = tear_down) {
    size_t others = 0;
    void (*const classic)(void) = show_alloc_mem;
    void (*const extended)(void) = show_alloc_mem_ex;
    cr_assert(is_ours("show_alloc_mem") && is_ours("show_alloc_mem_ex"));
    struct shown shown = read_shown(print_classic, &classic,
                                    (struct shown){.block = note_block, .context = &others});
    cr_assert_eq(shown.blocks, ALL + others);
    cr_assert_gt(read_shown(print_classic, &extended, (struct shown){0}).dump_lines, ALL);
}

/* --- what all reports have in common ---------------------------------------------------------- */

static bool print_text(int fd, const void *argument) {
    (void)argument;
    return slm_stats_print(fd, SLM_STATS_TEXT);
}

static bool print_json(int fd, const void *argument) {
    (void)argument;
    return slm_stats_print(fd, SLM_STATS_JSON);
}

static bool (*const reports[])(int fd, const void *argument) = {print_blocks, print_ex, print_text,
                                                                print_json};
enum { REPORTS = sizeof reports / sizeof *reports };

Test(show, no_report_allocates, .init = set_up, .fini = tear_down) {
    static struct slm_stats before, after;
    static struct slm_breakdown breakdown;
    int fd = open("/dev/null", O_WRONLY);
    slm_stats_get(&before);
    for (int i = 0; i < REPORTS; i++)
        cr_assert(reports[i](fd, NULL));
    cr_assert(slm_memory_breakdown(&breakdown));
    slm_stats_get(&after);
    close(fd);
    cr_assert_eq(memcmp(&before, &after, sizeof before), 0);
}

Test(show, a_descriptor_that_takes_nothing_ends_the_report, .init = set_up, .fini = tear_down) {
    int full = open("/dev/full", O_WRONLY);
    int broken[2], stuffed[2];
    cr_assert_eq(pipe(broken), 0);
    cr_assert_eq(pipe2(stuffed, O_NONBLOCK), 0);
    close(broken[0]);
    signal(SIGPIPE, SIG_DFL);
    while (write(stuffed[1], "x", 1) == 1)
        ;
    for (int i = 0; i < REPORTS; i++) {
        cr_assert_not(reports[i](-1, NULL));
        cr_assert_eq(errno, EBADF, "report %d", i);
        cr_assert_not(reports[i](full, NULL));
        cr_assert_eq(errno, ENOSPC, "report %d", i);
        cr_assert_not(reports[i](broken[1], NULL));
        cr_assert_eq(errno, EPIPE, "report %d", i);
        cr_assert_not(reports[i](stuffed[1], NULL));
        cr_assert_eq(errno, EAGAIN, "report %d", i);
    }
    sigset_t pending;
    sigpending(&pending);
    cr_assert_not(sigismember(&pending, SIGPIPE));
}

Test(show, there_are_two_formats) {
    errno = 0;
    cr_assert_not(slm_stats_print(1, (enum slm_stats_format)2));
    cr_assert_eq(errno, EINVAL);
    cr_assert_not(slm_stats_print(1, (enum slm_stats_format)-1));
}

/* The reader itself must be able to say no. */
Test(show, the_reader_rejects_what_was_not_promised) {
    static const char *const bad[] = {
        "0x1000 - 0x1010 : 16 bytes",   /* in no zone */
        "TINY: 0x1000",
        "tiny : 0x1000",
        "HUGE : 0x1000",
        "slab 1 : 0x1000, class 16, ",
        "  [##x#] 1 of 4 slots live",
        "  [##] 1 of 4 slots live",
        "Total : 5 bytes",
        "empty : 1 slabs",
        "",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct shown shown = {0};
        shown_line(&shown, bad[i]);
        cr_assert(shown.wrong, "'%s' passed", bad[i]);
    }
    static const char *const bad_tiny[] = {
        "0x1000 - 0x1010 : 17 bytes", "0x1000 - 0x1010 : 16 byte", "0x0f00 - 0x0f10 : 16 bytes",
        "0x1000 - 0x1010 : free, 16 bytes", "  0x1000  41 42  |AC|",
    };
    for (size_t i = 0; i < sizeof bad_tiny / sizeof *bad_tiny; i++) {
        struct shown shown = {0};
        shown_line(&shown, "TINY : 0x1000");
        cr_assert_not(shown.wrong);
        shown_line(&shown, bad_tiny[i]);
        cr_assert(shown.wrong, "'%s' passed", bad_tiny[i]);
    }
}
