#!/usr/bin/env python3
"""Protects what the dynamic linker sees of the shared library: the exported names, exactly; what it
needs (libc alone, the C++ runtime only weakly); thread-local storage that fits into what glibc
leaves for late-loaded libraries, without dynamic TLS (field cases A1, A2); that it is never
unloaded (A11) nor bound lazily; no code that is written to, no executable stack.

    symbols.py PUBLIC_HEADER SONAME LIBRARY...
"""

import pathlib
import re
import subprocess
import sys

TLS_BYTES_MAX = 64
# References that stay empty where nobody defines them.
WEAK_OK = re.compile(r"^(_ITM_\w+|__gmon_start__|__cxa_finalize"
                     r"|_IO_list_(all|lock|unlock|resetlock)"
                     r"|slabmalloc_options|__libc_single_threaded|__rseq_(offset|size)"
                     r"|_ZSt17__throw_bad_allocv|_ZSt15get_new_handlerv|__gxx_personality_v0"
                     r"|__cxa_begin_catch|__cxa_end_catch|_Unwind_Resume|_ZSt9terminatev)$")
# The tables of src/api/bound.h: what the program may have, on purpose.
BOUND = "R_X86_64_64"
TLS_RELOCATIONS = re.compile(r"R_X86_64_(TPOFF|DTPMOD|DTPOFF|TLS|GOTTPOFF)\w*")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def public_names(header):
    text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.S)
    return set(re.findall(r"\bSLM_API\b[^;(]*?\b(slm_\w+)\s*\(", text))


def standard_names():
    lines = (pathlib.Path(__file__).parent / "exported_names.txt").read_text().splitlines()
    return {name for line in lines for name in line.split("#")[0].split()}


def check_names(library, expected, fail):
    exported = {}
    for line in run("nm", "-D", "--defined-only", library).splitlines():
        _, kind, name = line.split()
        exported[name.split("@")[0]] = kind
    for name in sorted(set(exported) - expected):
        fail(f"exports {name}, which is documented nowhere")
    for name in sorted(expected - set(exported)):
        fail(f"does not export {name}")
    for name, kind in exported.items():
        if kind not in "TW":
            fail(f"exports {name}, which is no function ({kind})")
    print(f"  {len(exported)} exported names")


def check_needs(library, expected, fail):
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-dW", library))
    if needed != ["libc.so.6"]:
        fail(f"needs {needed}, not libc.so.6 alone")
    for line in run("nm", "-D", "--undefined-only", library).splitlines():
        kind, name = line.split()
        if kind == "U" and "@GLIBC_" not in name:
            fail(f"needs {name}, which is not libc's")
        if kind == "w" and not WEAK_OK.match(name.split("@")[0]):
            fail(f"refers weakly to {name}")
    for line in run("readelf", "-rW", library).splitlines():
        words = line.split()
        name = words[4].split("@")[0] if len(words) > 4 else ""
        if name in expected and not name.startswith("slm_") and words[2] != BOUND:
            fail(f"calls {name} through the linker, where the program may have its own")


def check_tls(library, fail):
    kinds = set(m[0] for m in TLS_RELOCATIONS.finditer(run("readelf", "-rW", library)))
    if kinds - {"R_X86_64_TPOFF64"}:
        fail(f"has the TLS relocations {sorted(kinds)}; only TPOFF64 needs no call")
    if not kinds:
        fail("has no TPOFF64 relocation: where is the thread's cache?")
    sizes = [int(line.split()[5], 16) for line in run("readelf", "-lW", library).splitlines()
             if line.split()[:1] == ["TLS"]]
    if len(sizes) != 1 or sizes[0] > TLS_BYTES_MAX:
        fail(f"has {sizes} bytes of thread-local storage, at most {TLS_BYTES_MAX} are allowed")
    print(f"  {sizes} bytes of thread-local storage")


def check_dynamic(library, soname, fail):
    dynamic = run("readelf", "-dW", library)
    flags = dict(re.findall(r"\((FLAGS|FLAGS_1)\)\s+(.*)", dynamic))
    for word in ("NODELETE", "NOW"):
        if word not in flags.get("FLAGS_1", "").split():
            fail(f"is linked without -z {word.lower()}")
    if re.findall(r"\(SONAME\).*\[(.+)\]", dynamic) != [soname]:
        fail(f"has not the SONAME {soname}")
    if "TEXTREL" in dynamic:
        fail("has relocations in its code")
    for tag in ("RPATH", "RUNPATH"):
        if f"({tag})" in dynamic:
            fail(f"has a {tag}")


def check_segments(library, fail):
    segments = [line.split() for line in run("readelf", "-lW", library).splitlines()]
    stack = [s for s in segments if s[:1] == ["GNU_STACK"]]
    if len(stack) != 1 or "E" in "".join(stack[0][6:-1]):
        fail("asks for an executable stack")
    if not any(s[:1] == ["GNU_RELRO"] for s in segments):
        fail("keeps its relocated tables writable (no RELRO)")
    for segment in segments:
        if segment[:1] == ["LOAD"] and {"W", "E"} <= set("".join(segment[6:-1])):
            fail("has a segment that is writable and executable")


def main(header, soname, libraries):
    failures = []
    names = public_names(pathlib.Path(header))
    if len(names) < 20:
        failures.append(f"only {len(names)} public names read from {header}")
    for library in libraries:
        print(library)

        def fail(text, library=library):
            failures.append(f"{library} {text}")

        check_names(library, names | standard_names(), fail)
        check_needs(library, names | standard_names(), fail)
        check_tls(library, fail)
        check_dynamic(library, soname, fail)
        check_segments(library, fail)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures or not libraries else 0


sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
