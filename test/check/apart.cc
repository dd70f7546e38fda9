/* A program and a library (apart_library.cc) that have each other's blocks.
 *
 *   check_apart SCENE [LIBRARY] */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

static void *library;

template <typename Function> static Function *find(const char *name) {
    void *found = dlsym(library, name);
    if (found == nullptr)
        std::exit(2);
    return reinterpret_cast<Function *>(found);
}

/* The optimiser may leave out what it sees through. */
template <typename Pointer> static Pointer hidden(Pointer pointer) {
    __asm__ volatile("" : "+r"(pointer));
    return pointer;
}

static void exchange() {
    for (int i = 0; i < 200; i++) {
        delete find<long *()>("apart_make")();
        delete[] find<long *()>("apart_make_many")();
        find<void(long *)>("apart_drop")(hidden(new long(2)));
        find<void(long *)>("apart_drop_many")(hidden(new long[7]()));
    }
}

int main(int count, char **arguments) {
    const char *scene = count > 1 ? arguments[1] : "";
    if (count > 2 && (library = dlopen(arguments[2], RTLD_NOW)) == nullptr)
        return 3;
    if (std::strcmp(scene, "exchange") == 0)
        exchange();
    else if (std::strcmp(scene, "malloc_delete") == 0)
        delete static_cast<long *>(hidden(std::malloc(sizeof(long))));
    else if (std::strcmp(scene, "new_free") == 0)
        std::free(hidden(new long(3)));
    else if (std::strcmp(scene, "new_array_delete") == 0)
        delete hidden(new long[5]());
    else
        return 4;
    std::puts("whole");
    return 0;
}
