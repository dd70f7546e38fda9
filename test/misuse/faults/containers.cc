// Purpose: iterators, references and pointers into containers that have let go of what they point
// at.
#include <array>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "faults.h"

namespace {

// As the zone has it.
template <size_t n> using payload = std::array<char, n>;

// Runs one of three functions, by the zone.
#define BY_ZONE(function)                                                                          \
    (zone == TINY ? function<90>() : zone == SMALL ? function<5000>() : function<300000>())

void look_for_secret(const char *from) {
    const volatile char *byte = hidden(from);
    for (size_t i = 0; i < bytes; i++)
        if (byte[i] == SECRET)
            saw("reads the old data");
}

void vector_grown_read() {
    std::vector<char> vector(bytes, SECRET);
    const char *first = hidden(vector.data());
    while (vector.data() == first)
        vector.push_back(0);
    look_for_secret(first);
}

void vector_grown_write() {
    std::vector<char> vector(bytes, FILL);
    char *first = hidden(vector.data());
    while (vector.data() == first)
        vector.push_back(FILL);
    std::memset(hidden(first), STRAY, 8);
    saw_unless(is_all(vector.data(), FILL, bytes), "another block's data is damaged");
    vector = {};
    settle();
}

void string_grown_read() {
    std::string text(bytes, SECRET);
    const char *old = hidden(text.c_str());
    while (text.c_str() == old)
        text += 'x';
    look_for_secret(old);
}

void string_of_temporary() {
    const char *gone = hidden(std::string(bytes, SECRET).c_str());
    look_for_secret(gone);
}

template <size_t n> void read_erased_element() {
    std::map<int, payload<n>> map;
    for (int i = 0; i < 3; i++)
        map[i].fill(SECRET);
    const char *data = hidden(map[1].data());
    map.erase(1);
    look_for_secret(data);
}
void map_erased_read() { BY_ZONE(read_erased_element); }

template <size_t n> void write_erased_element() {
    std::map<int, payload<n>> map;
    for (int i = 0; i < 3; i++)
        map[i].fill(FILL);
    char *data = hidden(map[1].data());
    map.erase(1);
    std::memset(data, STRAY, 8);
    map.clear();
    settle();
}
void map_erased_write() { BY_ZONE(write_erased_element); }

// for (...; ++it) if (...) list.erase(it);
template <size_t n> void step_from_erased() {
    std::list<payload<n>> list(4);
    size_t steps = 0;
    for (auto it = list.begin(); it != list.end() && steps < 10; ++it, ++steps)
        if (steps == 1)
            list.erase(it);
    saw(steps == 4 ? "reads the old data" : "the loop goes astray");
}
void list_erased_step() { BY_ZONE(step_from_erased); }

void vector_written_behind() {
    std::vector<char> vector(bytes, FILL);
    std::memset(hidden(vector.data() + vector.size()), STRAY, 8);
    vector = {};
    go_on();
}

void shared_ptr_cycle() {
    struct node {
        std::shared_ptr<node> other;
        std::unique_ptr<char[]> data;
    };
    auto first = std::make_shared<node>(), second = std::make_shared<node>();
    first->other = second;
    second->other = first;
    first->data.reset(take());
}

void raw_pointer_of_owner() {
    auto owner = std::make_unique<char[]>(bytes);
    std::memset(owner.get(), SECRET, bytes);
    const char *raw = hidden(owner.get());
    owner.reset();
    look_for_secret(raw);
}

} // namespace

extern "C" const struct scene more_scenes[] = {
    {"vector_grown_read", vector_grown_read},
    {"vector_grown_write", vector_grown_write},
    {"vector_written_behind", vector_written_behind},
    {"string_grown_read", string_grown_read},
    {"string_of_temporary", string_of_temporary},
    {"map_erased_read", map_erased_read},
    {"map_erased_write", map_erased_write},
    {"list_erased_step", list_erased_step},
    {"raw_pointer_of_owner", raw_pointer_of_owner},
    {"leak_shared_ptr_cycle", shared_ptr_cycle},
    {nullptr, nullptr},
};
