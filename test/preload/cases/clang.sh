# shellcheck shell=bash
# Protects: LLVM's bump allocators and dense maps, and clang running cc1 inside the driver's own process.
# needs: clang:clang g++:g++ awk:mawk

for part in 0 1 2; do
    awk -v part=$part -v parts=2 -v functions=150 -f "$CASE_DIR/c_source.awk" >part$part.c
done
cat >program.cpp <<'END'
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>
int main() {
    std::map<std::string, std::vector<int>> m;
    for (int i = 0; i < 50000; i++) m[std::to_string(i % 1013)].push_back(i);
    size_t n = 0;
    for (auto &[k, v] : m) n += k.size() * v.size();
    std::printf("%zu\n", n);
}
END

preload
proof clang -E -x c -
for part in 0 1 2; do
    clang -O2 -g -c part$part.c -o out/part$part.o
done
clang out/part?.o -o out/program
out/program
clang++ -std=c++17 -O2 -c program.cpp -o out/cpp.o
clang++ out/cpp.o -o out/cpp
out/cpp
clang -O2 -S -emit-llvm part1.c -o - | sha256sum
echo 'int f(struct s { int a } *p) { return p->b + undeclared; }' | clang -c -x c - -o /dev/null 2>out/errors || echo "exit $?"
