// Protects: in a program that is not position-independent, the address of a function that it takes
// is that of its own stub, for everybody: malloc and the operators are ours nevertheless. With
// check_kinds, a block of new that is freed by free is told; it would not be if new ended in a
// malloc of the program's (replaced.cc).
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <new>

#ifndef NO_STUBS
#define NO_STUBS 0
#endif

using taker = void *(std::size_t);
using giver = void(void *);

int main() {
    taker *volatile takers[] = {malloc, operator new, operator new[] };
    giver *volatile givers[] = {free, operator delete, operator delete[] };
    if (!NO_STUBS && reinterpret_cast<void *>(takers[0]) == dlsym(RTLD_DEFAULT, "slm_malloc")) {
        printf("skipped: this compiler makes no stubs\n");
        return 77;
    }
    for (taker *take : takers)
        for (giver *give : givers)
            give(take(40));
    return 0;
}
