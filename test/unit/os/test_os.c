/* Protects: the contract of os.h, against the kernel: what is readable, writable and zero after
 * each call, that a failure changes nothing, errno, and the schedule of injected failures. */
#include "../expect.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int pipe_ends[2];

static void set_up(void) {
    quiet_os();
    EXPECT(pipe(pipe_ends) == 0);
}

/* Asks the kernel, which says EFAULT where an access of ours would be a signal. */
static bool can_read(const char *address) {
    char byte;
    return write(pipe_ends[1], address, 1) == 1 && read(pipe_ends[0], &byte, 1) == 1;
}

/* Leaves an 'x' there. */
static bool can_write(char *address) {
    char byte = 'x';
    EXPECT(write(pipe_ends[1], &byte, 1) == 1);
    if (read(pipe_ends[0], address, 1) == 1)
        return true;
    EXPECT(read(pipe_ends[0], &byte, 1) == 1);
    return false;
}

static bool is_mapped(char *address) {
    unsigned char vector;
    return mincore(address, os_page_bytes, &vector) == 0;
}

static bool is_resident(char *address) {
    unsigned char vector = 0;
    EXPECT(mincore(address, os_page_bytes, &vector) == 0);
    return vector & 1;
}

static bool reads_as(const char *memory, char byte, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (memory[i] != byte)
            return false;
    return true;
}

Test(os, the_page_size_is_the_system_s, .init = set_up) {
    EXPECT_EQ(os_page_bytes, sysconf(_SC_PAGESIZE));
}

Test(os, reserved_memory_can_not_be_accessed, .init = set_up) {
    char *memory = os_reserve(64 * os_page_bytes);
    EXPECT(memory != NULL);
    EXPECT_EQ((uintptr_t)memory % os_page_bytes, 0);
    EXPECT(is_mapped(memory) && is_mapped(memory + 63 * os_page_bytes));
    EXPECT(!can_read(memory) && !can_write(memory));
    EXPECT(os_unmap(memory, 64 * os_page_bytes));
}

Test(os, reserved_memory_becomes_writable_by_parts, .init = set_up) {
    size_t page = os_page_bytes;
    char *memory = os_reserve(8 * page);
    EXPECT(os_commit(memory + page, 2 * page));
    EXPECT(!can_read(memory + page - 1) && !can_write(memory + page - 1));
    EXPECT(reads_as(memory + page, 0, 2 * page));
    memset(memory + page, 7, 2 * page);
    EXPECT(!can_read(memory + 3 * page));

    EXPECT(os_commit(memory + page, page));
    EXPECT(reads_as(memory + page, 7, 2 * page));
    EXPECT(os_unmap(memory, 8 * page));
}

Test(os, mapped_memory_is_zero_and_writable, .init = set_up) {
    size_t bytes = 16 * os_page_bytes;
    char *memory = os_map(bytes);
    EXPECT(memory != NULL && reads_as(memory, 0, bytes));
    EXPECT_EQ((uintptr_t)memory % os_page_bytes, 0);
    memset(memory, 1, bytes);
    EXPECT(os_unmap(memory, bytes));
    EXPECT(!is_mapped(memory));
}

Test(os, unmapping_the_middle_leaves_the_ends, .init = set_up) {
    size_t page = os_page_bytes;
    char *memory = os_map(3 * page);
    memset(memory, 9, 3 * page);
    EXPECT(os_unmap(memory + page, page));
    EXPECT(!is_mapped(memory + page));
    EXPECT(reads_as(memory, 9, page) && reads_as(memory + 2 * page, 9, page));
}

Test(os, purged_memory_reads_as_zero_and_is_not_resident, .init = set_up) {
    size_t page = os_page_bytes;
    char *memory = os_map(8 * page);
    memset(memory, 5, 8 * page);
    EXPECT(is_resident(memory + 2 * page));
    EXPECT(os_purge(memory + 2 * page, 4 * page));
    for (size_t i = 0; i < 8; i++)
        EXPECT_AT(is_resident(memory + i * page) == (i < 2 || i >= 6), i);
    EXPECT(reads_as(memory + 2 * page, 0, 4 * page));
    EXPECT(reads_as(memory, 5, 2 * page) && reads_as(memory + 6 * page, 5, 2 * page));
}

Test(os, locked_memory_is_not_purged_and_says_so, .init = set_up) {
    char *memory = os_map(os_page_bytes);
    memset(memory, 5, os_page_bytes);
    /* The bare call: the address sanitizer's mlock does nothing. */
    if (syscall(SYS_mlock, memory, os_page_bytes) != 0)
        cr_skip_test("this system lets nobody lock a page");
    EXPECT(!os_purge(memory, os_page_bytes));
    EXPECT(reads_as(memory, 5, os_page_bytes));
}

Test(os, a_mapping_is_resized_in_place_or_moved_with_its_contents, .init = set_up) {
    size_t page = os_page_bytes;
    char *memory = os_map(4 * page);
    memset(memory, 3, 4 * page);
    EXPECT(os_remap(memory, 4 * page, 2 * page, false) == memory);
    EXPECT(!is_mapped(memory + 2 * page) && reads_as(memory, 3, 2 * page));

    char *moved = os_remap(memory, 2 * page, 1000 * page, true);
    EXPECT(moved != NULL);
    EXPECT(reads_as(moved, 3, 2 * page) && reads_as(moved + 2 * page, 0, 998 * page));
    EXPECT(moved == memory || !is_mapped(memory));
}

Test(os, a_mapping_with_no_room_behind_it_grows_only_by_moving, .init = set_up) {
    size_t page = os_page_bytes;
    char *memory = os_map(2 * page);
    memset(memory, 3, 2 * page);
    EXPECT(os_remap(memory, page, 2 * page, false) == NULL);
    EXPECT(reads_as(memory, 3, 2 * page));
    char *moved = os_remap(memory, page, 2 * page, true);
    EXPECT(moved != NULL && moved != memory);
    EXPECT(reads_as(moved, 3, page) && reads_as(moved + page, 0, page));
    EXPECT(!is_mapped(memory) && reads_as(memory + page, 3, page));
}

Test(os, impossible_calls_fail_and_keep_errno, .init = set_up) {
    size_t page = os_page_bytes;
    size_t too_much = (size_t)1 << 62;
    char *memory = os_map(page);
    char *gone = os_map(page);
    EXPECT(os_unmap(gone, page));
    errno = 77;
    EXPECT(os_reserve(too_much) == NULL);
    EXPECT(os_map(too_much) == NULL);
    EXPECT(!os_commit(gone, page));
    EXPECT(!os_purge(gone, page));
    EXPECT(!os_unmap(memory + 1, page));
    EXPECT(os_remap(memory, page, too_much, true) == NULL);
    EXPECT_EQ(errno, 77);
    EXPECT(is_mapped(memory));
}

Test(os, the_address_limit_is_rlimit_as, .init = set_up) {
    struct rlimit limit;
    EXPECT(getrlimit(RLIMIT_AS, &limit) == 0);
    EXPECT_EQ(os_address_limit(), limit.rlim_cur);
    limit.rlim_cur = (rlim_t)1 << 50;
    if (setrlimit(RLIMIT_AS, &limit) == 0)
        EXPECT_EQ(os_address_limit(), (uint64_t)1 << 50);
}

Test(os, the_clock_never_goes_back) {
    uint64_t last = os_clock_ms();
    uint64_t start = last;
    EXPECT(last > 0);
    while (last < start + 20) {
        uint64_t now = os_clock_ms();
        EXPECT(now >= last);
        last = now;
    }
}

static uint32_t waited_for;

static void *wait_for_change(void *unused) {
    while (__atomic_load_n(&waited_for, __ATOMIC_ACQUIRE) == 1)
        os_wait(&waited_for, 1);
    return unused;
}

Test(os, waiters_wake_and_nobody_waits_for_another_value, .timeout = 60) {
    pthread_t threads[3];
    waited_for = 0;
    os_wait(&waited_for, 1);
    os_wake(&waited_for, 1);
    waited_for = 1;
    for (unsigned i = 0; i < 3; i++)
        EXPECT(pthread_create(&threads[i], NULL, wait_for_change, NULL) == 0);
    __atomic_store_n(&waited_for, 2, __ATOMIC_RELEASE);
    os_wake(&waited_for, INT32_MAX);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

/* --- fault injection ---- */

Test(os_inject, lets_some_pass_fails_some_and_passes_again, .init = set_up) {
    os_inject(OS_MAP, 2, 3);
    for (int i = 0; i < 10; i++)
        EXPECT_AT((os_map(os_page_bytes) == NULL) == (i >= 2 && i < 5), i);
    EXPECT_EQ(os_injected(), 3);
    os_inject(OS_MAP, 0, 1);
    EXPECT_EQ(os_injected(), 0);
    EXPECT(os_map(os_page_bytes) == NULL);
    EXPECT(os_map(os_page_bytes) != NULL);
    EXPECT_EQ(os_injected(), 1);
}

Test(os_inject, fails_only_the_calls_it_names, .init = set_up) {
    size_t page = os_page_bytes;
    char *memory = os_map(2 * page);
    memset(memory, 4, 2 * page);
    os_inject(OS_UNMAP | OS_PURGE | OS_REMAP | OS_RESERVE | OS_COMMIT, 0, 5);
    EXPECT(os_map(page) != NULL);
    EXPECT(!os_unmap(memory, 2 * page));
    EXPECT(!os_purge(memory, 2 * page));
    EXPECT(os_remap(memory, 2 * page, page, true) == NULL);
    EXPECT(os_reserve(page) == NULL);
    EXPECT(!os_commit(memory, page));
    EXPECT_EQ(os_injected(), 5);
    EXPECT(reads_as(memory, 4, 2 * page));
    EXPECT(os_unmap(memory, 2 * page));
}

Test(os_inject, nothing_named_is_nothing_failed, .init = set_up) {
    os_inject(OS_MAP, 0, 100);
    EXPECT(os_map(os_page_bytes) == NULL);
    os_inject(0, 0, 100);
    EXPECT(os_map(os_page_bytes) != NULL);
    EXPECT_EQ(os_injected(), 0);
}
