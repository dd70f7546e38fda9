/* Protects: symbols of a loaded file by name: the loader finds the same; all versions of a name;
 * what is not defined is not found. */
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <gnu/lib-names.h>
#include <string.h>

#include "os/symbols.h"

static int find_libc(struct dl_phdr_info *file, size_t bytes, void *data) {
    size_t length = strlen(file->dlpi_name), end = strlen(LIBC_SO);
    (void)bytes;
    if (length < end || strcmp(file->dlpi_name + length - end, LIBC_SO) != 0)
        return 0;
    return os_symbols_find(data, file->dlpi_addr, file->dlpi_phdr, file->dlpi_phnum) ? 1 : -1;
}

static struct os_symbols libc_s(void) {
    struct os_symbols table;
    cr_assert_eq(dl_iterate_phdr(find_libc, &table), 1);
    return table;
}

Test(symbols, are_those_that_the_loader_finds) {
    static const char *const names[] = {"malloc",         "free",         "printf", "fork",
                                        "pthread_create", "reallocarray", "qsort",  "getaddrinfo",
                                        "dlopen",         "exit"};
    struct os_symbols table = libc_s();
    void *libc = dlopen(LIBC_SO, RTLD_LAZY);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const ElfW(Sym) *symbol = os_symbols_next(&table, names[i], NULL);
        cr_assert_not_null(symbol, "%s", names[i]);
        cr_assert_eq(table.base + symbol->st_value, (uintptr_t)dlsym(libc, names[i]), "%s",
                     names[i]);
    }
    dlclose(libc);
}

Test(symbols, of_several_versions_are_all_found) {
    struct os_symbols table = libc_s();
    unsigned count = 0;
    void *libc = dlopen(LIBC_SO, RTLD_LAZY);
    uintptr_t newest = (uintptr_t)dlsym(libc, "pthread_cond_wait");
    bool has_newest = false;
    for (const ElfW(Sym) *symbol = NULL;
         (symbol = os_symbols_next(&table, "pthread_cond_wait", symbol)) != NULL; count++)
        has_newest |= table.base + symbol->st_value == newest;
    cr_assert(has_newest);
#if defined(__x86_64__)
    cr_assert_eq(count, 2); /* of 2.2.5 and 2.3.2 */
#endif
    dlclose(libc);
}

Test(symbols, that_are_not_there_are_not_found) {
    struct os_symbols table = libc_s();
    cr_assert_null(os_symbols_next(&table, "", NULL));
    cr_assert_null(os_symbols_next(&table, "mallo", NULL));
    cr_assert_null(os_symbols_next(&table, "malloc_", NULL));
    cr_assert_null(os_symbols_next(&table, "no_such_function", NULL));
    cr_assert_not(os_symbols_find(&table, 0, NULL, 0));
}

Test(symbols, only_of_stubs_there_is_something_they_lead_to) {
    cr_assert_eq(os_program_stub_leads_to("malloc", 0), 0);
    cr_assert_eq(os_program_stub_leads_to("malloc", (uintptr_t)dlsym(RTLD_NEXT, "malloc")), 0);
    cr_assert_eq(os_program_stub_leads_to("no_such_function", 4096), 0);
}
