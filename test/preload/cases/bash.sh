# shellcheck shell=bash
# Protects: the shell that starts everything else. Bash has its own malloc wrappers, grows strings by
# realloc one character at a time, and forks from a heap in use for every subshell and pipe.
# needs: bash:bash dash:dash

cat >prog.bash <<'END'
declare -a numbers; declare -A table
for ((i = 0; i < 20000; i++)); do numbers[i]=$((i * 7919 % 10007)); done
for n in "${numbers[@]}"; do table[key$((n % 997))]+="$n,"; done
for key in $(printf '%s\n' "${!table[@]}" | sort); do echo "$key ${#table[$key]} ${table[$key]:0:40}"; done

text=x
for ((i = 0; i < 20; i++)); do text+=$text; done # 1 MiB
echo "${#text}"
text=${text:0:20000}; text=${text//xx/ab}
echo "${#text} ${text:1000:10}"
read -r -a parts <<<"${text//ab/a }"
echo "${#parts[@]}"
unset parts text

for ((i = 0; i < 150; i++)); do
    out=$(echo "$i"; (echo "sub $((i * i))"; (echo "subsub")))
    echo "${out//$'\n'/ }"
done
seq 1 3000 | while read -r line; do echo "$((line * 2))"; done | tail -n 3
f() { local depth=$1; if ((depth == 0)); then echo bottom; else f $((depth - 1)); fi; }
f 500
printf '%s\n' {a..z}{a..z}{a..z} | wc -c
mapfile -t lines < <(seq 50000); echo "${#lines[@]} ${lines[49999]}"
[[ "$(printf 'a%.0s' {1..5000})" =~ ^(a+)(a{10})$ ]] && echo "${#BASH_REMATCH[1]}"
trap 'echo bye' EXIT
trap 'echo usr1' USR1; kill -USR1 $$
END

preload
proof bash
proof dash
bash prog.bash >out/bash
dash -c 'i=0; s=; while [ $i -lt 3000 ]; do s=$s$i; i=$((i+1)); done; echo ${#s}; x=$(echo a | cat | cat); echo $x' >out/dash
