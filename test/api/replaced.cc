// Protects: a program may define some of the operators new and delete, or malloc, itself. The forms
// that it does not define then end in those that it does, as [new.delete] says of the standard
// library's and as libstdc++ does it. Prints which of its own functions were called by which form;
// without the library it must print the same.
//
// REPLACED is a sum of: 1 new, delete; 2 new[], delete[]; 4 aligned new, delete; 8 delete alone,
// which counts; 16 malloc, calloc, realloc, free and what aligns, out of an array of its own; 32
// sized delete; 64, with 16, of what aligns not aligned_alloc; 128 not posix_memalign; 256
// not memalign. (Which of them libstdc++ calls depends on its version.)
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

char text[1 << 16];
std::size_t used;

void say(const char *words) {
    std::size_t length = strlen(words);
    if (used + length < sizeof text) {
        memcpy(text + used, words, length);
        used += length;
    }
}

const std::size_t huge = PTRDIFF_MAX - 100000;

// What comes in front of a block, so that no other free would do.
constexpr std::size_t front = 64;

[[maybe_unused]] void *with_front(const char *words, std::size_t size) {
    say(words);
    char *block = size < huge ? static_cast<char *>(malloc(front + size)) : nullptr;
    if (block == nullptr)
        throw std::bad_alloc();
    memcpy(block, "front", 6);
    return block + front;
}

[[maybe_unused]] void free_with_front(const char *words, void *pointer) {
    say(words);
    if (pointer == nullptr)
        return;
    char *block = static_cast<char *>(pointer) - front;
    if (memcmp(block, "front", 6) != 0)
        say("(NOT OURS)");
    memset(block, 0, 6);
    free(block);
}

} // namespace

#if REPLACED & 1
void *operator new(std::size_t size) { return with_front(" new", size); }
void operator delete(void *pointer) noexcept { free_with_front(" delete", pointer); }
#endif

#if REPLACED & 2
void *operator new[](std::size_t size) { return with_front(" new[]", size); }
void operator delete[](void *pointer) noexcept { free_with_front(" delete[]", pointer); }
#endif

#if REPLACED & 4
void *operator new(std::size_t size, std::align_val_t alignment) {
    say(" new_aligned");
    std::size_t unit = static_cast<std::size_t>(alignment);
    char *block =
        size < huge ? static_cast<char *>(aligned_alloc(unit, (size / unit + 2) * unit)) : nullptr;
    if (block == nullptr)
        throw std::bad_alloc();
    return block + unit;
}
void operator delete(void *pointer, std::align_val_t alignment) noexcept {
    say(" delete_aligned");
    if (pointer != nullptr)
        free(static_cast<char *>(pointer) - static_cast<std::size_t>(alignment));
}
#endif

#if REPLACED & 8
void operator delete(void *pointer) noexcept {
    say(" delete");
    free(pointer);
}
#endif

#if REPLACED & 32
void operator delete(void *pointer, std::size_t) noexcept {
    say(" delete_sized");
    ::operator delete(pointer);
}
#endif

#if REPLACED & 16
namespace {
alignas(4096) char arena[1 << 22];
std::size_t arena_used;
bool is_traced;

void *take(const char *words, std::size_t alignment, std::size_t size) {
    if (is_traced)
        say(words);
    std::size_t start = (arena_used + 16 + alignment - 1) & ~(alignment - 1);
    if (size > sizeof arena - start)
        return nullptr;
    arena_used = start + size;
    memcpy(arena + start - 8, &size, 8);
    return arena + start;
}

std::size_t size_of(void *pointer) {
    std::size_t size = 0;
    if (static_cast<char *>(pointer) < arena ||
        static_cast<char *>(pointer) >= arena + sizeof arena)
        say("(NOT OURS)");
    else
        memcpy(&size, static_cast<char *>(pointer) - 8, 8);
    return size;
}
} // namespace

extern "C" {
void *malloc(std::size_t size) { return take(" malloc", 16, size); }
#if !(REPLACED & 64)
void *aligned_alloc(std::size_t alignment, std::size_t size) {
    return take(" aligned", alignment, size);
}
#endif
#if !(REPLACED & 128)
int posix_memalign(void **result, std::size_t alignment, std::size_t size) {
    if (alignment < sizeof(void *))
        return EINVAL;
    *result = take(" aligned", alignment, size);
    return *result != nullptr ? 0 : ENOMEM;
}
#endif
#if !(REPLACED & 256)
void *memalign(std::size_t alignment, std::size_t size) {
    return take(" aligned", alignment, size);
}
#endif
void *calloc(std::size_t count, std::size_t size) { return take(" calloc", 16, count * size); }
void free(void *pointer) {
    if (is_traced)
        say(" free");
    if (pointer != nullptr)
        size_of(pointer);
}
void *realloc(void *pointer, std::size_t size) {
    void *resized = take(" realloc", 16, size);
    std::size_t old = pointer == nullptr ? 0 : size_of(pointer);
    if (resized != nullptr && pointer != nullptr)
        memcpy(resized, pointer, old < size ? old : size);
    return resized;
}
}
#endif

namespace {

const std::align_val_t alignment{256};
const std::nothrow_t &quiet = std::nothrow;

void *check(void *pointer, std::size_t unit) {
    if (pointer == nullptr || reinterpret_cast<std::uintptr_t>(pointer) % unit != 0)
        say("(WRONG)");
    else
        memset(pointer, 1, 40);
    return pointer;
}

void *plain(void *pointer) { return check(pointer, 16); }
void *aligned(void *pointer) { return check(pointer, 256); }

#define TRY(form)                                                                                  \
    do {                                                                                           \
        say(#form ":");                                                                            \
        form;                                                                                      \
        say("\n");                                                                                 \
    } while (0)

template <typename Function> void expect_bad_alloc(Function function) {
    try {
        function();
        say("(NO EXCEPTION)");
    } catch (const std::bad_alloc &) {
        say(" bad_alloc");
    }
}

void expect_null(void *pointer) { say(pointer == nullptr ? " null" : "(NOT NULL)"); }

struct __attribute__((aligned(256))) wide {
    char bytes[256];
    ~wide() { bytes[0] = 0; }
};

struct thing {
    char bytes[40];
    ~thing() { bytes[0] = 0; }
};

void try_all() {
    TRY(operator delete(plain(operator new(40))));
    TRY(operator delete(plain(operator new(40)), std::size_t(40)));
    TRY(operator delete(plain(operator new(40, quiet)), quiet));
    TRY(operator delete[](plain(operator new[](40))));
    TRY(operator delete[](plain(operator new[](40)), std::size_t(40)));
    TRY(operator delete[](plain(operator new[](40, quiet)), quiet));
    TRY(operator delete(aligned(operator new(40, alignment)), alignment));
    TRY(operator delete(aligned(operator new(40, alignment)), std::size_t(40), alignment));
    TRY(operator delete(aligned(operator new(40, alignment, quiet)), alignment, quiet));
    TRY(operator delete[](aligned(operator new[](40, alignment)), alignment));
    TRY(operator delete[](aligned(operator new[](40, alignment)), std::size_t(40), alignment));
    TRY(operator delete[](aligned(operator new[](40, alignment, quiet)), alignment, quiet));
    TRY(operator delete(operator new(0), std::size_t(0)));
    TRY(operator delete(plain(operator new(200000)), std::size_t(200000)));
    TRY(operator delete(static_cast<void *>(nullptr), std::size_t(1)));
    TRY(operator delete[](static_cast<void *>(nullptr), alignment));
    TRY(expect_bad_alloc([] { plain(operator new(huge)); }));
    TRY(expect_bad_alloc([] { plain(operator new[](huge)); }));
    TRY(expect_null(operator new(huge, quiet)));
    TRY(expect_null(operator new[](huge, quiet)));
    TRY(expect_bad_alloc([] { aligned(operator new(huge, alignment)); }));
    TRY(expect_bad_alloc([] { aligned(operator new[](huge, alignment)); }));
    TRY(expect_null(operator new(huge, alignment, quiet)));
    TRY(expect_null(operator new[](huge, alignment, quiet)));
    TRY(delete new thing);
    TRY(delete[] new thing[3]);
    TRY(delete new wide);
    TRY(delete[] new wide[3]);
    TRY(std::string(100, 's'));
    TRY(std::vector<wide>(2));
    TRY(free(reallocarray(memset(malloc(10), 1, 10), 20, 10)));
    TRY(free(reallocarray(nullptr, 20, 10)));
    TRY(free(strdup("text")));
}

} // namespace

int main() {
#if REPLACED & 16
    is_traced = true;
#endif
    try_all();
    for (int i = 0; i < 300; i++) // the hot paths stay closed
        delete new thing;
    say(" end\n");
    return write(1, text, used) == static_cast<ssize_t>(used) ? 0 : 1;
}
