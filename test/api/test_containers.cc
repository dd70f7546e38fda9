// Protects: what C++ programs do all day: strings, vectors, maps, shared pointers and exceptions,
// in one thread and in several that hand objects to each other; contents are checked at the end,
// and that nothing is left.
#include <criterion/criterion.h>

#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "api.h"
#include "slabmalloc/slabmalloc.h"

namespace {

std::string text_of(unsigned n) {
    return std::string(n % 300, char('a' + n % 26)) + std::to_string(n);
}

// Inserts, erases and looks up; returns how many entries were as they should be.
unsigned work(unsigned seed, unsigned rounds) {
    std::map<unsigned, std::string> sorted;
    std::unordered_map<std::string, std::vector<unsigned>> hashed;
    unsigned right = 0;
    for (unsigned i = 0; i < rounds; i++) {
        unsigned n = seed + i;
        sorted[n] = text_of(n);
        hashed[text_of(n)].assign(n % 40 + 1, n);
        if (i % 3 == 0) {
            sorted.erase(seed + i / 2);
            hashed.erase(text_of(seed + i / 2));
        }
    }
    for (const auto &entry : sorted) {
        auto found = hashed.find(entry.second);
        right += entry.second == text_of(entry.first) && found != hashed.end() &&
                 found->second == std::vector<unsigned>(entry.first % 40 + 1, entry.first);
    }
    return right == sorted.size() && right == hashed.size() ? right : 0;
}

} // namespace

Test(containers, malloc_is_ours) { cr_assert(is_ours("_Znwm")); }

Test(containers, in_one_thread_leave_nothing_behind) {
    unsigned right = work(1000, 4000); // caches of the runtime are made here
    static slm_stats before, after;
    slm_stats_get(&before);
    cr_assert_eq(work(1000, 4000), right);
    slm_stats_get(&after);
    cr_assert_gt(right, 2000);
    cr_assert_gt(after.tiny.allocations, before.tiny.allocations + 8000);
    cr_assert_eq(after.tiny.live_bytes, before.tiny.live_bytes);
    cr_assert_eq(after.small.live_bytes, before.small.live_bytes);
}

Test(containers, in_threads_give_the_same) {
    enum { THREADS = 8 };
    unsigned expected[THREADS], found[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        expected[i] = work(i * 7919, 1500);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < THREADS; i++)
        threads.emplace_back([&found, i] { found[i] = work(i * 7919, 1500); });
    for (auto &thread : threads)
        thread.join();
    for (unsigned i = 0; i < THREADS; i++) {
        cr_assert_gt(expected[i], 0);
        cr_assert_eq(found[i], expected[i]);
    }
}

// Objects are made in one thread, changed in another, destroyed in a third.
Test(containers, handed_between_threads_keep_their_contents) {
    enum { OBJECTS = 20000 };
    std::mutex mutex;
    std::vector<std::shared_ptr<std::string>> made, grown;
    std::thread maker([&] {
        for (unsigned i = 0; i < OBJECTS; i++) {
            auto object = std::make_shared<std::string>(text_of(i));
            std::lock_guard<std::mutex> guard(mutex);
            made.push_back(std::move(object));
        }
    });
    std::thread grower([&] {
        for (unsigned i = 0; i < OBJECTS;) {
            std::shared_ptr<std::string> object;
            {
                std::lock_guard<std::mutex> guard(mutex);
                if (i < made.size())
                    object = std::move(made[i]);
            }
            if (!object) {
                std::this_thread::yield();
                continue;
            }
            *object += text_of(i + 1);
            grown.push_back(std::move(object));
            i++;
        }
    });
    maker.join();
    grower.join();
    unsigned wrong = 0;
    std::thread destroyer([&] {
        for (unsigned i = 0; i < OBJECTS; i++) {
            wrong += *grown[i] != text_of(i) + text_of(i + 1);
            grown[i].reset();
        }
    });
    destroyer.join();
    cr_assert_eq(wrong, 0);
}

Test(containers, exceptions_carry_their_strings) {
    unsigned caught = 0;
    for (unsigned i = 0; i < 2000; i++) {
        std::vector<std::string> unwound(i % 10, text_of(i));
        try {
            std::vector<std::string> inner(unwound);
            throw std::runtime_error(text_of(i));
        } catch (const std::runtime_error &error) {
            caught += error.what() == text_of(i);
        }
    }
    cr_assert_eq(caught, 2000);
}

// A vector that grows goes through every class and into LARGE.
Test(containers, vectors_grow_through_all_zones) {
    std::vector<unsigned long> numbers;
    const unsigned long count = 3000000;
    for (unsigned long i = 0; i < count; i++)
        numbers.push_back(i);
    cr_assert_eq(std::accumulate(numbers.begin(), numbers.end(), 0ul), count * (count - 1) / 2);
    bool refused = false;
    try {
        numbers.reserve(numbers.max_size());
    } catch (const std::bad_alloc &) {
        refused = true;
    }
    cr_assert(refused);
    cr_assert_eq(numbers[12345], 12345);
}
