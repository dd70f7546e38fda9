/* Purpose: where the names that a loaded file defines lead to.
 * Owns:    nothing.
 * Locking: the loader's (dl_iterate_phdr, which some programs replace by one without): not inside
 *          malloc, and one caller at a time. */
#ifndef SLM_OS_REBIND_H
#define SLM_OS_REBIND_H

/* A symbol, and the function that whoever looks it up is to find; NULL: none, it stays as it is. */
struct os_binding {
    const char *name;
    const void *target;
};

/* Makes the functions that the loaded file around `inside` defines under these names lead to their
 * targets, for all that is bound or looked up from now on; what it does not define is left alone.
 * Nothing changes if the system refuses, or the file is not understood. */
void os_rebind(const void *inside, const struct os_binding *bindings, unsigned count);

#endif
