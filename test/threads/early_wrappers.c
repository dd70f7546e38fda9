/* A library that is preloaded beside the heap: its wrappers of what a heap may call look the real
 * function up, which allocates, and allocate themselves. A heap that called them would call itself
 * without end, or hang on a lock of its own (field cases 3, A3). */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static void *lookup(const char *name) {
    void *block = calloc(3, 1000);
    void *result = dlsym(RTLD_NEXT, name);
    dlsym(RTLD_NEXT, "no_such_function"); /* the message is allocated */
    dlerror();
    free(realloc(block, 300000));
    return result;
}

#define REAL(name) ((__typeof__(&name))(uintptr_t)lookup(#name))

void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
    return REAL(mmap)(address, bytes, protection, flags, fd, offset);
}

int munmap(void *address, size_t bytes) { return REAL(munmap)(address, bytes); }

int mprotect(void *address, size_t bytes, int protection) {
    return REAL(mprotect)(address, bytes, protection);
}

int madvise(void *address, size_t bytes, int advice) {
    return REAL(madvise)(address, bytes, advice);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return ((int (*)(const char *, int, ...))(uintptr_t)lookup("open"))(path, flags, mode);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument) {
    return REAL(pthread_create)(thread, attributes, run, argument);
}

#if WRAP_KEY_CREATE
int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
    return REAL(pthread_key_create)(key, destructor);
}
#endif

int pthread_setspecific(pthread_key_t key, const void *value) {
    return REAL(pthread_setspecific)(key, value);
}

int dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *context) {
    return REAL(dl_iterate_phdr)(visit, context);
}

static __attribute__((constructor(101))) void first(void) { free(malloc(64)); }
