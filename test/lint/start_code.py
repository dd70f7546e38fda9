"""Protects: what runs at every start lies together (AT_START), or the system maps 64 KiB around
each place of it. start_code.py SOURCES LIBRARY"""

import collections
import pathlib
import re
import subprocess
import sys

MARKED = re.compile(r"^(?!#)[^\n]*\bAT_START\b[^;{]*?(\w+)\(", re.M)

sources, library = pathlib.Path(sys.argv[1]), sys.argv[2]
marked = set()
for path in sorted(sources.rglob("*.c")):
    marked |= set(MARKED.findall(path.read_text()))
functions = []  # (address, bytes, name, name in the source)
for line in subprocess.run(["nm", "-S", "--defined-only", library], check=True,
                           capture_output=True, text=True).stdout.splitlines():
    parts = line.split()
    if len(parts) == 4 and parts[2] in "tT" and not parts[3].endswith(".cold"):
        functions.append((int(parts[0], 16), int(parts[1], 16), parts[3], parts[3].split(".")[0]))
# A static function of another file may have the name of one that is marked.
common = [name for name, count in collections.Counter(f[3] for f in functions).items() if count > 1]
found = [f for f in functions if f[3] in marked and f[3] not in common]
if len(found) < 10:
    sys.exit(f"start_code: of {len(marked)} marked functions only {len(found)} are in {library}")
first = min(address for address, *_ in found)
end = max(address + size for address, size, *_ in found)
between = [name for address, _, name, base in functions
           if first <= address < end and base not in marked]
if between:
    sys.exit(f"start_code: {len(found)} functions lie {end - first} bytes apart, and between them "
             + ", ".join(sorted(between)[:9]))
print(f"start_code: {len(found)} functions in {end - first} bytes")
