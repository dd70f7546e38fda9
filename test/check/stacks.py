"""Call stacks of programs without frame pointers.

    stacks.py PROGRAM

Protects: with the option stacks=tables, leaks and the history in a diagnosis have every caller, up
to the beginning of the process, through functions of libc too (x86-64); without it they have the
innermost one at least; a program that is told nothing of it goes on as it did.
"""

import os
import re
import subprocess
import sys

PROGRAM = sys.argv[1]
ALL = ["innermost", "middle", "compare", "outermost", "main", "_start"]
failures = 0


def run(*words, **options):
    variables = {f"SLABMALLOC_{name.upper()}": str(value) for name, value in options.items()}
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **variables})


def functions(lines):
    """Those of the program's own that the addresses in these lines lie in, innermost first."""
    own = os.path.basename(PROGRAM)
    offsets = re.findall(rf"\({re.escape(own)}\+(0x[0-9a-f]+)\)", "\n".join(lines))
    named = subprocess.run(["addr2line", "-f", "-e", PROGRAM, *offsets], capture_output=True,
                           text=True, check=True).stdout.splitlines()[::2]
    return named


def check(condition, what):
    global failures
    if not condition:
        failures += 1
        print(f"FAILED: {what}")


def of_the_leak(stderr):
    lines = stderr.splitlines()
    starts = [i for i, line in enumerate(lines) if " of 1001 bytes" in line]
    check(len(starts) == 1, f"one leak of 1001 bytes: {stderr}")
    return functions(takewhile_indented(lines[starts[0] + 1:])) if starts else []


def takewhile_indented(lines):
    taken = []
    for line in lines:
        if not line.startswith("slabmalloc:     "):
            break
        taken.append(line)
    return taken


def main():
    tables = os.uname().machine == "x86_64"
    done = run(leaks="exit", stacks="tables")
    check(done.returncode == 0, f"leaks: {done.returncode}")
    found = of_the_leak(done.stderr)
    check(found == (ALL if tables else ALL[:len(found)]), f"by tables: {found}")
    check("libc.so.6+" in done.stderr or not tables, "libc's qsort is among them")

    found = of_the_leak(run(leaks="exit").stderr)
    check(found[:1] == ALL[:1], f"by frame pointers: {found}")

    done = run("twice", history="on", stacks="tables")
    check(done.returncode == -6, f"a double free: {done.returncode}")
    lines = done.stderr.splitlines()
    for what, wanted in (("allocated by", ALL), ("freed by", ALL[4:]),
                         ("free was called", ALL[4:])):
        starts = [i for i, line in enumerate(lines) if what in line]
        check(len(starts) == 1, f"{what}: {done.stderr}")
        found = functions(takewhile_indented(lines[starts[0] + 1:])) if starts else []
        # A diagnosis shows the innermost 8, those of libc included.
        check(found == wanted[:len(found)] and len(found) >= min(5, len(wanted)) or not tables,
              f"{what}: {found}")
    print(f"stacks: {failures} failures")
    return 1 if failures else 0


sys.exit(main())
