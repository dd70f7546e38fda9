/* Purpose: maps.h on Linux.
 * Owns:    nothing.
 * Source:  proc_pid_maps(5); proc_pid_smaps(5); proc_pid_pagemap(5): bit 63 present, 62 swapped, 61
 *          a file's page. */
#include "os/maps.h"

#include <string.h>

#include "base/syscall.h"
#include "os/file.h"
#include "os/look.h"
#include "os/os.h"

enum { BUFFER_BYTES = 512 };

/* --- the list --------------------------------------------------------------------------------- */

struct reader {
    int fd;
    size_t at, size;
    char buffer[BUFFER_BYTES];
};

/* The next byte, or -1 at the end. */
static int next_byte(struct reader *reader) {
    if (reader->at == reader->size) {
        long n = raw_syscall(SYS_read, reader->fd, (long)reader->buffer, BUFFER_BYTES, 0, 0, 0);
        if (n <= 0)
            return -1;
        reader->at = 0;
        reader->size = (size_t)n;
    }
    return (unsigned char)reader->buffer[reader->at++];
}

/* A hexadecimal number, and the byte behind it is passed. */
static uintptr_t read_number(struct reader *reader) {
    uintptr_t number = 0;
    for (;;) {
        int byte = next_byte(reader);
        if (byte >= '0' && byte <= '9')
            number = number << 4 | (uintptr_t)(byte - '0');
        else if (byte >= 'a' && byte <= 'f')
            number = number << 4 | (uintptr_t)(byte - 'a' + 10);
        else
            return number;
    }
}

/* "rw-p " */
static void read_permissions(struct reader *reader, struct os_mapping *mapping) {
    mapping->reads = next_byte(reader) == 'r';
    mapping->writes = next_byte(reader) == 'w';
    next_byte(reader);
    mapping->is_shared = next_byte(reader) == 's';
    next_byte(reader);
}

static void skip_word(struct reader *reader) {
    int byte;
    do
        byte = next_byte(reader);
    while (byte != ' ' && byte != '\n' && byte != -1);
}

/* The last part of the path that ends the line. False: the end of the file. */
static bool read_name(struct reader *reader, char *name) {
    size_t used = 0;
    for (;;) {
        int byte = next_byte(reader);
        if (byte == -1 || byte == '\n') {
            name[used] = 0;
            return byte == '\n';
        }
        if (byte == '/' || (byte == ' ' && used == 0))
            used = 0;
        else if (used < OS_MAPPING_NAME_BYTES - 1)
            name[used++] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
    }
}

/* start-end permissions offset device inode path */
static bool read_mapping(struct reader *reader, struct os_mapping *mapping) {
    mapping->start = read_number(reader);
    mapping->end = read_number(reader);
    read_permissions(reader, mapping);
    mapping->offset = read_number(reader);
    skip_word(reader);
    skip_word(reader);
    return read_name(reader, mapping->name);
}

bool os_maps_walk(bool (*visit)(const struct os_mapping *mapping, void *context), void *context) {
    struct reader reader;
    struct os_mapping mapping;
    reader.at = reader.size = 0;
    reader.fd = file_open("/proc/self/maps", O_RDONLY, 0);
    if (reader.fd < 0)
        return false;
    while (read_mapping(&reader, &mapping) && visit(&mapping, context))
        continue;
    file_close(reader.fd);
    return true;
}

/* --- huge pages ------------------------------------------------------------------------------- */

/* "Name:      1234 kB", of which `byte` is the first. True: the name is this one. */
static bool read_figure(struct reader *reader, int byte, const char *name, size_t *kib) {
    size_t at = 0;
    while (byte != ':' && byte != '\n' && byte != -1) {
        at = at != SIZE_MAX && name[at] != 0 && name[at] == byte ? at + 1 : SIZE_MAX;
        byte = next_byte(reader);
    }
    bool found = at != SIZE_MAX && name[at] == 0;
    for (*kib = 0; byte != '\n' && byte != -1; byte = next_byte(reader))
        if (byte >= '0' && byte <= '9')
            *kib = *kib * 10 + (size_t)(byte - '0');
    return found;
}

/* After a mapping's own line come lines that begin with a capital letter. */
bool os_huge_pages_walk(void (*visit)(const struct os_mapping *mapping, size_t huge_bytes,
                                      void *context),
                        void *context) {
    struct reader reader;
    struct os_mapping mapping;
    bool told = false;
    reader.at = reader.size = 0;
    reader.fd = file_open("/proc/self/smaps", O_RDONLY, 0);
    if (reader.fd < 0)
        return false;
    while (read_mapping(&reader, &mapping)) {
        int byte;
        size_t kib;
        while ((byte = next_byte(&reader)) >= 'A' && byte <= 'Z')
            if (read_figure(&reader, byte, "AnonHugePages", &kib)) {
                told = true;
                if (kib > 0)
                    visit(&mapping, kib << 10, context);
            }
        if (byte != -1)
            reader.at--;
    }
    file_close(reader.fd);
    return told;
}

/* --- pages ------------------------------------------------------------------------------------ */

void os_page_view_begin(struct os_page_view *view) {
    view->pagemap = file_open("/proc/self/pagemap", O_RDONLY, 0);
}

void os_page_view_end(struct os_page_view *view) {
    if (view->pagemap >= 0)
        file_close(view->pagemap);
}

static bool read_pagemap(int fd, uintptr_t address, size_t pages, unsigned char *own) {
    uint64_t entries[64];
    for (size_t done = 0; done < pages;) {
        size_t count = pages - done < 64 ? pages - done : 64;
        long offset = (long)((address / os_page_bytes + done) * sizeof *entries);
        long n = raw_syscall(SYS_pread64, fd, (long)entries, (long)(count * sizeof *entries),
                             offset, 0, 0);
        if (n != (long)(count * sizeof *entries))
            return false;
        for (size_t i = 0; i < count; i++)
            own[done + i] = entries[i] >> 62 != 0 && (entries[i] >> 61 & 1) == 0;
        done += count;
    }
    return true;
}

void os_page_look(const struct os_page_view *view, uintptr_t address, size_t pages,
                  unsigned char *own) {
    if (view->pagemap >= 0 && read_pagemap(view->pagemap, address, pages, own))
        return;
    if (os_look_resident(address, pages, own) != 0)
        memset(own, 1, pages);
}
