// Protects: the end of a process: atexit handlers, destructors of statics and functions of
// .fini_array free many live objects, of other threads too, and allocate, while detached threads go
// on allocating (field case 7).
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

#ifndef SLOWNESS
#define SLOWNESS 1
#endif
constexpr size_t objects = 1000000 / SLOWNESS;

// Set by one part, read by later ones. _exit at the end says whether all ran.
size_t freed_by_static, freed_by_handler;
char **for_handler, **for_fini;

[[noreturn]] void fail(const char *what) {
    std::fprintf(stderr, "after_main: %s\n", what);
    _exit(1);
}

struct Static {
    std::vector<std::unique_ptr<std::string>> strings;
    ~Static() {
        for (auto &string : strings) {
            if (string->size() != 30)
                fail("a static's string is damaged");
            string.reset();
            freed_by_static++;
        }
        std::string more(5000, 'm');
        strings.push_back(std::make_unique<std::string>(more));
    }
} of_main, of_threads;

char **make_array() {
    auto **array = static_cast<char **>(std::calloc(objects, sizeof(char *)));
    for (size_t i = 0; i < objects; i++) {
        array[i] = static_cast<char *>(std::malloc(16 + i % 600));
        array[i][0] = static_cast<char>(i);
    }
    return array;
}

size_t free_array(char **array) {
    for (size_t i = 0; i < objects; i++) {
        if (array[i][0] != static_cast<char>(i))
            fail("a block is damaged");
        if (i % 100 == 0)
            array[i] = static_cast<char *>(std::realloc(array[i], 2000));
        std::free(array[i]);
    }
    std::free(array);
    return objects;
}

void handler() { freed_by_handler = free_array(for_handler); }

__attribute__((destructor)) void fini() {
    if (free_array(for_fini) != objects || freed_by_handler != objects ||
        freed_by_static != 2 * objects)
        fail("a part of the end did not run");
    // More destructors follow, of libraries; a fault in them is a failure as well.
}

void keep_allocating(unsigned seed) {
    std::vector<std::string> strings(64);
    for (;;) {
        seed = seed * 1103515245 + 12345;
        strings[seed >> 8 & 63] = std::string(seed >> 16 & 2047, 'x');
    }
}

} // namespace

int main() {
    alarm(60);
    for_handler = make_array();
    std::thread([] { for_fini = make_array(); }).join();
    for (size_t i = 0; i < objects; i++)
        of_main.strings.push_back(std::make_unique<std::string>(30, 's'));
    std::thread([] {
        for (size_t i = 0; i < objects; i++)
            of_threads.strings.push_back(std::make_unique<std::string>(30, 't'));
    }).join();
    for (unsigned i = 0; i < 3; i++)
        std::thread(keep_allocating, i).detach();
    std::atexit(handler);
    std::exit(0);
}
