# shellcheck shell=bash
# Protects: the C++ front end, and a C++ program: operator new and delete of every kind, exceptions thrown across
# frames that own memory, thread_local destructors, containers, threads that free what others allocated.
# needs: g++:g++

cat >program.cpp <<'END'
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

struct alignas(128) wide { unsigned char bytes[300]; };
struct shape { virtual ~shape() = default; virtual unsigned area() const = 0; };
template <unsigned N> struct box : shape {
    std::vector<unsigned> sides = std::vector<unsigned>(N + 1, N);
    unsigned area() const override { return std::accumulate(sides.begin(), sides.end(), N); }
};
template <unsigned N> void add_boxes(std::vector<std::unique_ptr<shape>> &to) {
    to.push_back(std::make_unique<box<N>>());
    if constexpr (N > 0) add_boxes<N - 1>(to);
}
struct at_thread_end {
    std::map<int, std::string> kept;
    ~at_thread_end() { ended += (unsigned)kept.size(); kept.clear(); kept[1] = std::string(1000, 'z'); }
    static std::atomic<unsigned> ended;
};
std::atomic<unsigned> at_thread_end::ended{0};
thread_local at_thread_end last;
std::map<std::string, std::vector<std::string>> global_at_exit;

static unsigned deep(unsigned n, const std::string &s) {
    std::string mine = s + std::to_string(n);
    if (n == 0) throw std::runtime_error(mine);
    return deep(n - 1, mine.substr(mine.size() / 2)) + 1;
}

int main() {
    std::vector<std::unique_ptr<shape>> shapes;
    for (int i = 0; i < 50; i++) add_boxes<100>(shapes);
    unsigned long sum = 0;
    for (auto &s : shapes) sum += s->area();
    std::printf("areas %lu\n", sum);

    std::map<std::string, std::list<int>> ordered;
    std::unordered_map<unsigned, std::string> hashed;
    for (unsigned i = 0; i < 100000; i++) {
        ordered["key" + std::to_string(i * 7919 % 10007)].push_back((int)i);
        hashed[i] = std::string(i % 100, 'h');
        if (i % 3 == 0) hashed.erase(i / 2);
    }
    sum = 0;
    for (auto &[k, v] : ordered) sum = sum * 31 + k.size() + v.size();
    std::printf("ordered %zu %lu, hashed %zu\n", ordered.size(), sum, hashed.size());

    unsigned caught = 0;
    for (int i = 0; i < 300; i++)
        try { deep(50, "start"); } catch (const std::exception &e) { caught += (unsigned)std::string(e.what()).size(); }
    try { (void)std::vector<char>((size_t)-1 / 4); } catch (const std::bad_alloc &) { caught += 1; }
    std::printf("caught %u, nothrow %p\n", caught, (void *)new (std::nothrow) char[(size_t)-1 / 4]);

    std::unique_ptr<wide[]> wides(new wide[77]);
    std::printf("aligned %d\n", (int)((size_t)wides.get() % 128));

    std::regex word("([a-z]+)([0-9]+)");
    std::string text;
    for (int i = 0; i < 3000; i++) text += "abc" + std::to_string(i) + " ";
    std::printf("words %zu\n", (size_t)std::distance(std::sregex_iterator(text.begin(), text.end(), word), {}));

    std::mutex lock;
    std::vector<std::unique_ptr<std::string>> shared;
    for (int round = 0; round < 20; round++) {
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++)
            threads.emplace_back([&, t] {
                for (int i = 0; i < 2000; i++) {
                    auto s = std::make_unique<std::string>((size_t)(i % 200 + t), 'x');
                    std::lock_guard<std::mutex> hold(lock);
                    if (shared.size() > 500) shared.erase(shared.begin() + i % 500);
                    shared.push_back(std::move(s));
                }
                last.kept[t] = std::string(100, 'k');
            });
        for (auto &t : threads) t.join();
    }
    std::printf("shared %zu, ended %u\n", shared.size(), at_thread_end::ended.load());

    std::ostringstream stream;
    for (int i = 0; i < 20000; i++) stream << i << ' ' << i * 0.5 << '\n';
    std::printf("stream %zu\n", stream.str().size());
    for (int i = 0; i < 1000; i++) global_at_exit[std::to_string(i)].resize(10, "freed by a static destructor, after main");
    return 0;
}
END

preload
proof "$(g++ -print-prog-name=cc1plus)" -quiet - -o tmp/stdin.s
g++ -std=c++17 -O2 -Wall -pthread -c program.cpp -o out/program.o
g++ -pthread out/program.o -o out/program
out/program
