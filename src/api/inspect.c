/* Purpose: looking at the heap: mallinfo and its kin, malloc_stats, malloc_info, slm_stats; and
 *          what acts on it as a whole: malloc_trim, mallopt.
 * Owns:    nothing.
 * Source:  mallinfo(3), malloc_info(3), malloc_stats(3), malloc_trim(3), mallopt(3). */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "api/export.h"
#include "base/fatal.h"
#include "heap/heap.h"
#include "report/diagnosis.h"
#include "report/stats.h"

enum { REPORT_BYTES = 8192 };

void slm_stats_get(struct slm_stats *stats) { stats_collect(stats); }

void slm_stats_print(int fd) {
    struct slm_stats stats;
    TEXT(text, REPORT_BYTES);
    stats_collect(&stats);
    stats_format(&stats, &text);
    text_write(&text, fd);
}

bool slm_check_heap(int fd) {
    struct violation violation;
    TEXT(text, 320);
    if (heap_verify(&violation))
        return true;
    diagnosis_put_violation(&text, &violation);
    text_write(&text, fd);
    return false;
}

int slm_malloc_trim(size_t pad) {
    (void)pad;
    return heap_trim() > 0;
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

void slm_malloc_stats(void) { slm_stats_print(2); }

static void zone_as_xml(FILE *stream, const char *name, const struct slm_zone_stats *zone) {
    fprintf(stream,
            "<heap nr=\"%s\">\n<sizes>\n</sizes>\n"
            "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n"
            "<aspace type=\"total\" size=\"%zu\"/>\n<rest size=\"%zu\"/>\n</heap>\n",
            name, zone->slabs * zone->slab_bytes, zone->slabs_peak * zone->slab_bytes,
            (zone->slabs + zone->slabs_empty) * zone->slab_bytes,
            zone->slabs * zone->slab_bytes - zone->live_bytes);
}

/* The elements of glibc's report where they have a meaning here, and <class> for each class. */
int slm_malloc_info(int options, FILE *stream) {
    struct slm_stats stats;
    if (options != 0)
        return EINVAL;
    stats_collect(&stats);
    fprintf(stream, "<malloc version=\"1\">\n");
    zone_as_xml(stream, "TINY", &stats.tiny);
    zone_as_xml(stream, "SMALL", &stats.small);
    for (unsigned cls = 0; cls < SLM_CLASS_COUNT; cls++) {
        const struct slm_class_stats *c = &stats.classes[cls];
        if (c->allocations > 0)
            fprintf(stream,
                    "<class size=\"%zu\" slabs=\"%zu\" slots=\"%zu\" live=\"%zu\" "
                    "allocations=\"%zu\" frees=\"%zu\"/>\n",
                    c->slot_bytes, c->slabs, c->slots, c->live, (size_t)c->allocations,
                    (size_t)c->frees);
    }
    size_t slabs = stats.tiny.slabs * stats.tiny.slab_bytes +
                   stats.small.slabs * stats.small.slab_bytes;
    fprintf(stream,
            "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
            "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n</malloc>\n",
            stats.large.live, stats.large.live_bytes, stats.tiny.slabs + stats.small.slabs,
            slabs - stats.tiny.live_bytes - stats.small.live_bytes,
            slabs + stats.large.live_bytes + stats.large.cached_bytes);
    return 0;
}

EXPORT_AS(malloc_trim, slm_malloc_trim);
EXPORT_AS(mallopt, slm_mallopt);
EXPORT_AS(mallinfo, slm_mallinfo);
EXPORT_AS(mallinfo2, slm_mallinfo2);
EXPORT_AS(malloc_stats, slm_malloc_stats);
EXPORT_AS(malloc_info, slm_malloc_info);
EXPORT_AS(__libc_mallopt, slm_mallopt);
EXPORT_AS(__libc_mallinfo, slm_mallinfo);
