/* Protects: the handler of faults in C++: lambdas and members as handlers, operator delete by its
 * name, allocation and output in the handler, several threads in it at once, and that it may be
 * exchanged under threads that fault. */
#include <criterion/criterion.h>

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "slabmalloc/slabmalloc.h"

namespace {

struct Log {
    std::mutex mutex;
    std::vector<std::string> lines;
    std::set<const void *> pointers;
    std::set<std::string> calls;

    static void hear(const slm_error *error, void *context) {
        auto *log = static_cast<Log *>(context);
        std::lock_guard<std::mutex> guard(log->mutex);
        log->lines.emplace_back(error->line);
        log->pointers.insert(error->pointer);
        log->calls.insert(error->call);
    }
};

/* Out of the compiler's sight, which knows what delete does. */
template <typename T> T *hidden(T *pointer) {
    T *volatile copy = pointer;
    return copy;
}

std::atomic<unsigned> heard_by[2];

} // namespace

Test(error_handler_cc, hears_of_deletes_and_may_use_the_heap) {
    Log log;
    const slm_error_handler handler{Log::hear, &log};
    cr_assert(slm_option_set("on_error", "ignore"));
    cr_assert(slm_set_error_handler(&handler) == nullptr);
    auto *one = hidden(new int(1));
    auto *array = hidden(new char[3000]);
    auto *same = hidden(one);
    delete one;
    delete same;
    ::operator delete[](hidden(array + 32));
    slm_free(array + 16);
    cr_assert(slm_set_error_handler(nullptr) == &handler);
    delete[] array;
    cr_assert(log.lines.size() == 3);
    cr_assert(log.pointers == (std::set<const void *>{one, array + 16, array + 32}));
    cr_assert(log.calls.size() >= 2);
    cr_assert(log.lines[0].find("slabmalloc: double free: operator delete(0x") == 0, "%s",
              log.lines[0].c_str());
    cr_assert(log.lines[2].find("16 bytes inside ") != std::string::npos, "%s",
              log.lines[2].c_str());
}

Test(error_handler_cc, runs_in_many_threads_and_is_exchanged_under_them) {
    enum { THREADS = 4, FAULTS = 2000 };
    auto count = [](const slm_error *error, void *context) {
        auto *counter = static_cast<std::atomic<unsigned> *>(context);
        cr_assert(error->kind == SLM_ERROR_INTERIOR_POINTER);
        ++*counter;
    };
    const slm_error_handler handlers[] = {{count, &heard_by[0]}, {count, &heard_by[1]}};
    cr_assert(slm_option_set("on_error", "ignore"));
    slm_set_error_handler(&handlers[0]);
    std::vector<std::thread> threads;
    for (int i = 0; i < THREADS; i++) {
        threads.emplace_back([] {
            auto *block = static_cast<char *>(slm_malloc(500));
            for (int k = 0; k < FAULTS; k++)
                slm_free(block + 16);
            slm_free(block);
        });
    }
    for (int i = 0; i < 1000; i++)
        slm_set_error_handler(&handlers[i % 2]);
    for (auto &thread : threads)
        thread.join();
    slm_set_error_handler(nullptr);
    cr_assert(heard_by[0] + heard_by[1] == THREADS * FAULTS);
}
