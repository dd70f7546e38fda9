/* Purpose: profile.h.
 *
 * The format is the text one that gperftools defined, and pprof, jeprof and google-pprof read. Its
 * header says "heapprofile", for numbers that are to be taken as they are: each sample stands for
 * so many blocks of its size already.
 * Source:  gperftools, "Heap Profiler"; proc_pid_maps(5). */
#include "report/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fatal.h"
#include "base/syscall.h"
#include "check/check.h"
#include "check/sample.h"
#include "core/options.h"
#include "os/file.h"
#include "os/os.h"
#include "report/on_signal.h"
#include "report/out.h"
#include "report/summary.h"

enum { PATH_BYTES = OPTION_PATH_BYTES + 64, MAPS_BYTES = 1024, FILE_MODE = 0644 };

static const char default_path[] = "slabmalloc.%p.%n.heap";
static uint32_t files_written;

/* What writing takes, beside some hundred bytes of stack. */
struct room {
    struct out out;
    char maps[MAPS_BYTES];
    char path[PATH_BYTES];
};

/* The handler's, which runs on whatever stack the program gives it, perhaps a small one. */
static struct {
    uint32_t writer; /* on_signal_begin */
    struct room room;
} handlers;

/* --- the text --------------------------------------------------------------------------------- */

static size_t blocks(uint64_t units) { return (units + SAMPLE_UNIT / 2) / SAMPLE_UNIT; }

static void put_sums(struct out *out, const struct sample_sums *sums) {
    out_format(out, "%6zu: %8zu [%6zu: %8zu] @", blocks(sums->live_units), sums->live_bytes,
               blocks(sums->made_units), sums->made_bytes);
}

static void add(const struct sample_sums *sums, const uintptr_t *frames, unsigned depth,
                void *context) {
    struct sample_sums *total = context;
    (void)frames;
    (void)depth;
    total->live_units += sums->live_units;
    total->live_bytes += sums->live_bytes;
    total->made_units += sums->made_units;
    total->made_bytes += sums->made_bytes;
}

/* Callers that are not known are one at address 1: readers take a stack of none for an error. */
static void put_stack(const struct sample_sums *sums, const uintptr_t *frames, unsigned depth,
                      void *context) {
    struct out *out = context;
    put_sums(out, sums);
    for (unsigned i = 0; i < depth; i++)
        out_format(out, " %p", (void *)frames[i]);
    out_format(out, depth > 0 ? "\n" : " 0x1\n");
}

/* As the kernel has it. Without /proc a reader knows addresses, but no names. */
static void put_mappings(struct room *room) {
    struct out *out = &room->out;
    long length;
    int fd = file_open("/proc/self/maps", O_RDONLY, 0);
    out_format(out, "\nMAPPED_LIBRARIES:\n");
    while (fd >= 0 &&
           (length = raw_syscall(SYS_read, fd, (long)room->maps, MAPS_BYTES, 0, 0, 0)) > 0) {
        struct text text = {room->maps, (size_t)length, MAPS_BYTES};
        out_text(out, &text);
    }
    if (fd >= 0)
        file_close(fd);
}

static int write_in(struct room *room, int fd) {
    struct sample_sums total = {0};
    if (load_relaxed(&sample_round) == 0)
        return ENODATA;
    out_to_descriptor(&room->out, fd);
    sample_walk(add, &total);
    out_format(&room->out, "heap profile: ");
    put_sums(&room->out, &total);
    out_format(&room->out, " heapprofile\n");
    sample_walk(put_stack, &room->out);
    put_mappings(room);
    return out_end(&room->out);
}

int profile_write(int fd) {
    struct room room;
    return write_in(&room, fd);
}

/* --- files ------------------------------------------------------------------------------------ */

/* %p stands for the process, %n for how many files it has written. Ended by 0. */
static void put_path(struct text *text, const char *path) {
    const unsigned values[] = {os_process_id(), load_relaxed(&files_written)};
    text_expand(text, path, "pn", values);
    text_format(text, "%c", 0);
    text->bytes[text->size - 1] = 0;
}

static COLD void complain(const char *path, int error) {
    TEXT(line, PATH_BYTES + 64);
    text_format(&line, "slabmalloc: profile: %s can't be written (error %d)\n", path, error);
    text_write_unread(&line, summary_descriptor());
}

static void write_file(struct room *room) {
    struct text path = {room->path, 0, PATH_BYTES};
    fetch_add_relaxed(&files_written, 1);
    put_path(&path, option_get(OPTION_profile) != 0 ? option_profile_path : default_path);
    if (strcmp(path.bytes, "stderr") == 0) {
        write_in(room, summary_descriptor());
        return;
    }
    int fd = file_open(path.bytes, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, FILE_MODE);
    int error = fd < 0 ? -fd : write_in(room, fd);
    if (fd >= 0)
        file_close(fd);
    if (error != 0)
        complain(path.bytes, error);
}

static void handle(int number) {
    int saved = errno;
    (void)number;
    if (!on_signal_begin(&handlers.writer))
        return;
    write_file(&handlers.room);
    on_signal_end(&handlers.writer);
    errno = saved;
}

void profile_set_up(struct text *complaints) {
    if (load_relaxed(&check_active)) {
        text_format(complaints, "slabmalloc: sample: there is no profile while checks are on\n");
        return;
    }
    sample_apply_options();
    on_signal("profile_signal", (unsigned)option_get(OPTION_profile_signal), handle, complaints);
}

static COLD void write_at_exit(void) {
    struct room room;
    write_file(&room);
}

AT_START void profile_at_exit(void) {
    if (option_get(OPTION_profile) != 0 && load_relaxed(&sample_round) != 0)
        write_at_exit();
}
