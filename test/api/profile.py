"""The heap profile as a file: where it is written, when, and that pprof reads it.

    profile.py PROGRAM

Protects: the options profile and profile_signal: a file at exit and at each signal, the marks %p
and %n in its name, a forked child's own file; who allocated what, to 10 %, by name, from a program
without frame pointers (x86-64); google-pprof, which knows nothing of us, agrees; what can't be
written is told and harms nobody; while checks are on there is none, and that is told.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SMALL_BYTES, LARGE_BYTES = 40000 * 100, 40 * 250000
PPROF = shutil.which("google-pprof")
failures = []


def check(condition, what):
    if not condition:
        failures.append(what)
        print(f"FAILED: {what}")


def run(program, folder, mode="", **options):
    variables = {f"SLABMALLOC_{name.upper()}": str(value) for name, value in options.items()}
    return subprocess.run([program] + ([mode] if mode else []), cwd=folder, capture_output=True,
                          text=True, timeout=60, env={**os.environ, **variables})


def pprof(program, file, *options):
    """Bytes by function, its callees' included."""
    done = subprocess.run([PPROF, "--text", "--cum", "--show_bytes", *options, program, str(file)],
                          capture_output=True, text=True, timeout=120)
    rows = re.findall(r"^ *\d+ +[\d.]+% +[\d.]+% +(\d+) +[\d.]+% (\S+)$", done.stdout, re.M)
    return {name: int(value) for value, name in rows}


def is_near(value, truth):
    return 0.9 * truth < value < 1.1 * truth


def total(file):
    """Live and allocated bytes, as the first line has them."""
    head = re.match(r"heap profile: *\d+: *(\d+) \[ *\d+: *(\d+)\] @ heapprofile\n",
                    file.read_text())
    check(head is not None, f"{file}: a header")
    return [int(number) for number in head.groups()] if head else [0, 0]


def main():
    program, = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        where = pathlib.Path(folder)

        done = run(program, folder, profile="at_exit.heap", sample=512)
        check(done.returncode == 0 and done.stderr == "", f"at exit: {done}")
        check(is_near(total(where / "at_exit.heap")[0], SMALL_BYTES + LARGE_BYTES), "live at exit")
        if PPROF:
            found = pprof(program, where / "at_exit.heap")
            check(is_near(found.get("hold_small", 0), SMALL_BYTES), f"pprof, small: {found}")
            check(is_near(found.get("hold_large", 0), LARGE_BYTES), f"pprof, large: {found}")
            if os.uname().machine == "x86_64":
                check(is_near(found.get("main", 0), SMALL_BYTES + LARGE_BYTES),
                      f"pprof, main: {found}")

        done = run(program, folder, profile="implied.heap")
        check(is_near(total(where / "implied.heap")[0], SMALL_BYTES + LARGE_BYTES) or
              total(where / "implied.heap")[0] > LARGE_BYTES / 2, "profile implies sample")

        done = run(program, folder, "signal", profile_signal="SIGUSR1", sample=512)
        files = sorted(where.glob("slabmalloc.*.heap"))
        check(len(files) == 2 and [f.name.split(".")[2] for f in files] == ["1", "2"],
              f"a file for each signal: {files}")
        live = [total(file)[0] for file in files]
        check(is_near(live[0], SMALL_BYTES + LARGE_BYTES) and is_near(live[1], LARGE_BYTES),
              f"at the signals: {live}")

        for file in files:
            file.unlink()
        done = run(program, folder, "small_stack", profile_signal="SIGUSR1", sample=512)
        files = list(where.glob("slabmalloc.*.heap"))
        check(done.returncode == 0 and len(files) == 1 and
              is_near(total(files[0])[0], SMALL_BYTES + LARGE_BYTES), f"on a small stack: {done}")

        done = run(program, folder, "fork", profile="child.%p.heap", sample=512)
        files = sorted(where.glob("child.*.heap"), key=lambda file: total(file)[0])
        check(len(files) == 2, f"a child has its own: {files}")
        check(total(files[1])[0] - total(files[0])[0] == 1000000, "what the child holds more")

        done = run(program, folder, profile="no/such/folder", sample=512)
        check(done.returncode == 0, "the program goes on")
        check(done.stderr == "slabmalloc: profile: no/such/folder can't be written (error 2)\n",
              f"what can't be written: {done.stderr!r}")

        done = run(program, folder, profile="stderr", sample=512)
        check(done.stderr.startswith("heap profile: "), "to standard error")

        done = run(program, folder, profile="none.heap", canary="on")
        check(done.stderr == "slabmalloc: sample: there is no profile while checks are on\n",
              f"while checks are on: {done.stderr!r}")
        check(not (where / "none.heap").exists(), "and no file")

    print(f"profile: {len(failures)} failures; google-pprof: {PPROF or 'not installed'}")
    return 1 if failures else 0


sys.exit(main())
