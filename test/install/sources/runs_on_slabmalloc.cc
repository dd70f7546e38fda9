/* Protects: operators new and delete of a C++ program that was built against an installed
 * slabmalloc are slabmalloc's, and still throw. */
#include <slabmalloc/slabmalloc.h>

#include <cstdio>
#include <new>
#include <string>
#include <vector>

static std::size_t allocations() {
    static slm_stats stats;
    slm_stats_get(&stats);
    return stats.tiny.allocations;
}

int main() {
    std::size_t before = allocations();
    {
        std::vector<std::string *> strings;
        strings.reserve(100); // 800 bytes: one call
        for (int i = 0; i < 100; i++)
            strings.push_back(new std::string("short")); // one call each
        for (std::string *string : strings)
            delete string;
    }
    std::size_t calls = allocations() - before;
    bool threw = false;
    try {
        std::size_t volatile much = static_cast<std::size_t>(-1) / 4;
        ::operator delete(::operator new(much * 3));
    } catch (const std::bad_alloc &) {
        threw = true;
    }
    std::printf("%zu calls, bad_alloc %s\n", calls, threw ? "thrown" : "NOT thrown");
    return calls != 101 || !threw;
}
