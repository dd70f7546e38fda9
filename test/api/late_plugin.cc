// A C++ library that a C program loads late and locally; see late_runtime.c. Each function returns
// 1 if operator new did what C++ says.
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

#define PLUGIN extern "C" __attribute__((visibility("default")))

static volatile std::size_t impossible = PTRDIFF_MAX - 100000;

struct exhausted : std::bad_alloc {};

static int handler_calls;

static void throw_at_third() {
    if (++handler_calls == 3)
        throw exhausted();
}

PLUGIN int plugin_works() {
    std::vector<std::string> strings;
    for (int i = 0; i < 1000; i++)
        strings.push_back(std::string(std::size_t(i), 'x'));
    return strings[999].size() == 999;
}

PLUGIN int plugin_catches_bad_alloc() {
    try {
        char *volatile block = new char[impossible];
        delete[] block;
    } catch (const std::bad_alloc &) {
        return 1;
    }
    return 0;
}

PLUGIN int plugin_catches_what_the_handler_throws() {
    int caught = 0;
    handler_calls = 0;
    std::set_new_handler(throw_at_third);
    try {
        char *volatile block = new char[impossible];
        delete[] block;
    } catch (const exhausted &) {
        caught = 1;
    } catch (...) {
    }
    std::set_new_handler(nullptr);
    return caught && handler_calls == 3;
}

PLUGIN int plugin_nothrow_gives_null() {
    char *volatile block = new (std::nothrow) char[impossible];
    return block == nullptr;
}

PLUGIN int plugin_nothrow_gives_null_if_the_handler_throws() {
    int is_null = 0;
    handler_calls = 0;
    std::set_new_handler(throw_at_third);
    try {
        char *volatile block = new (std::nothrow) char[impossible];
        is_null = block == nullptr;
    } catch (...) {
    }
    std::set_new_handler(nullptr);
    return is_null && handler_calls == 3;
}
