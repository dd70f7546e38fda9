// Protects: in a C++ program every name of exports.txt resolves to this library at run time, by the
// dynamic linker's own lookup and by what the program itself was bound to (field case 25).
// Usage: symbols_resolve EXPORTS
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <malloc.h>
#include <new>
#include <string>

static int failures;

static void expect_ours(const char *how, const char *name, void *symbol) {
    Dl_info info;
    if (symbol != nullptr && dladdr(symbol, &info) != 0 &&
        strstr(info.dli_fname, "libslabmalloc.so") != nullptr)
        return;
    printf("%s: %s is not ours\n", how, name);
    failures++;
}

template <typename... Arguments> static void bound(const char *name, void *(*f)(Arguments...)) {
    expect_ours("bound", name, reinterpret_cast<void *>(f));
}
template <typename... Arguments>
static void bound_delete(const char *name, void (*f)(Arguments...)) {
    expect_ours("bound", name, reinterpret_cast<void *>(f));
}

using std::align_val_t;
using std::nothrow_t;
using std::size_t;

static void check_bindings() {
    bound<size_t>("malloc", malloc);
    bound<size_t, size_t>("calloc", calloc);
    bound<void *, size_t>("realloc", realloc);
    bound<size_t>("new", ::operator new);
    bound<size_t>("new[]", ::operator new[]);
    bound<size_t, const nothrow_t &>("new nothrow", ::operator new);
    bound<size_t, const nothrow_t &>("new[] nothrow", ::operator new[]);
    bound<size_t, align_val_t>("new aligned", ::operator new);
    bound<size_t, align_val_t>("new[] aligned", ::operator new[]);
    bound<size_t, align_val_t, const nothrow_t &>("new aligned nothrow", ::operator new);
    bound<size_t, align_val_t, const nothrow_t &>("new[] aligned nothrow", ::operator new[]);
    bound_delete<void *>("free", free);
    bound_delete<void *>("delete", ::operator delete);
    bound_delete<void *>("delete[]", ::operator delete[]);
    bound_delete<void *, size_t>("delete sized", ::operator delete);
    bound_delete<void *, size_t>("delete[] sized", ::operator delete[]);
    bound_delete<void *, align_val_t>("delete aligned", ::operator delete);
    bound_delete<void *, align_val_t>("delete[] aligned", ::operator delete[]);
    bound_delete<void *, size_t, align_val_t>("delete sized aligned", ::operator delete);
    bound_delete<void *, size_t, align_val_t>("delete[] sized aligned", ::operator delete[]);
    bound_delete<void *, const nothrow_t &>("delete nothrow", ::operator delete);
    bound_delete<void *, const nothrow_t &>("delete[] nothrow", ::operator delete[]);
    bound_delete<void *, align_val_t, const nothrow_t &>("delete aligned nothrow",
                                                         ::operator delete);
    bound_delete<void *, align_val_t, const nothrow_t &>("delete[] aligned nothrow",
                                                         ::operator delete[]);
}

int main(int argc, char **argv) {
    FILE *list = argc == 2 ? fopen(argv[1], "r") : nullptr;
    char line[128];
    int names = 0;
    if (list == nullptr)
        return 2;
    while (fgets(line, sizeof line, list) != nullptr) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#' || line[0] == 0)
            continue;
        expect_ours("looked up", line, dlsym(RTLD_DEFAULT, line));
        names++;
    }
    fclose(list);
    check_bindings();
    printf("%d names\n", names);
    return failures != 0 || names < 70;
}
