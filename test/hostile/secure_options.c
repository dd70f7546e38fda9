/* Purpose: a program that runs with more rights than who started it.
 *
 * Protects: SLABMALLOC_OPTIONS and SLABMALLOC_<NAME> are ignored where AT_SECURE is set (field case
 * A14): a set-user-ID program, and one with a file capability, which got the library by being
 * linked with it, print nothing for options that print in the same program without; the program's
 * own string holds for all. Needs root, to make such files and to start them as somebody else.
 *
 * secure_options plain|set_user_id|capability */
#include "hostile.h"

#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/xattr.h>

enum { NOBODY = 65534, NOT_SECURE = 9, CANNOT_START = 10, OTHER_VALUES = 11 };

const char *slabmalloc_options = "large_cache=3M,purge_delay=250";

/* The program's copy, which has no name any more: however the test ends, nothing with rights is
 * left behind. */
static int copy = -1;

static int give_rights(int fd, const char *how) {
    struct vfs_cap_data rights = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE};
    rights.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
    if (strcmp(how, "set_user_id") == 0)
        return fchmod(fd, 04755);
    if (fchmod(fd, 0755) != 0)
        return -1;
    if (strcmp(how, "capability") == 0)
        return fsetxattr(fd, "security.capability", &rights, sizeof rights, 0);
    return 0;
}

static void copy_self(const char *how) {
    static char bytes[1 << 16], path[] = "/tmp/slabmalloc-secure-XXXXXX";
    ssize_t n;
    int from = open("/proc/self/exe", O_RDONLY), to = mkstemp(path);
    CHECK(from >= 0 && to >= 0, "%s", strerror(errno));
    copy = open(path, O_RDONLY | O_CLOEXEC);
    unlink(path);
    CHECK(copy >= 0, "%s", strerror(errno));
    while ((n = read(from, bytes, sizeof bytes)) > 0)
        CHECK(write(to, bytes, (size_t)n) == n, "write");
    /* Last: writing to a file takes its rights away. */
    if (give_rights(to, how) != 0)
        SKIP("%s: %s", how, strerror(errno));
    close(from);
    close(to);
}

static void start(void *variable) {
    char *arguments[] = {(char *)"secure_options", (char *)"started", NULL},
         *environment[] = {(char *)"SLABMALLOC_PURGE_DELAY=5", variable, NULL};
    if (setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(CANNOT_START);
    fexecve(copy, arguments, environment);
    _exit(CANNOT_START);
}

static void check(const char *variable, bool secure) {
    static char text[16384];
    int status = child_collect(start, (void *)(uintptr_t)variable, text, sizeof text);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == CANNOT_START || code == 127)
        SKIP("another user cannot start the program: %s", text);
    if (secure && code == NOT_SECURE)
        SKIP("the system does not set AT_SECURE here (a nosuid file system?)");
    CHECK(code == (secure ? 0 : NOT_SECURE), "status %#x: %s", (unsigned)status, text);
    CHECK((text[0] == 0) == secure, "'%s' printed: %s", variable, text);
}

static bool has(const char *name, const char *value) {
    char text[64];
    return slm_option_get(name, text, sizeof text) && strcmp(text, value) == 0;
}

static int started(bool secure) {
    free(malloc(100));
    if (!has("large_cache", "3M") || !has("purge_delay", secure ? "250" : "5"))
        return OTHER_VALUES;
    return secure ? 0 : NOT_SECURE;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: secure_options plain|set_user_id|capability");
    if (strcmp(argv[1], "started") == 0) {
        return started(getauxval(AT_SECURE) != 0);
    }
    if (geteuid() != 0)
        SKIP("not root");
    copy_self(argv[1]);
    bool secure = strcmp(argv[1], "plain") != 0;
    check("SLABMALLOC_OPTIONS=help", secure);
    check("SLABMALLOC_OPTIONS=stats=exit", secure);
    check("SLABMALLOC_OPTIONS=nonsense=1", secure);
    check("SLABMALLOC_STATS=exit", secure);
    check("SLABMALLOC_LOG=stderr", secure);
    check("SLABMALLOC_ON_ERROR=nonsense", secure);
    return 0;
}
