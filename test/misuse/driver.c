/* Protects: every bad pointer ends the process at once, by SIGABRT, with exactly one line on
 * standard error that says what is wrong; and a good one never does. Runs misuse_child once for
 * each fault, zone and function, and compares the whole of what it wrote.
 * Usage: misuse_driver CHILD GROUP */
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"

#ifndef SLM_TORTURE
#define SLM_TORTURE 0
#endif

enum outcome {
    FREED,          /* freed before */
    EVICTED,        /* freed before, and the mapping is gone */
    FREED_EVICTED,  /* one of these two; LARGE in the torture build, whose cache forgets at once */
    FREED_TWICE,    /* freed before, told of twice, in the same words */
    INSIDE,         /* inside a live block */
    INSIDE_FREED,   /* inside one that was freed */
    PADDING,        /* in a slab, in no slot */
    NEVER,          /* in the heap's range, where no slab has been */
    FOREIGN,        /* nothing of ours */
    BREAK,          /* in the program break */
    SILENT,         /* freed before, but nothing can be written */
    FINE,           /* no fault: exit 0 and not a word */
};

enum { IN_TINY = 1, IN_SMALL = 2, IN_LARGE = 4, IN_SLABS = 3, EVERYWHERE = 7 };

struct fault_case {
    const char *group, *scene;
    unsigned zones;
    enum outcome outcome;
    const char *said; /* on standard output, after the line about the pointer */
};

static const struct fault_case cases[] = {
#include "cases.inc"
};

/* Functions by the name on misuse_child's command line and in the diagnosis. */
static const struct function {
    const char *name, *told;
    bool frees;
} functions[] = {
    {"free", "free", true},
    {"realloc", "realloc", false},
    {"realloc_0", "free by realloc", true},
    {"malloc_usable_size", "malloc_usable_size", false},
    {"delete", "operator delete", true},
    {"delete_array", "operator delete", true},
    {"free_sized", "free_sized", true},
    {"free_aligned_sized", "free_aligned_sized", true},
};

static const char *const zone_names[ZONES] = {"TINY", "SMALL", "LARGE"};

/* --- running --------------------------------------------------------------------------------- */

struct result {
    int status;
    char out[4096], err[4096];
};

static void read_file(FILE *file, char *text, size_t size) {
    ssize_t n = pread(fileno(file), text, size - 1, 0);
    text[n > 0 ? n : 0] = 0;
    fclose(file);
}

static void run(const char *program, const char *const arguments[3], struct result *result) {
    FILE *out = tmpfile(), *err = tmpfile();
    if (out == NULL || err == NULL)
        abort();
    pid_t child = fork();
    if (child == 0) {
        dup2(fileno(out), 1);
        dup2(fileno(err), 2);
        execl(program, program, arguments[0], arguments[1], arguments[2], (char *)NULL);
        _exit(127);
    }
    waitpid(child, &result->status, 0);
    read_file(out, result->out, sizeof result->out);
    read_file(err, result->err, sizeof result->err);
}

/* --- what is expected ------------------------------------------------------------------------ */

struct facts {
    unsigned long pointer, start;
    long slot;
};

static bool is_about_free_block(const struct fault_case *c, enum zone in) {
    return c->outcome == FREED || (c->outcome == INSIDE_FREED && in == LARGE);
}

static void put_slot(char *text, size_t size, enum zone in, size_t bytes, long slot) {
    char number[32] = "[0-9]+";
    if (slot >= 0)
        snprintf(number, sizeof number, "%ld", slot);
    snprintf(text, size, "slot %s \\(%zu bytes\\) of %s slab [0-9]+", number, bytes,
             zone_names[in]);
}

static void put_reason(char *text, size_t size, const struct fault_case *c, enum zone in,
                       const struct facts *facts) {
    char slot[128];
    unsigned long offset = facts->pointer - facts->start;
    const char *plural = offset == 1 ? "" : "s";
    bool one_page = strcmp(c->scene, "inside_page") == 0;
    put_slot(slot, sizeof slot, in, one_page && in == SMALL ? 12288 : block_bytes[in], facts->slot);
    if (in == LARGE && c->outcome == INSIDE)
        snprintf(text, size, "%lu byte%s inside a LARGE block of %zu bytes, which starts at %#lx",
                 offset, plural, block_bytes[LARGE], facts->start);
    else if (in == LARGE && is_about_free_block(c, in))
        snprintf(text, size, "the LARGE block there is already free");
    else if (c->outcome == FREED)
        snprintf(text, size, "%s is already free", slot);
    else if (c->outcome == INSIDE)
        snprintf(text, size, "%lu byte%s inside %s, which starts at %#lx", offset, plural,
                 slot, facts->start);
    else if (c->outcome == INSIDE_FREED)
        snprintf(text, size, "%lu byte%s inside %s, which is free", offset, plural, slot);
    else if (c->outcome == PADDING)
        snprintf(text, size, "between the slots of %s slab [0-9]+: no block starts there",
                 zone_names[in]);
    else if (c->outcome == NEVER)
        snprintf(text, size, "in the heap, but no block was ever allocated there");
    else if (c->outcome == BREAK)
        snprintf(text, size, "never allocated here, but in the program break, as the C library's "
                             "own malloc does for libraries loaded with RTLD_DEEPBIND");
    else
        snprintf(text, size, "never allocated here, or a LARGE block freed long ago");
}

static bool matches(const char *text, const char *pattern) {
    regex_t compiled;
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        abort();
    bool found = regexec(&compiled, text, 0, NULL, 0) == 0;
    regfree(&compiled);
    return found;
}

static bool line_is_right(const struct fault_case *c, enum zone in, const struct function *f,
                          const struct facts *facts, const char *err, char *pattern, size_t size) {
    char reason[256];
    bool again = is_about_free_block(c, in);
    put_reason(reason, sizeof reason, c, in, facts);
    snprintf(pattern, size, "^slabmalloc: %s: %s\\(%#lx\\): %s\n$",
             again ? (f->frees ? "double free" : "use after free")
                   : (f->frees ? "invalid free" : "invalid pointer"),
             f->told, facts->pointer, reason);
    const char *newline = strchr(err, '\n');
    return newline != NULL && newline[1] == 0 && matches(err, pattern);
}

static bool two_lines_are_right(const struct fault_case *c, enum zone in, const struct function *f,
                                const struct facts *facts, const char *err, char *pattern,
                                size_t size) {
    char line[2048];
    struct fault_case freed = *c;
    size_t half = strlen(err) / 2;
    freed.outcome = FREED;
    snprintf(line, sizeof line, "%.*s", (int)half, err);
    return strcmp(line, err + half) == 0 &&
           line_is_right(&freed, in, f, facts, line, pattern, size);
}

static bool is_right(const struct fault_case *c, enum zone in, const struct function *f,
                     const struct result *result, char *why, size_t size) {
    struct facts facts;
    int used = 0;
    if (c->outcome == FINE) {
        snprintf(why, size, "exit 0 without output");
        return result->status == 0 && result->out[0] == 0 && result->err[0] == 0;
    }
    snprintf(why, size, "a line about the pointer, then '%s'", c->said != NULL ? c->said : "");
    if (sscanf(result->out, "%lx %lx %ld%n", &facts.pointer, &facts.start, &facts.slot, &used) != 3)
        return false;
    if (strcmp(result->out + used + 1, c->said != NULL ? c->said : "") != 0)
        return false;
    snprintf(why, size, "SIGABRT");
    if (!WIFSIGNALED(result->status) || WTERMSIG(result->status) != SIGABRT)
        return false;
    if (c->outcome == SILENT)
        return result->err[0] == 0;
    if (c->outcome == FREED_TWICE)
        return two_lines_are_right(c, in, f, &facts, result->err, why, size);
    if (c->outcome != FREED_EVICTED)
        return line_is_right(c, in, f, &facts, result->err, why, size);
    struct fault_case freed = *c, evicted = *c;
    freed.outcome = FREED;
    evicted.outcome = EVICTED;
    return (SLM_TORTURE && in == LARGE &&
            line_is_right(&evicted, in, f, &facts, result->err, why, size)) ||
           line_is_right(&freed, in, f, &facts, result->err, why, size);
}

/* --- all of it ------------------------------------------------------------------------------- */

static unsigned check(const char *program, const struct fault_case *c, enum zone in,
                      const struct function *f) {
    const char *arguments[3] = {c->scene, zone_names[in], f->name};
    static struct result result;
    char why[1024];
    run(program, arguments, &result);
    if (is_right(c, in, f, &result, why, sizeof why))
        return 0;
    printf("%s %s %s: expected: %s\n  status %#x, stdout: %s  stderr: %s\n", c->scene,
           zone_names[in], f->name, why, (unsigned)result.status, result.out, result.err);
    return 1;
}

int main(int argc, char **argv) {
    unsigned runs = 0, failures = 0;
    if (argc != 3)
        return 2;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(cases[i].group, argv[2]) != 0)
            continue;
        for (enum zone in = TINY; in < ZONES; in++) {
            for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
                if ((cases[i].zones >> in & 1) == 0)
                    continue;
                failures += check(argv[1], &cases[i], in, &functions[f]);
                runs++;
            }
        }
    }
    printf("%s: %u runs, %u wrong\n", argv[2], runs, failures);
    return failures > 0 || runs == 0;
}
