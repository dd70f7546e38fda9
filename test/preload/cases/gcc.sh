# shellcheck shell=bash
# Protects: cc1's obstacks and garbage collector, as, and ld: object files must not change by a byte.
# needs: gcc:gcc as:binutils awk:mawk

for part in 0 1 2 3; do
    awk -v part=$part -v parts=3 -v functions=150 -f "$CASE_DIR/c_source.awk" >part$part.c
done

preload
proof gcc -E -x c -
proof "$(gcc -print-prog-name=cc1)" -quiet - -o tmp/stdin.s
proof as -o tmp/stdin.o
for part in 0 1 2 3; do
    gcc -O2 -g -Wall -c part$part.c -o out/part$part.o
done
gcc out/part?.o -o out/program
out/program
gcc -O2 -flto -frandom-seed=1 part0.c part1.c -DPARTS=1 -c
gcc -O2 -S -fverbose-asm part1.c -o - | sha256sum
echo 'int f(struct s { int a } *p) { return p->b + undeclared; }' | gcc -c -x c - -o /dev/null 2>out/errors || echo "exit $?"
objdump -d out/program | sha256sum
ar rcsD out/lib.a out/part1.o && nm out/lib.a | sha256sum
