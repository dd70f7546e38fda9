/* Purpose: whether a block was given back by a function of another family than it was made by.
 * Owns:    what is known of other operators.
 * Locking: none.
 *
 * A file that brings operators of its own, and keeps to them, makes with malloc here what it makes
 * with `new`; what others `delete`, then, who have found ours. (rust-lld and libLLVM, of which the
 * latter has libstdc++ inside of it and is linked with -Bsymbolic, have each other's blocks.) Where
 * there is such a file, these two families can't be told from each other. */
#include "check/check.h"
#include "os/apart.h"

/* Looked for again when there is one more: it may have been loaded since. But not each time, in a
 * program that goes on for ever in that way. */
enum { LOOKS = 64 };

struct other {
    uint32_t is_there, asked;
};

static bool is_there(struct other *other, const char *name) {
    if (load_relaxed(&other->is_there) != 0)
        return true;
    uint32_t count = fetch_add_relaxed(&other->asked, 1);
    if ((count >= LOOKS && (count & (count - 1)) != 0) || !os_is_defined_apart(name))
        return false;
    store_relaxed(&other->is_there, 1);
    return true;
}

bool check_is_mismatch(enum call made_by, enum call call) {
    static struct other other_new, other_delete;
    if (call_facts[made_by].family == FAMILY_MALLOC)
        return !is_there(&other_new, "_Znwm");
    return call != CALL_FREE || !is_there(&other_delete, "_ZdlPv");
}
