#!/usr/bin/env python3
"""Protects: what runs at every start lies together (AT_START), or the system maps 64 KiB around
each place of it.

    start_code.py SOURCES LIBRARY
"""

import collections
import pathlib
import re
import sys

sys.dont_write_bytecode = True
import machine_code  # noqa: E402

MARKED = re.compile(r"^(?!#)[^\n]*\bAT_START\b[^;{]*?(\w+)\(", re.M)
FOUND_LEAST = 10

Function = collections.namedtuple("Function", "address bytes name name_in_source")


def functions_of(library):
    found = []
    for line in machine_code.run("nm", "-S", "--defined-only", library).splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[2] in "tT" and not parts[3].endswith(".cold"):
            found.append(Function(int(parts[0], 16), int(parts[1], 16), parts[3],
                                  parts[3].split(".")[0]))
    return found


def main(sources, library):
    marked = {name for path in pathlib.Path(sources).rglob("*.c")
              for name in MARKED.findall(path.read_text())}
    functions = functions_of(library)
    # A static function of another file may have the name of one that is marked.
    times = collections.Counter(f.name_in_source for f in functions)
    found = [f for f in functions if f.name_in_source in marked and times[f.name_in_source] == 1]
    if len(found) < FOUND_LEAST:
        return f"of {len(marked)} marked functions only {len(found)} are in {library}"
    first, end = min(f.address for f in found), max(f.address + f.bytes for f in found)
    print(f"{len(found)} functions in {end - first} bytes")
    between = sorted(f.name for f in functions
                     if first <= f.address < end and f.name_in_source not in marked)
    return "between them lie " + ", ".join(between) if between else 0


sys.exit(main(*sys.argv[1:]))
