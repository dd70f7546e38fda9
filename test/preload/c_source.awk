# c_source.awk: a C file of functions, each of another shape, that a compiler has something to do with.
# awk -v part=1 -v functions=60 -f c_source.awk    one file of the program; part=0 gives the main file, for `parts` files
function next_random(bound) {
    state = (state * 1103515245 + 12345) % 2147483648
    return int(state / 65536) % bound
}
function name(p, i) { return "part" p "_f" i }
BEGIN {
    state = 17 + part * 7919
    print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    print "struct node { unsigned key; double weight; struct node *next; char text[24]; };\n"
    if (part == 0) {
        for (p = 1; p <= parts; p++) print "unsigned part" p "_all(unsigned x);"
        print "int main(void) {\n    unsigned sum = 1;\n    for (unsigned i = 0; i < 2000; i++) {"
        for (p = 1; p <= parts; p++) print "        sum = sum * 31 + part" p "_all(sum + i);"
        print "    }\n    printf(\"sum %08x\\n\", sum);\n    return 0;\n}"
        exit
    }
    for (i = 0; i < functions; i++) {
        print "static unsigned " name(part, i) "(unsigned x) {"
        shape = next_random(5)
        if (shape == 0) {
            n = 8 + next_random(24)
            print "    unsigned t[" n "];\n    for (unsigned i = 0; i < " n "; i++)\n        t[i] = x * (i + " next_random(99) ");"
            print "    for (unsigned i = 1; i < " n "; i++)\n        t[i] ^= t[i - 1] >> " 1 + next_random(7) ";\n    x = t[" n - 1 "];"
        } else if (shape == 1) {
            print "    switch (x % 16) {"
            for (c = 0; c < 16; c++)
                print "    case " c ": x = (x << " 1 + next_random(5) ") + " next_random(1000) "; break;"
            print "    default: abort();\n    }"
        } else if (shape == 2) {
            print "    struct node *head = NULL;\n    for (unsigned i = 0; i < " 3 + next_random(9) "; i++) {"
            print "        struct node *n = calloc(1, sizeof *n);\n        if (!n)\n            abort();"
            print "        n->key = x + i;\n        n->weight = i * " next_random(50) ".5;\n        n->next = head;"
            print "        snprintf(n->text, sizeof n->text, \"n%u\", n->key % " 10 + next_random(900) ");\n        head = n;\n    }"
            print "    while (head) {\n        struct node *n = head;\n        head = n->next;"
            print "        x = x * 33 + (unsigned)n->weight + (unsigned)strlen(n->text);\n        free(n);\n    }"
        } else if (shape == 3) {
            print "    double a = x % 1000, b = " next_random(100) ".25;"
            for (c = 0; c < 6; c++) print "    a = a * " next_random(9) ".5 + b / (a + " 1 + next_random(9) ");\n    if (a > 1e6) a /= 4096;"
            print "    x ^= (unsigned)a;"
        } else {
            print "    char s[64];\n    int n = snprintf(s, sizeof s, \"%u-" next_random(10000) "\", x);"
            print "    for (int i = 0; i < n; i++)\n        x = x * " 3 + 2 * next_random(40) " + (unsigned char)s[i];"
        }
        if (i > 0) print "    return x + (x & 1 ? 0 : " name(part, next_random(i)) "(x | 1));\n}\n"
        else print "    return x;\n}\n"
    }
    print "unsigned part" part "_all(unsigned x) {"
    for (i = 0; i < functions; i++) print "    x = " name(part, i) "(x" (i % 3 ? "" : " + " i) ");"
    print "    return x;\n}"
}
