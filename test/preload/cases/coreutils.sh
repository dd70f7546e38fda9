# shellcheck shell=bash
# Protects: sort's threads and its merge through temporary files, and the small tools that grow line buffers by
# realloc and are started by the thousand.
# needs: sort:coreutils find:findutils awk:mawk

words 200000 3 >lines
words 30000 7 >other

preload
proof sort
proof wc
proof tac
sort lines | sha256sum >out/sort
sort --parallel=2 -S 200M lines | sha256sum >out/sort-parallel
sort --parallel=2 -S 2M -T tmp -k 2,2 -k 3,3nr lines | sha256sum >out/sort-spill
sort -u -k 1,1 lines | wc >out/sort-unique
cut -d ' ' -f 1 lines | sort | uniq -c | sort -rn -k 1,1 -k 2 >out/uniq
wc lines >out/wc
join <(sort -k 1,1 lines) <(sort -k 1,1 other) | sha256sum >out/join
tac lines | sha256sum >out/tac
shuf --random-source=lines lines | sha256sum >out/shuf
comm -12 <(cut -c 1-6 lines | sort -u) <(cut -c 1-6 other | sort -u) | wc -l >out/comm
paste -d , <(cut -c 1-8 lines) <(tac lines | cut -c 1-8) | tr '[:lower:]' '[:upper:]' | fold -w 40 | nl | tail -n 5 >out/paste
split -l 9000 lines tmp/part. && cat tmp/part.* | cmp - lines && find tmp -type f | wc -l >out/split
base64 lines | base64 -d | od -A d -t x1 | tail -n 3 >out/od
tr -d '\n' <lines | wc >out/one-line
tr -d '\n' <lines | fmt -w 60 | tail -n 2 >out/fmt
factor 18446744073709551557 1000000016000000063 340282366920938463463374607431768211297 >out/factor
find . -name 'part.*' -printf '%P %s\n' | sort >out/find
seq 400 | xargs -n 1 -P 2 true
