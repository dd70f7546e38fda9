# shellcheck shell=bash
# Protects: GNU grep's own matchers (kwset tries, DFA states that are built and thrown away), PCRE's JIT
# memory, and one buffer that grows to hold an endless line. realloc(p, 0) semantics showed up here first.
# needs: grep:grep sed:sed

words 150000 5 >lines
words 20000 11 | cut -d ' ' -f 1 | sort -u >keys
mkdir tree
split -l 2000 lines tree/part.
{ tr -d '\n' <lines; echo needle; } >one-line

preload
proof grep x
proof sed p
grep -F -f keys lines | sha256sum >out/fixed-many
grep -c -w -F -f <(head -n 500 keys) lines >out/fixed-words
grep -E '^k0*([1-9])[0-9]*\1 (w[0-9a-f]*)(a|b|cd|ef)+ .*[37]{2}' lines | sha256sum >out/extended
grep -E -o "$(head -n 400 keys | paste -s -d '|')" lines | sort | uniq -c >out/alternatives
grep -P '(?<=w)[0-9]{3,}(?! 1)\s+\d+7\b.*jumps\s{3,}over' lines | sha256sum >out/perl
grep -i -v -n 'FOX .*5' lines | tail -n 5 >out/inverted
grep -r -l 'k00012' tree | sort >out/recursive
grep -c needle one-line >out/one-line
grep -o -b 'needle' one-line >>out/one-line
grep -z -c . lines >out/zero
grep -E '(a|b)*c|(x+x+)+y' keys >out/none || echo "exit $?" >>out/none
grep '[' lines 2>out/bad || echo "exit $?" >>out/bad
sed -E -n 's/^(k[0-9]+) (w[0-9a-f]+) ([0-9]+) .*/\3 \2 \1/;H;$!d;x;s/\n/;/g;p' <(head -n 4000 lines) | sha256sum >out/sed
