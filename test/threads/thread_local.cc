// Protects: destructors of C++ thread_local objects and of statics that allocate, hand blocks on
// and free what other threads allocated; a thread_local first touched by another one's destructor.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int threads_at_once = 8;
constexpr int rounds = 200;
std::atomic<std::string *> passed{nullptr};
std::atomic<long> destroyed{0};

[[noreturn]] void fail(const char *what) {
    std::fprintf(stderr, "thread_local: %s\n", what);
    std::_Exit(1);
}

struct Late {
    std::vector<std::string> words;
    Late() : words(10, std::string(100, 'l')) {}
    ~Late() {
        for (const std::string &word : words)
            if (word != std::string(100, 'l'))
                fail("Late has lost a word");
        destroyed++;
    }
};

Late &late() {
    thread_local Late object;
    return object;
}

struct Holder {
    std::vector<std::unique_ptr<std::string>> strings;
    ~Holder() {
        late().words.emplace_back(100, 'l'); // made here, destroyed after this object
        for (auto &string : strings)
            if (string->size() != 50 || string->find_first_not_of('h') != std::string::npos)
                fail("Holder has lost a string");
        std::unique_ptr<std::string> old(passed.exchange(new std::string(300, 'p')));
        if (old && *old != std::string(300, 'p'))
            fail("a string passed on is damaged");
        destroyed++;
    }
};

thread_local Holder holder;

void run() {
    for (int i = 0; i < 100; i++)
        holder.strings.push_back(std::make_unique<std::string>(50, 'h'));
}

struct AtTheEnd {
    std::vector<std::unique_ptr<std::string>> strings;
    ~AtTheEnd() {
        for (auto &string : strings)
            if (*string != std::string(40, 's'))
                fail("a static has lost a string");
        delete passed.exchange(nullptr);
        if (destroyed.load() != 2L * threads_at_once * rounds + 2)
            fail("thread_local destructors did not all run");
    }
} at_the_end;

} // namespace

int main() {
    for (int round = 0; round < rounds; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < threads_at_once; i++)
            threads.emplace_back(run);
        for (std::thread &thread : threads)
            thread.join();
    }
    if (destroyed.load() != 2L * threads_at_once * rounds)
        fail("thread_local destructors did not all run before join");
    for (int i = 0; i < 10000; i++)
        at_the_end.strings.push_back(std::make_unique<std::string>(40, 's'));
    run(); // the main thread's own are destroyed at exit, before statics
    return 0;
}
