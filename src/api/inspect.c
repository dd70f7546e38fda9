/* Purpose: looking at the heap: mallinfo and its kin, malloc_stats, malloc_info, slm_stats,
 *          slm_memory_breakdown, show_alloc_mem; and what acts on it as a whole: malloc_trim,
 *          mallopt.
 * Owns:    nothing.
 * Source:  mallinfo(3), malloc_info(3), malloc_stats(3), malloc_trim(3), mallopt(3). */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "api/export.h"
#include "base/fatal.h"
#include "check/check.h"
#include "heap/heap.h"
#include "report/breakdown.h"
#include "report/diagnosis.h"
#include "report/leaks.h"
#include "report/profile.h"
#include "report/show.h"
#include "report/stats.h"

/* False, with errno set, for an error number other than 0. */
static bool succeeded(int error) {
    if (error != 0)
        errno = error;
    return error == 0;
}

void slm_stats_get(struct slm_stats *stats) { stats_collect(stats); }

bool slm_memory_breakdown(struct slm_breakdown *breakdown) {
    return succeeded(breakdown_collect(breakdown));
}

bool slm_stats_print(int fd, enum slm_stats_format format) {
    struct figures figures;
    struct out out;
    if (format != SLM_STATS_TEXT && format != SLM_STATS_JSON)
        return succeeded(EINVAL);
    figures_take(&figures);
    out_to_descriptor(&out, fd);
    return succeeded(
        figures_print(&figures, &out, format == SLM_STATS_JSON ? EMIT_JSON : EMIT_TEXT));
}

bool slm_show_alloc_mem_ex(int fd, const struct slm_show_options *options) {
    static const struct slm_show_options everything = {.dump_bytes = 64};
    struct out out;
    out_to_descriptor(&out, fd);
    show_heap(&out, options != NULL ? options : &everything);
    return succeeded(out_end(&out));
}

bool slm_show_alloc_mem(int fd) {
    static const struct slm_show_options blocks = {.parts = SLM_SHOW_BLOCKS};
    return slm_show_alloc_mem_ex(fd, &blocks);
}

static UNUSED void show_on_stdout(void) { slm_show_alloc_mem(1); }
static UNUSED void show_all_on_stdout(void) { slm_show_alloc_mem_ex(1, NULL); }

bool slm_check_heap(int fd) {
    struct violation violation;
    struct check_finding finding;
    TEXT(text, 4096);
    bool holds = heap_verify(&violation);
    if (holds && heap_verify_blocks(&finding))
        return true;
    if (holds)
        diagnosis_put_finding(&text, &finding);
    else
        diagnosis_put_violation(&text, &violation);
    text_write(&text, fd);
    return false;
}

size_t slm_history(const void *pointer, struct slm_event *events, size_t count) {
    struct check_event found[CHECK_EVENTS_MAX];
    uintptr_t start = check_block_start((uintptr_t)pointer);
    size_t known = start != 0 ? check_history(start, found, CHECK_EVENTS_MAX) : 0;
    size_t i = 0;
    for (; i < known && i < count; i++) {
        events[i] = (struct slm_event){.call = call_facts[found[i].call].name,
                                       .frees = found[i].frees,
                                       .thread = found[i].thread,
                                       .bytes = found[i].bytes,
                                       .depth = found[i].depth};
        for (size_t frame = 0; frame < events[i].depth; frame++)
            events[i].stack[frame] = (void *)found[i].frames[frame];
    }
    return i;
}

bool slm_heap_profile(int fd) { return succeeded(profile_write(fd)); }

ptrdiff_t slm_leaks(int fd, enum slm_leaks_kind kind) {
    size_t blocks;
    int error = EINVAL;
    if (!load_relaxed(&check_active))
        error = ENODATA;
    else if (kind == SLM_LEAKS_LIVE)
        error = leaks_report(fd, CHECK_LEAKS_LIVE, "", &blocks);
    else if (kind == SLM_LEAKS_LOST)
        error = leaks_report(fd, CHECK_LEAKS_LOST, "", &blocks);
    return succeeded(error) ? (ptrdiff_t)blocks : -1;
}

int slm_malloc_trim(size_t pad) {
    (void)pad;
    return heap_trim() > 0;
}

size_t slm_purge(void) {
    heap_set_up();
    return heap_trim();
}

int slm_mallopt(int parameter, int value) {
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

struct mallinfo2 slm_mallinfo2(void) {
    struct slm_stats stats;
    struct mallinfo2 info = {0};
    stats_collect(&stats);
    size_t slabs = stats.tiny.slabs * stats.tiny.slab_bytes +
                   stats.small.slabs * stats.small.slab_bytes;
    size_t dirty = stats.tiny.slabs_dirty * stats.tiny.slab_bytes +
                   stats.small.slabs_dirty * stats.small.slab_bytes;
    size_t live = stats.tiny.live_bytes + stats.small.live_bytes;
    info.arena = slabs + dirty;
    for (unsigned cls = 0; cls < SLM_CLASS_COUNT; cls++)
        info.ordblks += stats.classes[cls].slots - stats.classes[cls].live;
    info.hblks = stats.large.live;
    info.hblkhd = stats.large.live_bytes;
    info.uordblks = live;
    info.fordblks = info.arena - live;
    info.keepcost = dirty + stats.large.cached_bytes;
    return info;
}

static int saturate(size_t n) { return n > INT_MAX ? INT_MAX : (int)n; }

struct mallinfo slm_mallinfo(void) {
    struct mallinfo2 info = slm_mallinfo2();
    return (struct mallinfo){
        .arena = saturate(info.arena),
        .ordblks = saturate(info.ordblks),
        .hblks = saturate(info.hblks),
        .hblkhd = saturate(info.hblkhd),
        .uordblks = saturate(info.uordblks),
        .fordblks = saturate(info.fordblks),
        .keepcost = saturate(info.keepcost),
    };
}

void slm_malloc_stats(void) {
    int saved = errno;
    slm_stats_print(2, SLM_STATS_TEXT);
    errno = saved;
}

/* --- malloc_info: glibc's elements where they have a meaning here, and <class> for each class
 * --- */

struct amount {
    const char *type;
    uint64_t count, size;
};

#define AMOUNT(field, kind) {#field, NULL, kind, offsetof(struct amount, field), 0}
static const struct column amount_columns[] = {
    AMOUNT(type, CELL_STRING), AMOUNT(count, CELL_COUNT), AMOUNT(size, CELL_BYTES)};

/* <element type="..." count="..." size="..."/> */
static void put_amount(struct emitter *emitter, const char *element, const char *type,
                       uint64_t count, uint64_t size) {
    const struct table table = {NULL, NULL, element, TABLE_LIST, amount_columns, 3};
    const struct amount row = {type, count, size};
    emit_record(emitter, &table, &row);
}

static void put_heap(struct emitter *emitter, const char *name,
                     const struct slm_zone_stats *zone) {
    size_t bytes = zone->slabs * zone->slab_bytes;
    out_format(emitter->out, "<heap nr=\"%s\">\n<sizes>\n</sizes>\n", name);
    put_amount(emitter, "total", "rest", zone->slabs, bytes - zone->live_bytes);
    put_amount(emitter, "system", "current", EMIT_UNKNOWN, bytes);
    put_amount(emitter, "system", "max", EMIT_UNKNOWN, zone->slabs_peak * zone->slab_bytes);
    put_amount(emitter, "aspace", "total", EMIT_UNKNOWN,
               (zone->slabs + zone->slabs_empty) * zone->slab_bytes);
    out_format(emitter->out, "</heap>\n");
}

static int to_stream(void *stream, const struct text *text) {
    return fwrite(text->bytes, 1, text->used, stream) == text->used ? 0 : EIO;
}

int slm_malloc_info(int options, FILE *stream) {
    struct figures figures;
    const struct slm_stats *stats = &figures.stats;
    struct out out;
    struct emitter emitter;
    if (options != 0)
        return EINVAL;
    figures_take(&figures);
    out_to_sink(&out, to_stream, stream);
    emit_begin(&emitter, &out, EMIT_XML);
    out_format(&out, "<malloc version=\"1\">\n");
    put_heap(&emitter, "TINY", &stats->tiny);
    put_heap(&emitter, "SMALL", &stats->small);
    stats_emit_classes(&emitter, stats, &figures.breakdown, figures.knows_resident);
    size_t slabs = stats->tiny.slabs * stats->tiny.slab_bytes +
                   stats->small.slabs * stats->small.slab_bytes;
    put_amount(&emitter, "total", "mmap", stats->large.live, stats->large.live_bytes);
    put_amount(&emitter, "total", "rest", stats->tiny.slabs + stats->small.slabs,
               slabs - stats->tiny.live_bytes - stats->small.live_bytes);
    put_amount(&emitter, "system", "current", EMIT_UNKNOWN,
               slabs + stats->large.live_bytes + stats->large.cached_bytes);
    out_format(&out, "</malloc>\n");
    emit_end(&emitter);
    out_end(&out);
    return 0;
}

EXPORT_AS(malloc_trim, slm_malloc_trim);
EXPORT_AS(mallopt, slm_mallopt);
EXPORT_AS(mallinfo, slm_mallinfo);
EXPORT_AS(mallinfo2, slm_mallinfo2);
EXPORT_AS(malloc_stats, slm_malloc_stats);
EXPORT_AS(malloc_info, slm_malloc_info);
EXPORT_AS(show_alloc_mem, show_on_stdout);
EXPORT_AS(show_alloc_mem_ex, show_all_on_stdout);
EXPORT_AS(__libc_mallopt, slm_mallopt);
EXPORT_AS(__libc_mallinfo, slm_mallinfo);
