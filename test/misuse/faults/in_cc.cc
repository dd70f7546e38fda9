// Purpose: new[] and delete[], and the faults that C++'s operators make possible: the wrong one of
//          them, or the wrong size told by the compiler or the programmer.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "faults.h"

extern "C" const bool is_c = false;
void *take_bytes(size_t n) { return new char[n]; }
void give(void *pointer) { delete[] static_cast<char *>(pointer); }

namespace {

void *take_plain() { return hidden(::operator new(bytes)); }
void *take_array() { return hidden(::operator new[](bytes)); }
void *take_malloc() { return hidden(std::malloc(bytes)); }

void afterwards() {
    look_for_twins();
    go_on();
}

// --- the wrong function
// ---------------------------------------------------------------------------

void new_free() { std::free(take_plain()), afterwards(); }
void new_array_free() { std::free(take_array()), afterwards(); }
void new_delete_array() { ::operator delete[](take_plain()), afterwards(); }
void new_array_delete() { ::operator delete(take_array()), afterwards(); }
void malloc_delete() { ::operator delete(take_malloc()), afterwards(); }
void malloc_delete_array() { ::operator delete[](take_malloc()), afterwards(); }
void new_realloc() {
    std::free(hidden(std::realloc(take_plain(), bytes * 2)));
    afterwards();
}
void strdup_delete() {
    char *text = take();
    text[bytes - 1] = 0;
    char *copy = hidden(strdup(text));
    delete copy;
    give(text);
    afterwards();
}
void unique_ptr_of_malloc() {
    { std::unique_ptr<char[]> owner(static_cast<char *>(take_malloc())); }
    afterwards();
}

// An array whose elements have destructors begins with their number: delete gets another address
// than new[] gave out. (Called as the compiler would; it is undefined otherwise.)
struct element {
    char data[8];
    ~element() { data[0] = 0; }
};
void array_delete_with_count() {
    auto *array = new element[bytes / sizeof(element)];
    delete reinterpret_cast<element *>(hidden(array));
    afterwards();
}
void delete_array_without_count() {
    auto *one = reinterpret_cast<char *>(hidden(new char[bytes])) + 8;
    ::operator delete[](one);
    afterwards();
}

// --- the wrong size
// -------------------------------------------------------------------------------

void tell_size(size_t told) {
    ::operator delete(take_plain(), told);
    afterwards();
}
void delete_less() { tell_size(bytes / 4); }
void delete_more() { tell_size(bytes * 4); }
void delete_by_1() { tell_size(bytes - 1); }
void delete_array_more() {
    ::operator delete[](take_array(), bytes * 4);
    afterwards();
}

struct base {
    char head[16];
};
template <size_t n> struct derived : base { char data[n]; };
template <size_t n> void delete_as_base() {
    base *object = new derived<n>;
    delete reinterpret_cast<base *>(hidden(object));
}
void base_without_virtual() {
    zone == TINY    ? delete_as_base<90>()
    : zone == SMALL ? delete_as_base<5000>()
                    : delete_as_base<300000>();
    afterwards();
}

struct second_base {
    char head[16];
};
template <size_t n> struct of_two : base, second_base { char data[n]; };
template <size_t n> void delete_as_second_base() {
    second_base *object = new of_two<n>;
    delete reinterpret_cast<second_base *>(hidden(object));
}
void second_base_without_virtual() {
    zone == TINY    ? delete_as_second_base<90>()
    : zone == SMALL ? delete_as_second_base<5000>()
                    : delete_as_second_base<300000>();
    afterwards();
}

// --- the wrong alignment
// --------------------------------------------------------------------------

void *take_aligned() { return hidden(::operator new(bytes, std::align_val_t(64))); }
void aligned_new_plain_delete() { ::operator delete(take_aligned()), afterwards(); }
void plain_new_aligned_delete() {
    ::operator delete(take_plain(), std::align_val_t(64));
    afterwards();
}
void delete_other_alignment() {
    ::operator delete(take_aligned(), bytes, std::align_val_t(256));
    afterwards();
}
void aligned_delete_more() {
    ::operator delete(take_aligned(), bytes * 4, std::align_val_t(64));
    afterwards();
}

// --- twice
// ----------------------------------------------------------------------------------------

void double_delete_plain() {
    void *block = take_plain();
    ::operator delete(block);
    ::operator delete(hidden(block));
    look_for_twins();
}
void double_delete_sized() {
    void *block = take_plain();
    ::operator delete(block, bytes);
    ::operator delete(hidden(block), bytes);
    look_for_twins();
}
void double_delete_aligned() {
    void *block = take_aligned();
    ::operator delete(block, std::align_val_t(64));
    ::operator delete(hidden(block), std::align_val_t(64));
    look_for_twins();
}
void two_owners() {
    char *block = take();
    {
        std::unique_ptr<char[]> first(block);
        std::unique_ptr<char[]> second(hidden(block));
    }
    look_for_twins();
}
void two_shared_owners() {
    char *block = take();
    {
        std::shared_ptr<char[]> first(block);
        std::shared_ptr<char[]> second(hidden(block));
    }
    look_for_twins();
}
void new_delete_free() {
    void *block = take_plain();
    ::operator delete(block);
    std::free(hidden(block));
    look_for_twins();
}
void delete_inside_array() {
    char *array = take();
    delete[] hidden(array + 32);
    look_for_twins();
}

// The shell of a shape that was deleted: its destructor is looked up in freed memory.
struct shape {
    virtual ~shape() = default;
};
template <size_t n> struct square : shape { char data[n]; };
template <size_t n> shape *make_square() { return new square<n>; }
void double_delete_virtual() {
    shape *object = zone == TINY    ? make_square<90>()
                    : zone == SMALL ? make_square<5000>()
                                    : make_square<300000>();
    delete object;
    delete reinterpret_cast<shape *>(hidden(object));
    look_for_twins();
}

} // namespace

extern "C" const struct scene own_scenes[] = {
    {"new_free", new_free},
    {"new_array_free", new_array_free},
    {"new_delete_array", new_delete_array},
    {"new_array_delete", new_array_delete},
    {"malloc_delete", malloc_delete},
    {"malloc_delete_array", malloc_delete_array},
    {"new_realloc", new_realloc},
    {"strdup_delete", strdup_delete},
    {"unique_ptr_of_malloc", unique_ptr_of_malloc},
    {"array_delete_with_count", array_delete_with_count},
    {"delete_array_without_count", delete_array_without_count},
    {"delete_less", delete_less},
    {"delete_more", delete_more},
    {"delete_by_1", delete_by_1},
    {"delete_array_more", delete_array_more},
    {"base_without_virtual", base_without_virtual},
    {"second_base_without_virtual", second_base_without_virtual},
    {"aligned_new_plain_delete", aligned_new_plain_delete},
    {"plain_new_aligned_delete", plain_new_aligned_delete},
    {"delete_other_alignment", delete_other_alignment},
    {"aligned_delete_more", aligned_delete_more},
    {"double_delete_plain", double_delete_plain},
    {"double_delete_sized", double_delete_sized},
    {"double_delete_aligned", double_delete_aligned},
    {"two_owners", two_owners},
    {"two_shared_owners", two_shared_owners},
    {"new_delete_free", new_delete_free},
    {"delete_inside_array", delete_inside_array},
    {"double_delete_virtual", double_delete_virtual},
    {nullptr, nullptr},
};
