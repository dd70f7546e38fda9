#!/usr/bin/env python3
"""Protects the promise about the hot paths, in the machine code that is shipped: from malloc's and
free's entry straight on to the return there is no call, no locked instruction and no exchange with
memory, and few instructions. Protects calloc and malloc from calling themselves (the compiler
turns malloc + memset into calloc; field case A15), directly, through the GOT or further below.

    hot_paths.py LIBRARY...
"""

import sys

sys.dont_write_bytecode = True
import machine_code  # noqa: E402

# As perf/count, which counts what is executed; and new, delete, delete with the size.
LIMITS = {"malloc": 31, "free": 27, "_Znwm": 31, "_ZdlPv": 27, "_ZdlPvm": 28}
# What neither malloc nor calloc may lead back to: any way into an allocator.
ALLOCATORS = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "memalign", "posix_memalign",
              "reallocarray", "valloc", "pvalloc", "cfree", "strdup"}
ALLOCATORS |= {"__libc_" + name for name in ALLOCATORS} | {"slm_" + name for name in ALLOCATORS}


def check_hot_path(code, name, limit, fail):
    path = code.hot_path(name)
    last = path[-1]
    locked = [i.text for i in path if machine_code.is_locked(i)]
    print(f"  {name}: {len(path)} instructions on the hot path, {len(locked)} locked")
    if not last.mnemonic.startswith("ret"):
        fail(f"{name}: the hot path ends in '{last.text}', not in a return")
    for text in locked:
        fail(f"{name}: '{text}' on the hot path")
    if len(path) > limit:
        fail(f"{name}: {len(path)} instructions on the hot path, at most {limit} are allowed")
    for instruction in code.functions[code.function_of[code.symbols[name]]]:
        if machine_code.is_locked(instruction):
            fail(f"{name}: '{instruction.text}': its hot code belongs into functions without "
                 "locked instructions, its slow code elsewhere")


def check_no_recursion(code, name, fail):
    functions, outside = code.reached(name)
    own = code.function_of[code.symbols[name]]
    for called in sorted(ALLOCATORS & set(outside)):
        fail(f"{name}: {outside[called]} calls {called} by name")
    for function in functions - {own}:
        entries = ALLOCATORS & code.names[function]
        if entries:
            fail(f"{name} leads to the allocator's entry {min(entries)}")
    if any(code.target(i).address == own for f in functions for i in code.functions[f]
           if i.mnemonic.startswith(("call", "jmp"))):
        fail(f"{name} leads back to itself")
    print(f"  {name}: {len(functions)} functions below it, none of them an allocator's entry")


def main(libraries):
    failures = []
    for library in libraries:
        print(library)
        code = machine_code.Code(library)

        def fail(text, library=library):
            failures.append(f"{library}: {text}")

        for name, limit in LIMITS.items():
            check_hot_path(code, name, limit, fail)
        for name in ("malloc", "calloc"):
            check_no_recursion(code, name, fail)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures or not libraries else 0


sys.exit(main(sys.argv[1:]))
