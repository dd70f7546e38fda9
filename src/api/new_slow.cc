/* Purpose: the side of operator new that may throw, and the aligned forms.
 * Owns:    nothing.
 * Source:  C++20 [new.delete].
 *
 * On failure `new` calls the new-handler in a loop and throws std::bad_alloc. That takes C++, but
 * the shared library must not make C programs depend on libstdc++: whatever it needs of the C++
 * runtime is a weak reference, or is looked up when it is first needed, for the runtime may come by
 * dlopen, after us and not into the global scope. In the static library this object is pulled in by
 * C++ programs only, and the references are strong. */
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <dlfcn.h>
#include <new>
#include <unwind.h>

#include "api/bound.h"
#include "api/operators.h"

#if SLM_WEAK_RUNTIME
#define RUNTIME __attribute__((weak))
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
    void *found = reinterpret_cast<void *>(linked);
    if (found == nullptr)
        found = dlsym(RTLD_DEFAULT, name);
    if (found == nullptr) {
        auto open = reinterpret_cast<void *(*)(const char *, int)>(dlsym(RTLD_DEFAULT, "dlopen"));
        void *library = open("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
        if (library != nullptr) {
            found = dlsym(library, name);
            dlclose(library); /* it was loaded before, and stays so */
        }
    }
    return reinterpret_cast<Function *>(found);
#else
    (void)name;
    return linked;
#endif
}

} // namespace

#if SLM_WEAK_RUNTIME
/* What the compiler calls for the one `catch` below. A weak reference would stay 0 if libstdc++
 * comes late, and the unwinder skips a frame without a personality; so these are ours, and forward.
 */
extern "C" {
__attribute__((used, visibility("hidden"))) _Unwind_Reason_Code
slm_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class kind,
                struct _Unwind_Exception *exception, struct _Unwind_Context *context) {
    using function = decltype(slm_personality);
    auto personality = runtime(static_cast<function *>(nullptr), "__gxx_personality_v0");
    if (personality == nullptr)
        return _URC_CONTINUE_UNWIND;
    return personality(version, actions, kind, exception, context);
}

__attribute__((used, visibility("hidden"))) void *slm_begin_catch(void *exception) {
    using function = void *(void *);
    auto begin_catch = runtime(static_cast<function *>(nullptr), "__cxa_begin_catch");
    return begin_catch(exception); /* there is one: its library threw the exception */
}

__attribute__((used, visibility("hidden"))) void slm_end_catch() {
    using function = void();
    runtime(static_cast<function *>(nullptr), "__cxa_end_catch")();
}

__attribute__((used, visibility("hidden"))) void
slm_unwind_resume(struct _Unwind_Exception *exception) {
    using function = void(struct _Unwind_Exception *);
    runtime(static_cast<function *>(nullptr), "_Unwind_Resume")(exception);
}

__attribute__((used, visibility("hidden"))) void slm_terminate() { std::abort(); }
}

__asm__(".hidden __gxx_personality_v0\n"
        ".set __gxx_personality_v0, slm_personality\n"
        ".set __cxa_begin_catch, slm_begin_catch\n"
        ".set __cxa_end_catch, slm_end_catch\n"
        ".set _Unwind_Resume, slm_unwind_resume\n"
        ".set _ZSt9terminatev, slm_terminate\n");
#endif

namespace {

/* What one operator asks for; `alignment` 0: none. */
struct request {
    std::size_t size, alignment;
    int is_array;
};

__attribute__((noinline, cold)) void *attempt_by_bound(request what) {
    std::size_t size = what.size != 0 ? what.size : 1;
    return what.alignment != 0 ? operator_bound_aligned(what.alignment, size)
                               : bound_operators.malloc(size);
}

inline void *attempt(request what) {
    if (__builtin_expect(operators_are_replaced(), 0))
        return attempt_by_bound(what);
    if (__builtin_expect(operator_is_checked(), 0))
        return operator_checked(what.size, what.alignment, what.is_array);
    return what.alignment != 0 ? own_aligned_alloc(what.alignment, what.size)
                               : own_malloc(what.size);
}

__attribute__((noinline, cold)) void *allocate_after_failure(request what) {
    for (;;) {
        auto get_handler = runtime(&_ZSt15get_new_handlerv, "_ZSt15get_new_handlerv");
        std::new_handler handler = get_handler != nullptr ? get_handler() : nullptr;
        if (handler == nullptr)
            return nullptr;
        handler();
        void *pointer = attempt(what);
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
inline void *allocate(request what) {
    void *pointer = attempt(what);
    if (__builtin_expect(pointer == nullptr, 0)) {
        pointer = allocate_after_failure(what);
        if (pointer == nullptr)
            throw_bad_alloc();
    }
    return pointer;
}

/* A handler, or a program's operator, may throw: for the nothrow forms that means NULL. */
template <typename Function>
__attribute__((noinline, cold)) void *without_throw(Function allocate_it) noexcept {
    try {
        return allocate_it();
    } catch (...) {
        return nullptr;
    }
}

inline void *allocate_nothrow(request what) noexcept {
    void *pointer = attempt(what);
    if (__builtin_expect(pointer == nullptr, 0))
        pointer = without_throw([=] { return allocate_after_failure(what); });
    return pointer;
}

} // namespace

#define EXPORT __attribute__((visibility("default"))) SLM_REPLACEABLE
using std::align_val_t;
using std::nothrow_t;
using std::size_t;

void *operator_new_slow(size_t size) { return allocate({size, 0, 0}); }

void *operator_new_array_slow(size_t size) {
    return operators_are_replaced() ? bound_operators.new_one(size) : allocate({size, 0, 1});
}

void *operator_new_nothrow_slow(size_t size) {
    if (operators_are_replaced())
        return without_throw([=] { return bound_operators.new_one(size); });
    return allocate_nothrow({size, 0, 0});
}

void *operator_new_array_nothrow_slow(size_t size) {
    if (operators_are_replaced())
        return without_throw([=] { return bound_operators.new_array(size); });
    return allocate_nothrow({size, 0, 1});
}

EXPORT void *operator new(size_t size, align_val_t a) {
    return allocate({size, static_cast<size_t>(a), 0});
}

EXPORT void *operator new[](size_t size, align_val_t a) {
    size_t alignment = static_cast<size_t>(a);
    return operators_are_replaced() ? bound_operators.new_one_aligned(size, alignment)
                                    : allocate({size, alignment, 1});
}

EXPORT void *operator new(size_t size, align_val_t a, const nothrow_t &) noexcept {
    size_t alignment = static_cast<size_t>(a);
    if (operators_are_replaced())
        return without_throw([=] { return bound_operators.new_one_aligned(size, alignment); });
    return allocate_nothrow({size, alignment, 0});
}

EXPORT void *operator new[](size_t size, align_val_t a, const nothrow_t &) noexcept {
    size_t alignment = static_cast<size_t>(a);
    if (operators_are_replaced())
        return without_throw([=] { return bound_operators.new_array_aligned(size, alignment); });
    return allocate_nothrow({size, alignment, 1});
}

/* OWN of bound.h, without the attributes that <new> gives them. */
#define ALSO(own, name) __asm__(".globl " own "\n.hidden " own "\n.set " own ", " name "\n")
ALSO("own_new_aligned", "_ZnwmSt11align_val_t");
ALSO("own_new_array_aligned", "_ZnamSt11align_val_t");
