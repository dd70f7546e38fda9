/* A library with operators of its own, which end in malloc and free. Linked with -Bsymbolic it
 * keeps to them; without, it finds ours. */
#include <cstdlib>
#include <new>

void *operator new(std::size_t size) { return std::malloc(size != 0 ? size : 1); }
void *operator new[](std::size_t size) { return operator new(size); }
void operator delete(void *pointer) noexcept { std::free(pointer); }
void operator delete[](void *pointer) noexcept { operator delete(pointer); }
void operator delete(void *pointer, std::size_t) noexcept { operator delete(pointer); }
void operator delete[](void *pointer, std::size_t) noexcept { operator delete[](pointer); }

extern "C" long *apart_make() { return new long(1); }
extern "C" void apart_drop(long *number) { delete number; }
extern "C" long *apart_make_many() { return new long[9](); }
extern "C" void apart_drop_many(long *numbers) { delete[] numbers; }
