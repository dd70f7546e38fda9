// Protects: a C++ program linked with -static or -static-pie against the static library: operators
// new and delete are ours, fail with std::bad_alloc, and threads work.
#include <cstdint>
#include <cstdio>
#include <map>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "slabmalloc/slabmalloc.h"

static std::vector<std::string> early(100, std::string(100, 'e'));

static void run(std::map<std::string, std::string> *words) {
    for (int i = 0; i < 5000; i++)
        (*words)[std::to_string(i)] = std::string(static_cast<std::size_t>(i % 700), 'w');
}

int main() {
    std::map<std::string, std::string> words[4];
    std::vector<std::thread> threads;
    for (auto &map : words)
        threads.emplace_back(run, &map);
    for (std::thread &thread : threads)
        thread.join();
    for (auto &map : words)
        if (map.size() != 5000 || map["4999"] != std::string(4999 % 700, 'w'))
            return 1;
    for (const std::string &string : early)
        if (string != std::string(100, 'e'))
            return 1;
    volatile std::size_t too_many = PTRDIFF_MAX;
    bool caught = false;
    try {
        ::operator delete(::operator new(too_many));
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    struct alignas(256) Aligned {
        char bytes[256];
    };
    auto *aligned = new Aligned;
    bool is_aligned = reinterpret_cast<std::uintptr_t>(aligned) % 256 == 0;
    delete aligned;
    slm_stats stats;
    slm_stats_get(&stats);
    if (!caught || !is_aligned || stats.tiny.allocations < 10000) {
        std::fprintf(stderr, "static_cc: caught %d, aligned %d\n", caught, is_aligned);
        return 1;
    }
    return 0;
}
