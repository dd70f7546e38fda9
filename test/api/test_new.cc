// Protects: operators new and delete (field cases D11, D12): a failure calls the new-handler until
// memory is there, throws what the handler throws, else std::bad_alloc; nothrow forms return null
// in all these cases; alignment, size hints and null behave as C++17 says.
#include <criterion/criterion.h>

#include <cstdio>
#include <new>
#include <sys/resource.h>

#include "api.h"

namespace {

// A request that no machine serves, and one that only a limit refuses.
const std::size_t impossible = PTRDIFF_MAX - 100000;
const std::size_t limited = std::size_t(16) << 20;
const std::size_t reserve_bytes = std::size_t(48) << 20;

struct exhausted : std::bad_alloc {
    const char *what() const noexcept override { return "told by the handler"; }
};

int handler_calls;
void *reserve;

// The third call frees memory.
void free_reserve_at_third() {
    if (++handler_calls == 3)
        free(reserve);
    if (handler_calls > 3)
        std::set_new_handler(nullptr);
}

void throw_exhausted() {
    handler_calls++;
    throw exhausted();
}

void give_up_at_second() {
    if (++handler_calls == 2)
        std::set_new_handler(nullptr);
}

// Allows the process a little more address space than it has; `back` undoes it.
class address_limit {
    rlimit back;

  public:
    address_limit() {
        std::size_t pages = 0;
        FILE *statm = fopen("/proc/self/statm", "r");
        cr_assert_eq(fscanf(statm, "%zu", &pages), 1);
        fclose(statm);
        getrlimit(RLIMIT_AS, &back);
        rlimit limits = {pages * 4096 + (rlim_t(4) << 20), back.rlim_max};
        cr_assert_eq(setrlimit(RLIMIT_AS, &limits), 0);
    }
    ~address_limit() { setrlimit(RLIMIT_AS, &back); }
};

using plain_new = void *(*)(std::size_t);
using nothrow_new = void *(*)(std::size_t, const std::nothrow_t &);
using aligned_new = void *(*)(std::size_t, std::align_val_t);
using aligned_nothrow_new = void *(*)(std::size_t, std::align_val_t, const std::nothrow_t &);

const std::align_val_t over_aligned{4096};

// All eight forms, behind two names; `form` is 0..3 of each kind.
void *throwing(int form, std::size_t size) {
    static const plain_new plain[] = {::operator new, ::operator new[]};
    static const aligned_new aligned[] = {::operator new, ::operator new[]};
    return hidden(form < 2 ? plain[form](size) : aligned[form - 2](size, over_aligned));
}

void *not_throwing(int form, std::size_t size) {
    static const nothrow_new plain[] = {::operator new, ::operator new[]};
    static const aligned_nothrow_new aligned[] = {::operator new, ::operator new[]};
    return hidden(form < 2 ? plain[form](size, std::nothrow)
                           : aligned[form - 2](size, over_aligned, std::nothrow));
}

} // namespace

Test(operators, are_ours) {
    cr_assert(is_ours("malloc"));
    cr_assert(is_ours("_Znwm"));
    cr_assert(is_ours("_ZdlPvmSt11align_val_t"));
}

Test(operators, without_a_handler_bad_alloc_is_thrown) {
    for (int form = 0; form < 4; form++) {
        bool caught = false;
        try {
            throwing(form, impossible);
        } catch (const std::bad_alloc &) {
            caught = true;
        }
        cr_assert(caught, "form %d", form);
        caught = false;
        try {
            throwing(form, SIZE_MAX - 10);
        } catch (const std::bad_alloc &) {
            caught = true;
        }
        cr_assert(caught, "form %d", form);
        cr_assert_null(not_throwing(form, impossible));
        cr_assert_null(not_throwing(form, SIZE_MAX - 10));
    }
}

Test(operators, call_the_handler_until_there_is_memory) {
    for (int form = 0; form < 8; form++) {
        void *block;
        handler_calls = 0;
        reserve = hidden(malloc(reserve_bytes));
        {
            address_limit limit;
            std::set_new_handler(free_reserve_at_third);
            block = form < 4 ? throwing(form, limited) : not_throwing(form - 4, limited);
            std::set_new_handler(nullptr);
        }
        cr_assert_not_null(block, "form %d", form);
        if (keeps_addresses() && handler_calls == 0)
            free(reserve);
        else
            cr_assert_eq(handler_calls, 3, "form %d: %d calls", form, handler_calls);
        memset(block, 1, limited);
        free(block);
        malloc_trim(0);
    }
}

Test(operators, a_handler_that_gives_up_ends_the_loop) {
    for (int form = 0; form < 4; form++) {
        bool caught = false;
        handler_calls = 0;
        std::set_new_handler(give_up_at_second);
        try {
            throwing(form, impossible);
        } catch (const std::bad_alloc &) {
            caught = true;
        }
        cr_assert(caught);
        cr_assert_eq(handler_calls, 2);
        handler_calls = 0;
        std::set_new_handler(give_up_at_second);
        cr_assert_null(not_throwing(form, impossible));
        cr_assert_eq(handler_calls, 2);
    }
}

Test(operators, pass_on_what_the_handler_throws) {
    std::set_new_handler(throw_exhausted);
    for (int form = 0; form < 4; form++) {
        handler_calls = 0;
        const char *what = "nothing";
        try {
            throwing(form, impossible);
        } catch (const exhausted &e) {
            what = e.what();
        } catch (const std::bad_alloc &) {
            what = "a plain bad_alloc";
        }
        cr_assert_str_eq(what, "told by the handler");
        cr_assert_eq(handler_calls, 1);
        cr_assert_null(not_throwing(form, impossible), "form %d", form);
        cr_assert_eq(handler_calls, 2);
    }
}

Test(operators, serve_every_form) {
    for (std::size_t size = 0; size < 300000; size += size / 3 + 1) {
        for (int form = 0; form < 4; form++) {
            void *a = throwing(form, size);
            void *b = not_throwing(form, size);
            std::size_t alignment = form < 2 ? 16 : 4096;
            cr_assert(a != nullptr && b != nullptr && a != b);
            cr_assert(is_aligned(a, alignment) && is_aligned(b, alignment));
            memset(a, 1, size);
            memset(b, 2, size);
            cr_assert(is_all(a, 1, size));
            free(a);
            free(b);
        }
    }
}

Test(operators, honour_over_alignment) {
    struct alignas(512) wide {
        char bytes[512];
    };
    wide *volatile one = new wide;
    wide *volatile many = new wide[9];
    cr_assert(is_aligned(one, 512) && is_aligned(many, 512));
    delete one;
    delete[] many;
    for (std::size_t alignment = 1; alignment <= std::size_t(1) << 22; alignment *= 2) {
        void *block = hidden(::operator new(100, std::align_val_t(alignment)));
        cr_assert(is_aligned(block, alignment < 16 ? 16 : alignment));
        ::operator delete(block, std::align_val_t(alignment));
    }
}

// Each delete with each kind of hint; the live bytes tell that the block went.
Test(operators, delete_frees_whatever_the_hint) {
    using std::align_val_t;
    static const std::size_t sizes[] = {0, 40, 1000, 50000, 500000};
    static const std::size_t hints[] = {0, 1, 40, 1000, 50000, 500000, SIZE_MAX};
    for (std::size_t size : sizes) {
        for (std::size_t hint : hints) {
            struct mallinfo2 before = mallinfo2();
            void *blocks[12];
            for (void *&block : blocks)
                block = hidden(::operator new(size));
            ::operator delete(blocks[0]);
            ::operator delete[](blocks[1]);
            ::operator delete(blocks[2], hint);
            ::operator delete[](blocks[3], hint);
            ::operator delete(blocks[4], align_val_t(64));
            ::operator delete[](blocks[5], align_val_t(64));
            ::operator delete(blocks[6], hint, align_val_t(64));
            ::operator delete[](blocks[7], hint, align_val_t(64));
            ::operator delete(blocks[8], std::nothrow);
            ::operator delete[](blocks[9], std::nothrow);
            ::operator delete(blocks[10], align_val_t(64), std::nothrow);
            ::operator delete[](blocks[11], align_val_t(64), std::nothrow);
            struct mallinfo2 after = mallinfo2();
            cr_assert_eq(after.uordblks, before.uordblks, "size %zu, hint %zu", size, hint);
            cr_assert_eq(after.hblkhd, before.hblkhd, "size %zu, hint %zu", size, hint);
        }
    }
}

Test(operators, delete_of_null_does_nothing_and_keeps_errno) {
    errno = ERRNO_MARK;
    void *volatile null = nullptr;
    ::operator delete(null);
    ::operator delete[](null);
    ::operator delete(null, std::size_t(8));
    ::operator delete[](null, std::size_t(8));
    ::operator delete(null, std::align_val_t(64));
    ::operator delete[](null, std::size_t(8), std::align_val_t(64));
    ::operator delete(null, std::nothrow);
    int *volatile nothing = nullptr;
    delete nothing;
    delete[] nothing;
    cr_assert_eq(errno, ERRNO_MARK);
}

Test(operators, mix_with_malloc_and_free) {
    void *by_new = hidden(::operator new(100));
    free(by_new);
    void *by_malloc = hidden(malloc(100));
    ::operator delete(by_malloc);
    char *grown = static_cast<char *>(hidden(::operator new(10)));
    memset(grown, 7, 10);
    grown = static_cast<char *>(hidden(realloc(grown, 5000)));
    cr_assert(is_all(grown, 7, 10));
    ::operator delete[](grown);
}

// The edges of size and alignment (field case 12), as test_sizes.c has them for C: a success is
// aligned and holds its ends, a failure is null or bad_alloc, and never a smaller block.
static bool try_form(int form, std::size_t size) {
    void *block = nullptr;
    bool thrown = false;
    try {
        block = form < 4 ? throwing(form, size) : not_throwing(form - 4, size);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    if (thrown != (form < 4 && block == nullptr))
        cr_assert_fail("form %d, size %zx: neither a block nor what a failure is", form, size);
    if (block == nullptr)
        return false;
    if (!is_aligned(block, form % 4 < 2 ? 16 : 4096) || malloc_usable_size(block) < size)
        cr_assert_fail("form %d, size %zx: %p", form, size, block);
    if (size > 0)
        static_cast<char *>(block)[0] = static_cast<char *>(block)[size - 1] = 1;
    free(block);
    return true;
}

Test(operators, at_the_edges_of_size, .timeout = 60) {
    for (int form = 0; form < 8; form++) {
        for (unsigned bits = 0; bits < 64; bits++) {
            if (SLM_TORTURE && bits > 24 && bits < 62) // which cannot unmap
                continue;
            const std::size_t power = std::size_t(1) << bits;
            for (std::size_t size = power - 1; size != power + 2; size++) {
                bool served = try_form(form, hidden_size(size));
                cr_assert(served ? size <= PTRDIFF_MAX : size > std::size_t(1) << 24,
                          "form %d, size %zx", form, size);
            }
        }
        for (std::size_t size = SIZE_MAX - 4096; size != 0; size++)
            cr_assert_not(try_form(form, hidden_size(size)), "form %d, size %zx", form, size);
        for (std::size_t size = PTRDIFF_MAX - 16; size <= std::size_t(PTRDIFF_MAX) + 16; size++)
            cr_assert_not(try_form(form, hidden_size(size)), "form %d, size %zx", form, size);
    }
}

Test(operators, refuse_alignments_beyond_the_address_space) {
    for (unsigned bits = 47; bits < 64; bits++) {
        auto alignment = std::align_val_t(std::size_t(1) << bits);
        cr_assert_null(hidden(::operator new(1, alignment, std::nothrow)), "2^%u", bits);
        cr_assert_null(hidden(::operator new[](1, alignment, std::nothrow)), "2^%u", bits);
    }
}

// Field case 25: right sizes and alignments, size 0 with an alignment among them; D1: errno.
Test(operators, delete_with_the_right_hints_keeps_errno) {
    static const std::size_t sizes[] = {0, 1, 40, 1000, 1024, 50000, 131072, 500000};
    struct mallinfo2 before = mallinfo2();
    for (std::size_t size : sizes) {
        for (std::size_t bits = 0; bits <= 21; bits++) {
            auto alignment = std::align_val_t(std::size_t(1) << bits);
            void *one = hidden(::operator new(size, alignment));
            void *many = hidden(::operator new[](size, alignment));
            void *unsized = hidden(::operator new(size, alignment, std::nothrow));
            void *plain = hidden(::operator new(size));
            void *plain_many = hidden(::operator new[](size));
            errno = ERRNO_MARK;
            ::operator delete(one, size, alignment);
            ::operator delete[](many, size, alignment);
            ::operator delete(unsized, alignment);
            ::operator delete(plain, size);
            ::operator delete[](plain_many, size);
            cr_assert_eq(errno, ERRNO_MARK, "size %zu: errno %d", size, errno);
        }
    }
    struct mallinfo2 after = mallinfo2();
    cr_assert_eq(after.uordblks, before.uordblks);
    cr_assert_eq(after.hblkhd, before.hblkhd);
}
