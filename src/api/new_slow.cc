/* Purpose: the side of operator new that may throw, and the aligned forms.
 * Owns:    nothing.
 * Source:  C++20 [new.delete].
 *
 * On failure `new` calls the new-handler in a loop and throws std::bad_alloc. That takes C++, but the shared library must not make C programs depend on libstdc++: everything of the C++
 * runtime is a weak reference there, resolved when the program brings a runtime along. If that came
 * by dlopen, after us and not into the global scope, it is looked up when it is first needed. In
 * the static library this object is pulled in by C++ programs only, and the references are strong. */
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <dlfcn.h>
#include <new>

#include "api/operators.h"
#include "slabmalloc/slabmalloc.h"

#ifndef SLM_WEAK_RUNTIME
#define SLM_WEAK_RUNTIME 1
#endif

#if SLM_WEAK_RUNTIME
#define RUNTIME __attribute__((weak))
__asm__(".weak __gxx_personality_v0\n"
        ".weak __cxa_begin_catch\n"
        ".weak __cxa_end_catch\n"
        ".weak _Unwind_Resume\n"
        ".weak _ZSt9terminatev\n");
#else
#define RUNTIME
#endif

extern "C" {
/* std::__throw_bad_alloc() and std::get_new_handler() of libstdc++. */
[[noreturn]] void _ZSt17__throw_bad_allocv() RUNTIME;
std::new_handler _ZSt15get_new_handlerv() RUNTIME;
}

namespace {

/* The address of a runtime function: linked, or of a libstdc++ that was loaded later. */
template <typename Function> Function *runtime(Function *linked, const char *name) {
#if SLM_WEAK_RUNTIME
    if (linked == nullptr) {
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
        if (library != nullptr) {
            linked = reinterpret_cast<Function *>(dlsym(library, name));
            dlclose(library);
        }
    }
#else
    (void)name;
#endif
    return linked;
}

__attribute__((noinline, cold)) void *allocate_after_failure(std::size_t size,
                                                             std::size_t alignment) {
    for (;;) {
        auto get_handler = runtime(&_ZSt15get_new_handlerv, "_ZSt15get_new_handlerv");
        std::new_handler handler = get_handler != nullptr ? get_handler() : nullptr;
        if (handler == nullptr)
            return nullptr;
        handler();
        void *pointer =
            alignment != 0 ? slm_aligned_alloc(alignment, size) : slm_malloc(size);
        if (pointer != nullptr)
            return pointer;
    }
}

[[noreturn]] __attribute__((noinline, cold)) void throw_bad_alloc() {
    auto thrower = runtime(&_ZSt17__throw_bad_allocv, "_ZSt17__throw_bad_allocv");
    if (thrower != nullptr)
        thrower();
    std::abort();
}

/* The failed attempts left ENOMEM in errno, which is no part of new's contract: it stays. */
inline void *allocate(std::size_t size) {
    void *pointer = slm_malloc(size);
    if (__builtin_expect(pointer == nullptr, 0)) {
        pointer = allocate_after_failure(size, 0);
        if (pointer == nullptr)
            throw_bad_alloc();
    }
    return pointer;
}

inline void *allocate(std::size_t size, std::align_val_t alignment) {
    auto bytes = static_cast<std::size_t>(alignment);
    void *pointer = slm_aligned_alloc(bytes, size);
    if (__builtin_expect(pointer == nullptr, 0)) {
        pointer = allocate_after_failure(size, bytes);
        if (pointer == nullptr)
            throw_bad_alloc();
    }
    return pointer;
}

/* A handler may throw: for the nothrow forms that means NULL. */
__attribute__((noinline, cold)) void *after_failure_nothrow(std::size_t size,
                                                            std::size_t alignment) noexcept {
    try {
        return allocate_after_failure(size, alignment);
    } catch (...) {
        return nullptr;
    }
}

inline void *allocate_nothrow(std::size_t size) noexcept {
    void *pointer = slm_malloc(size);
    return __builtin_expect(pointer != nullptr, 1) ? pointer : after_failure_nothrow(size, 0);
}

inline void *allocate_nothrow(std::size_t size, std::align_val_t alignment) noexcept {
    auto bytes = static_cast<std::size_t>(alignment);
    void *pointer = slm_aligned_alloc(bytes, size);
    return __builtin_expect(pointer != nullptr, 1) ? pointer : after_failure_nothrow(size, bytes);
}

} // namespace

#define EXPORT __attribute__((visibility("default")))
using std::align_val_t;
using std::nothrow_t;
using std::size_t;

void *operator_new_slow(size_t size) { return allocate(size); }
void *operator_new_nothrow_slow(size_t size) { return allocate_nothrow(size); }

EXPORT void *operator new(size_t size, align_val_t a) { return allocate(size, a); }
EXPORT void *operator new[](size_t size, align_val_t a) { return allocate(size, a); }
EXPORT void *operator new(size_t size, align_val_t a, const nothrow_t &) noexcept {
    return allocate_nothrow(size, a);
}
EXPORT void *operator new[](size_t size, align_val_t a, const nothrow_t &) noexcept {
    return allocate_nothrow(size, a);
}
