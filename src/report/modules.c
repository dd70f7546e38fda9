/* Purpose: modules.h. The kernel's list of mappings is read with bare system calls: dladdr takes
 *          the loader's lock. */
#include "report/modules.h"

#include <fcntl.h>
#include <stdbool.h>

#include "base/syscall.h"

enum { BUFFER_BYTES = 512, NAME_BYTES = 64 };

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
        else if (used < NAME_BYTES - 1)
            name[used++] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
    }
}

/* start-end permissions offset device inode path */
static bool find(struct reader *reader, uintptr_t address, char *name, uintptr_t *offset) {
    bool more = true;
    while (more) {
        uintptr_t start = read_number(reader);
        uintptr_t end = read_number(reader);
        skip_word(reader);
        *offset = read_number(reader) + (address - start);
        skip_word(reader);
        skip_word(reader);
        more = read_name(reader, name);
        if (address - start < end - start)
            return name[0] != 0;
    }
    return false;
}

void modules_put(struct text *text, uintptr_t address) {
    struct reader reader;
    char name[NAME_BYTES];
    uintptr_t offset;
    text_format(text, "%p", (void *)address);
    reader.at = reader.size = 0;
    reader.fd = (int)raw_syscall(SYS_openat, AT_FDCWD, (long)"/proc/self/maps",
                                 O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (reader.fd < 0)
        return;
    if (find(&reader, address, name, &offset))
        text_format(text, " (%s+%p)", name, (void *)offset);
    raw_syscall(SYS_close, reader.fd, 0, 0, 0, 0, 0);
}
