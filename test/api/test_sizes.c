/* Protects: every allocating function at the edges of size and alignment (field case 12, D3): a
 * success is aligned and may be written at both ends, a failure is NULL and ENOMEM, and errno is
 * untouched by a success. No size near SIZE_MAX may wrap into a small block. */
#include <criterion/criterion.h>

#include "api.h"

enum { ALIGNMENT_BITS_MAX = SLM_TORTURE ? 30 : 40 };

/* Up to here a request must be served on any machine that runs tests. */
#define SERVED_BYTES ((size_t)1 << 24)
#define SERVED_ALIGNMENT ((size_t)1 << 30)
/* The torture build cannot unmap: what was large stays cached, and is cleared by calloc. */
#define LEFT_OUT(power) (SLM_TORTURE && (power) > (size_t)1 << 24 && (power) < (size_t)1 << 62)

struct function {
    const char *name;
    void *(*allocate)(size_t alignment, size_t size);
    bool takes_alignment;
    size_t own_alignment;
};

static void *by_malloc(size_t a, size_t n) { return (void)a, malloc(n); }
static void *by_calloc(size_t a, size_t n) { return (void)a, calloc(1, n); }
static void *by_calloc_count(size_t a, size_t n) { return (void)a, calloc(n, 1); }
static void *by_realloc(size_t a, size_t n) { return (void)a, realloc(hidden(NULL), n); }
static void *by_reallocarray(size_t a, size_t n) {
    return (void)a, reallocarray(hidden(NULL), n, 1);
}
static void *by_valloc(size_t a, size_t n) { return (void)a, valloc(n); }
static void *by_pvalloc(size_t a, size_t n) { return (void)a, pvalloc(n); }
static void *by_aligned_alloc(size_t a, size_t n) { return aligned_alloc(a, n); }
static void *by_memalign(size_t a, size_t n) { return memalign(a, n); }

/* posix_memalign returns its error and leaves errno alone; here it tells as the others do. */
static void *by_posix_memalign(size_t a, size_t n) {
    void *pointer = &pointer;
    int error = posix_memalign(&pointer, a < sizeof(void *) ? sizeof(void *) : a, n);
    if (errno != ERRNO_MARK)
        cr_assert_fail("posix_memalign(%zx, %zx) set errno to %d", a, n, errno);
    if (error == 0)
        return pointer;
    if (pointer != (void *)&pointer)
        cr_assert_fail("posix_memalign(%zx, %zx) failed and stored %p", a, n, pointer);
    errno = error;
    return NULL;
}

static const struct function functions[] = {
    {"malloc", by_malloc, false, 16},
    {"calloc(1, n)", by_calloc, false, 16},
    {"calloc(n, 1)", by_calloc_count, false, 16},
    {"realloc", by_realloc, false, 16},
    {"reallocarray", by_reallocarray, false, 16},
    {"valloc", by_valloc, false, 4096},
    {"pvalloc", by_pvalloc, false, 4096},
    {"aligned_alloc", by_aligned_alloc, true, 16},
    {"memalign", by_memalign, true, 16},
    {"posix_memalign", by_posix_memalign, true, 16},
};

static void check_failure(const struct function *f, size_t alignment, size_t size) {
    if (errno != ENOMEM)
        cr_assert_fail("%s(alignment %zx, size %zx): errno %d", f->name, alignment, size, errno);
    if (size <= SERVED_BYTES && alignment <= SERVED_ALIGNMENT)
        cr_assert_fail("%s(alignment %zx, size %zx): no memory", f->name, alignment, size);
}

static void check_success(const struct function *f, size_t alignment, size_t size,
                          unsigned char *pointer) {
    size_t expected = alignment > f->own_alignment ? alignment : f->own_alignment;
    if (errno != ERRNO_MARK)
        cr_assert_fail("%s(%zx, %zx): success and errno %d", f->name, alignment, size, errno);
    if (size > PTRDIFF_MAX)
        cr_assert_fail("%s(%zx, %zx): a block", f->name, alignment, size);
    if (!is_aligned(pointer, expected))
        cr_assert_fail("%s(%zx, %zx): %p", f->name, alignment, size, (void *)pointer);
    if (malloc_usable_size(pointer) < size)
        cr_assert_fail("%s(%zx, %zx): too short", f->name, alignment, size);
    if (size > 0) {
        pointer[0] = 0x5a;
        pointer[size - 1] = 0xa5;
        if (size > 1 && (pointer[0] != 0x5a || pointer[size - 1] != 0xa5))
            cr_assert_fail("%s(%zx, %zx): does not hold its bytes", f->name, alignment, size);
    }
}

static void check(const struct function *f, size_t alignment, size_t size) {
    errno = ERRNO_MARK;
    unsigned char *pointer = hidden(f->allocate(alignment, hidden_size(size)));
    if (pointer == NULL) {
        check_failure(f, alignment, size);
        return;
    }
    check_success(f, alignment, size, pointer);
    errno = ERRNO_MARK;
    free(pointer);
    if (errno != ERRNO_MARK)
        cr_assert_fail("free after %s(%zx, %zx): errno %d", f->name, alignment, size, errno);
}

static void check_all(size_t size) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (!functions[i].takes_alignment) {
            check(&functions[i], 1, size);
            continue;
        }
        for (unsigned bits = 0; bits <= ALIGNMENT_BITS_MAX; bits++)
            check(&functions[i], (size_t)1 << bits, size);
    }
}

Test(sizes, malloc_is_ours) { cr_assert(is_ours("malloc")); }

Test(sizes, around_every_power_of_two, .timeout = 120) {
    check_all(0);
    for (unsigned bits = 0; bits < 64; bits++) {
        size_t power = (size_t)1 << bits;
        if (LEFT_OUT(power))
            continue;
        check_all(power - 1);
        check_all(power);
        check_all(power + 1);
    }
}

Test(sizes, around_ptrdiff_max) {
    for (size_t size = (size_t)PTRDIFF_MAX - 16; size <= (size_t)PTRDIFF_MAX + 16; size++) {
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            errno = ERRNO_MARK;
            if (functions[i].allocate(64, hidden_size(size)) != NULL || errno != ENOMEM)
                cr_assert_fail("%s(%zx): errno %d", functions[i].name, size, errno);
        }
        check_all(size);
    }
}

Test(sizes, up_to_size_max, .timeout = 120) {
    size_t size = SIZE_MAX - 4096;
    do {
        check_all(size);
    } while (size++ != SIZE_MAX);
}

/* An alignment that no address space holds is no reason to crash or to give less. */
Test(sizes, alignments_beyond_the_address_space) {
    for (unsigned bits = 47; bits < 64; bits++) {
        for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
            errno = ERRNO_MARK;
            if (functions[i].takes_alignment &&
                (functions[i].allocate((size_t)1 << bits, 1) != NULL || errno != ENOMEM))
                cr_assert_fail("%s(2^%u, 1): errno %d", functions[i].name, bits, errno);
        }
    }
}

/* Every class, its last byte and one more: sizes up to the first LARGE ones, step by step. */
Test(sizes, every_size_up_to_large) {
    for (size_t size = 0; size < 140000; size += size < 5000 ? 1 : 13) {
        unsigned char *pointer = hidden(malloc(size));
        if (pointer == NULL || !is_aligned(pointer, 16) || malloc_usable_size(pointer) < size)
            cr_assert_fail("malloc(%zu): %p", size, (void *)pointer);
        memset(pointer, 0x77, size);
        free(pointer);
    }
}
