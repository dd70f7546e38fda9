/* Purpose: the heap where an emulator of user programs runs the process.
 *
 * Protects: qemu-user 7.2 gives its programs no vDSO, and keeps a record of each page that they
 * reserve: 12 GB, and 20 seconds at each start, for 2 TiB. A process that has no vDSO
 * reserves little, and more when it needs that; what lies in later ranges is served, and a wrong
 * free there is told, as anywhere. errno stays as it is, though getauxval sets it.
 *
 * (test/preload has a case with qemu itself.) */
#include "hostile.h"

#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <sys/auxv.h>

#define RESERVED_AT_START_MAX (3 * 1024 * MIB)
#define RESIDENT_MAX (200 * MIB)

enum { OF_SMALL = 40000, SMALL_BYTES = 64 << 10 };
enum { OF_TINY = 600000, TINY_BYTES = 4096 };
#define LIVE_BYTES ((size_t)OF_SMALL * SMALL_BYTES + (size_t)OF_TINY * TINY_BYTES)

static bool hidden;

/* In the library's place of libc's. The vector lies behind the environment. */
unsigned long getauxval(unsigned long type) {
    char **end = environ;
    while (*end++ != NULL) {
    }
    for (const ElfW(auxv_t) *entry = (void *)end; entry->a_type != AT_NULL; entry++)
        if (entry->a_type == type && type != AT_SYSINFO_EHDR)
            return entry->a_un.a_val;
    hidden |= type == AT_SYSINFO_EHDR;
    errno = ENOENT;
    return 0;
}

static void **allocate(size_t count, size_t bytes) {
    void **blocks = calloc(count, sizeof *blocks);
    CHECK(blocks != NULL, "no table");
    for (size_t i = 0; i < count; i++) {
        errno = 0;
        blocks[i] = malloc(bytes); /* not touched */
        CHECK(blocks[i] != NULL && errno == 0, "block %zu: errno %d", i, errno);
        CHECK(malloc_usable_size(blocks[i]) >= bytes, "block %zu", i);
    }
    return blocks;
}

static void free_twice(void *argument) {
    free(argument);
    free(argument);
}

static void release(void **blocks, size_t count, size_t bytes) {
    char said[1024];
    memset(blocks[0], 1, bytes);
    memset(blocks[count - 1], 2, bytes);
    int status = child_collect(free_twice, blocks[count - 1], said, sizeof said);
    CHECK(aborted(status), "status %d", status);
    CHECK(strstr(said, "slabmalloc: double free") != NULL, "said: %s", said);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    free(blocks);
}

int main(void) {
    size_t at_start = mapped_bytes();
    CHECK(hidden, "the library has not asked for the vDSO");
    CHECK(at_start <= RESERVED_AT_START_MAX, "%zu MiB at the start", at_start / MIB);
    for (int round = 0; round < 2; round++) {
        void **small = allocate(OF_SMALL, SMALL_BYTES);
        void **tiny = allocate(OF_TINY, TINY_BYTES);
        CHECK(rss_bytes() <= RESIDENT_MAX, "%zu MiB resident", rss_bytes() / MIB);
        CHECK(mapped_bytes() >= LIVE_BYTES, "%zu MiB reserved", mapped_bytes() / MIB);
        release(small, OF_SMALL, SMALL_BYTES);
        release(tiny, OF_TINY, TINY_BYTES);
    }
    printf("%zu MiB reserved at the start, %zu at the end\n", at_start / MIB,
           mapped_bytes() / MIB);
    return 0;
}
