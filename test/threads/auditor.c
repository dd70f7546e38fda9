/* An LD_AUDIT library that allocates. It lives in a namespace of its own with another libc, and the
 * loader keeps room for its thread-local variables from the same place as for ours (A1, A16). */
#include <link.h>
#include <stdlib.h>

static __thread char room[64];

unsigned int la_version(unsigned int version) {
    room[0] = 1;
    free(malloc(1000));
    return version;
}

unsigned int la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie) {
    (void)map;
    (void)namespace;
    (void)cookie;
    free(calloc(1, 100));
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
