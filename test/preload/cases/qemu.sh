# shellcheck shell=bash
# Protects: an emulator of user programs, as builds of images for other machines use it, and the programs in it; both
# run on the library. Debian 12's keeps a record of each page that a program reserves: a start is quick, and small.
# needs: qemu-x86_64:qemu-user perl:perl python3:python3 sort:coreutils

cat >program.py <<'END'
import os, threading
def work(n, out):
    table = {}
    for i in range(20000):
        table[i % 500] = str(i * n) * (i % 30)
    out[n] = sum(map(len, table.values()))
out = {}
threads = [threading.Thread(target=work, args=(n, out)) for n in range(1, 5)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(out.items()))
child = os.fork()
if child == 0:
    print(len([bytes(i) for i in range(3000)]), flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
END

cat >peak.sh <<'END'
while read -r name kilobytes unit; do
    [ "$name" != VmHWM: ] || { [ "$kilobytes" -lt 200000 ] && echo small || echo "$kilobytes $unit"; }
done </proc/self/status
END

preload
proof qemu-x86_64 "$(type -P cat)"
qemu-x86_64 "$(type -P cat)" /proc/self/maps >maps.guest
proof_maps 'the program in qemu' maps.guest
qemu-x86_64 /bin/sh peak.sh
start=$SECONDS
for _ in 1 2 3 4 5; do
    qemu-x86_64 "$(type -P true)"
done
[ $((SECONDS - start)) -lt 20 ] && echo quick
qemu-x86_64 "$(type -P perl)" -e 'my %h; $h{$_ % 999} .= "x$_" for 1 .. 50000; print length(join "", values %h), "\n"'
PYTHONMALLOC=malloc qemu-x86_64 "$(type -P python3)" program.py
seq 30000 -1 1 | qemu-x86_64 "$(type -P sort)" -n --parallel=2 | tail -1
