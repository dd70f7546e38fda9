/* Protects: the handler of faults hears what checks find, with its kind, the block and all lines
 * but the last end; it may use the heap then, whose records are locked while they are looked at; a
 * preset that the program itself chooses switches the checks on. */
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "slabmalloc/slabmalloc.h"

const char *slabmalloc_options = "preset=hardened,on_error=ignore,history=on";

namespace {

struct Heard {
    slm_error_kind kind;
    const void *pointer;
    std::string call, line;
};

std::vector<Heard> heard;
int failures;

void hear(const slm_error *error, void *) {
    heard.push_back({error->kind, error->pointer, error->call, error->line});
}

const slm_error_handler handler{hear, nullptr};

/* Out of the compiler's sight, which knows what delete does. */
template <typename T> T *hidden(T *pointer) {
    T *volatile copy = pointer;
    return copy;
}

void expect(slm_error_kind kind, const void *pointer, const char *part) {
    bool right = heard.size() == 1 && heard[0].kind == kind && heard[0].pointer == pointer &&
                 heard[0].line.find(part) != std::string::npos &&
                 heard[0].line.find("\nslabmalloc:   ") != std::string::npos &&
                 heard[0].line.back() != '\n';
    if (!right) {
        failures++;
        std::printf("'%s' expected; heard:\n", part);
        for (const auto &each : heard)
            std::printf("%d %p %s: %s\n", each.kind, each.pointer, each.call.c_str(),
                        each.line.c_str());
    }
    heard.clear();
}

void fault(size_t bytes) {
    auto *block = static_cast<char *>(slm_malloc(bytes));
    std::memset(hidden(block), 1, bytes + 3);
    slm_free(block);
    expect(SLM_ERROR_OVERFLOW, block, "slabmalloc: overflow: free(0x");
    slm_free(block);
    expect(SLM_ERROR_DOUBLE_FREE, block, "slabmalloc: double free: free(0x");
    delete hidden(static_cast<char *>(slm_malloc(1)));
    if (heard.size() != 1 || heard[0].kind != SLM_ERROR_MISMATCHED_FREE)
        expect(SLM_ERROR_MISMATCHED_FREE, nullptr, "mismatched free");
    heard.clear();
    block = static_cast<char *>(::operator new(bytes));
    ::operator delete(hidden(block), bytes + 1);
    expect(SLM_ERROR_WRONG_SIZE, block, "slabmalloc: wrong size: operator delete(0x");
}

void write_after_free() {
    auto *block = static_cast<char *>(slm_malloc(500));
    slm_free(block);
    *hidden(block) = 1;
    for (int i = 0; i < 100000 && heard.empty(); i++)
        slm_free(hidden(slm_malloc(500)));
    expect(SLM_ERROR_WRITE_AFTER_FREE, block, "slabmalloc: write after free: found by ");
}

} // namespace

int main() {
    heard.reserve(4);
    if (slm_set_error_handler(&handler) != nullptr)
        return 2;
    for (size_t bytes : {10, 700, 5000, 100000})
        fault(bytes);
    write_after_free();
    slm_set_error_handler(nullptr);
    return failures == 0 ? 0 : 1;
}
