# shellcheck shell=bash
# Protects: gdb (symbol tables on obstacks, an embedded Python) and a debugged program, both preloaded.
# needs: gdb:gdb gcc:gcc

cat >program.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct node { int key; char text[16]; struct node *next; };
static struct node *push(struct node *head, int key) {
    struct node *n = malloc(sizeof *n);
    memset(n, 0, sizeof *n);
    n->key = key;
    snprintf(n->text, sizeof n->text, "node %d", key);
    n->next = head;
    return n;
}
static int sum(const struct node *n) { return n ? n->key + sum(n->next) : 0; }
int main(void) {
    struct node *head = NULL;
    char line[512];
    FILE *in = fopen("/proc/self/maps", "r"), *out = fopen("maps.debugged", "w");
    while (fgets(line, sizeof line, in)) fputs(line, out);
    fclose(in);
    fclose(out);
    for (int i = 1; i <= 10; i++) head = push(head, i);
    printf("sum %d\n", sum(head));
    while (head) { struct node *n = head; head = n->next; free(n); }
    return 3;
}
END
gcc -g -O0 program.c -o program

preload
proof gdb -nx -q
gdb -nx -q -batch \
    -ex 'set debuginfod enabled off' -ex 'set print address off' -ex 'set disable-randomization off' \
    -ex 'break sum if n == 0' -ex 'run >program.out' -ex 'backtrace 4' -ex 'up' -ex 'print *n' \
    -ex 'python print(sum(i for i in range(1000)))' -ex 'ptype n' -ex delete -ex continue -ex 'print $_exitcode' \
    ./program >session 2>>noise
cat program.out
proof_maps 'the debugged program' maps.debugged
plain grep -vE '^\[|^warning|^Using host' session | plain sed -E 's/0x[0-9a-f]+/ADDRESS/g' >out/session
