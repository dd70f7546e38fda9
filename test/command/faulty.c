/* Purpose: a program with a leak, and with an argument a double free, for test_command.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *leak(int count) {
    char *last = NULL;
    for (int i = 0; i < count; i++)
        last = malloc(50);
    return last;
}

int main(int count, char **arguments) {
    char *last = leak(7);
    fprintf(stderr, "the program's own line\n");
    if (count > 1) {
        fprintf(stderr, "a line without an end: %s", arguments[1]);
        free(last);
        free(last);
    }
    return 0;
}
