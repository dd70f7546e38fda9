#!/usr/bin/env python3
"""Protects: what runs at every start lies together (AT_START), or the system maps 64 KiB around
each place of it: nothing else lies in between, and a program that does not allocate runs nothing
of the library's that lies elsewhere.

    start_code.py SOURCES LIBRARY
"""

import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import machine_code  # noqa: E402

MARKED = re.compile(r"^(?!#)[^\n]*\bAT_START\b[^;{]*?(\w+)\(", re.M)
FOUND_LEAST = 10
BESIDE_BYTES = 4096  # compilers put some there without being asked

Function = collections.namedtuple("Function", "address bytes name name_in_source")


def functions_of(library):
    found = []
    for line in machine_code.run("nm", "-S", "--defined-only", library).splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[2] in "tT" and not parts[3].endswith(".cold"):
            found.append(Function(int(parts[0], 16), int(parts[1], 16), parts[3],
                                  parts[3].split(".")[0]))
    return found


def addresses_run(library, *program):
    """Those of the library's instructions that the program executes, by callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        profile = pathlib.Path(folder) / "profile"
        subprocess.run(["valgrind", "--tool=callgrind", "--dump-instr=yes", "--compress-pos=no",
                        "--compress-strings=no", "--soname-synonyms=somalloc=none",
                        f"--callgrind-out-file={profile}", *program], check=True,
                       capture_output=True, env={**os.environ, "LD_PRELOAD": library})
        inside, addresses = False, set()
        for line in profile.read_text(errors="replace").splitlines():
            if line.startswith("ob="):
                inside = os.path.realpath(line[3:]) == os.path.realpath(library)
            elif inside and line.startswith("0x"):
                addresses.add(int(line.split()[0], 16))
    return addresses


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
    if between:
        return "between them lie " + ", ".join(between)

    ran = addresses_run(library, "/bin/true")
    if not any(f.name_in_source == "os_init" and f.address in ran for f in found):
        return "/bin/true does not start the library"
    elsewhere = sorted({f.name for f in functions for address in ran
                        if f.address <= address < f.address + f.bytes
                        and not first - BESIDE_BYTES <= address < end + BESIDE_BYTES})
    print(f"/bin/true runs {len(ran)} instructions of the library")
    return "what runs at the start lies elsewhere: " + ", ".join(elsewhere) if elsewhere else 0


sys.exit(main(*sys.argv[1:]))
