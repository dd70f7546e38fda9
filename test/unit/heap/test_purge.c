/* Protects: a system that answers "done" to madvise and does nothing: no memory counts as zero that
 * is not (field cases 13 and D9). A seccomp filter plays that system, in this test's process. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../expect.h"
#include "os/os.h"
#include "slabmalloc/slabmalloc.h"

/* From now on madvise returns -error without being run; 0 means success. */
static void fake_madvise(unsigned error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    EXPECT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void expect_zero_after_purge(void) {
    static const size_t sizes[] = {16, 1000, 5000, 50000, 131072, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *blocks[64];
        for (size_t k = 0; k < 64; k++) {
            blocks[k] = slm_malloc(sizes[i]);
            memset(blocks[k], 0x5a, sizes[i]);
        }
        for (size_t k = 0; k < 64; k++)
            slm_free(blocks[k]);
        slm_malloc_trim(0);
        for (size_t k = 0; k < 64; k++) {
            blocks[k] = slm_calloc(1, sizes[i]);
            for (size_t at = 0; at < sizes[i]; at++)
                EXPECT_EQ(blocks[k][at], 0);
        }
        for (size_t k = 0; k < 64; k++)
            slm_free(blocks[k]);
    }
}

Test(purge, that_is_answered_and_not_done_leaves_nothing_counted_as_zero) {
    fake_madvise(0);
    expect_zero_after_purge();
}

Test(purge, that_is_refused_leaves_nothing_counted_as_zero) {
    fake_madvise(EINVAL);
    expect_zero_after_purge();
}

Test(purge, that_is_done_gives_zeros) { expect_zero_after_purge(); }
