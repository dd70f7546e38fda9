# shellcheck shell=bash
# Protects: gawk's block allocators and big associative arrays, mawk's own pools, and string concatenation.
# needs: gawk:gawk mawk:mawk

words 40000 9 >lines
cat >program.awk <<'PROGRAM'
{ count[$2]++; text[$1 % 100] = text[$1 % 100] substr($2, 2); if (length($0) > longest) longest = length($0) }
NR % 3 == 0 { delete count[$2] }
/fox [0-9]*7 / { gsub(/o/, "00"); seven++; n = split($0, parts, /[ k]+/); total += n }
END {
    print NR, longest, seven, total
    for (w in count) print w, count[w] | "sort"
    close("sort")
    s = "a"; for (i = 0; i < 18; i++) s = s s
    print length(s)
    for (i = 0; i < 100000; i++) t = t sprintf("%d", i % 10)
    print length(t), substr(t, 5000, 20)
    while (("seq 1000" | getline line) > 0) sum += line
    print sum
}
PROGRAM

preload
proof gawk '{ print }'
proof mawk '{ print }'
gawk -f program.awk lines >out/gawk
mawk -f program.awk lines >out/mawk
gawk 'BEGIN { for (i = 0; i < 50000; i++) a[i % 100][i] = i; n = asorti(a[7], keys); print n, keys[1], strftime("%Y", 0) }'
