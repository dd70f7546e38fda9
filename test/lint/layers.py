#!/usr/bin/env python3
"""Protects the order of src/README.md. Includes go down or stay in their folder, and so do symbols:
no object file uses what is defined in a higher layer, nor in a neighbour of its rank. Headers do
not include each other in rings. Programs in tools/ include the public headers only. Every header
compiles alone.

    layers.py includes PROJECT
    layers.py symbols PROJECT OBJECT...        (an argument @FILE: a file that lists them)
    layers.py headers PROJECT COMPILER
"""

import collections
import os
import pathlib
import re
import subprocess
import sys

INCLUDE = re.compile(r"^\s*#\s*include\s*([<\"])([^>\"]+)[>\"]", re.M)
SOURCES = (".c", ".h", ".cc")
PUBLIC = "slabmalloc"
# Layers of one rank: neither may use the other.
NEIGHBOURS = ({"slab", "large"},)


def read_order(project):
    """The layers from the line `order: ...` of src/README.md, bottom first."""
    readme = project / "src" / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.exists() else ""
    lines = re.findall(r"^\s*`*order:\s+([a-z ]+?)`*\s*$", text, re.M)
    if len(lines) != 1:
        sys.exit(f"{readme}: needs exactly one line 'order: base os core ...', has {len(lines)}")
    return lines[0].split()


def may_use(order, user, used):
    if user == used:
        return True
    if any({user, used} == pair for pair in NEIGHBOURS):
        return False
    return order.index(used) < order.index(user)


def sources_below(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in SOURCES and p.is_file())


def find_ring(graph):
    """A cycle of a directed graph as a list of nodes, or None."""
    state, trail = {}, []

    def visit(node):
        state[node] = "open"
        trail.append(node)
        for other in sorted(graph.get(node, ())):
            if state.get(other) == "open":
                return trail[trail.index(other):] + [other]
            if other not in state:
                ring = visit(other)
                if ring:
                    return ring
        trail.pop()
        state[node] = "done"
        return None

    for node in sorted(graph):
        if node not in state:
            ring = visit(node)
            if ring:
                return ring
    return None


def check_include(project, order, path, mark, name, failures):
    """Checks one #include of a file of src/; returns the layer file it names, if it is one."""
    layer = path.relative_to(project / "src").parts[0]
    where = path.relative_to(project)
    first = name.split("/")[0]
    if first == PUBLIC or first not in order:
        if mark == '"' and not (project / "include" / name).exists():
            failures.append(f'{where}: "{name}" is neither LAYER/FILE.h nor a public header')
        return None
    if mark == "<" or not (project / "src" / name).exists() or not name.endswith(".h"):
        failures.append(f"{where}: {name} has to be the name of a header, in quotes")
    elif not may_use(order, layer, first):
        failures.append(f"{where}: includes {name}, but {layer} may not use {first}")
    return name


def check_includes(project):
    order, failures = read_order(project), []
    graph = collections.defaultdict(set)
    files = sources_below(project / "src")
    for path in files:
        relative = path.relative_to(project / "src")
        if len(relative.parts) != 2 or relative.parts[0] not in order:
            failures.append(f"src/{relative}: not in the folder of a layer ({' '.join(order)})")
            continue
        for mark, name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            used = check_include(project, order, path, mark, name, failures)
            if used:
                graph[str(relative)].add(used)
    ring = find_ring(graph)
    if ring:
        failures.append("headers include each other in a ring: " + " -> ".join(ring))
    for path in sources_below(project / "tools"):
        for mark, name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            if mark == '"' and name.split("/")[0] != PUBLIC or name.split("/")[0] in order:
                failures.append(f"{path.relative_to(project)}: includes {name}; tools may include "
                                f"{PUBLIC}/... and the system's headers only")
    print(f"{len(files)} files in {len(order)} layers, {sum(map(len, graph.values()))} includes")
    return failures


def symbols_of(path):
    defined, used = set(), set()
    lines = subprocess.run(["nm", "-P", path], check=True, capture_output=True, text=True).stdout
    for line in lines.splitlines():
        name, kind = line.split()[:2]
        if kind in "Uwv" or kind == "U":
            used.add(name)
        elif kind.isupper() or kind == "u":
            defined.add(name)
    return defined, used


def check_symbols(project, objects):
    order, failures = read_order(project), []
    home, uses, count = {}, [], 0
    for path in objects:
        found = re.search(r"/src/(\w+)/([^/]+)\.o$", path)
        if not found or found[1] not in order:
            failures.append(f"{path}: not an object file of a layer")
            continue
        defined, used = symbols_of(path)
        uses.append((found[1], f"{found[1]}/{found[2]}", used))
        for name in defined:
            home[name] = (found[1], f"{found[1]}/{found[2]}")
    for layer, file, used in uses:
        for name in sorted(used & set(home)):
            count += 1
            if not may_use(order, layer, home[name][0]):
                failures.append(f"{file}: uses {name} of {home[name][1]}, but {layer} may not use "
                                f"{home[name][0]}")
    if count == 0:
        failures.append("no object file uses another: which objects are these?")
    print(f"{len(objects)} object files, {count} references between them")
    return failures


def check_headers(project, compiler):
    """Every header of src/ in the project's dialect, every public one in C99, and in C++ too."""
    failures = []
    headers = [(p, ["-std=gnu11", "-D_GNU_SOURCE"]) for p in sources_below(project / "src")
               if p.suffix == ".h"]
    headers += [(p, ["-std=c99", "-pedantic"]) for p in sources_below(project / "include")]
    headers += [(p, ["-x", "c++", "-std=c++17"]) for p in sources_below(project / "include")]
    for path, flags in headers:
        if "c++" not in flags:
            flags = ["-x", "c", *flags]
        done = subprocess.run(
            [compiler, *flags, "-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused-function",
             "-Werror", f"-I{project}/src", f"-I{project}/include", "-"],
            input=f'#include "{path}"\n#include "{path}"\n', text=True, capture_output=True,
            check=False)
        if done.returncode != 0:
            failures.append(f"{path.relative_to(project)} does not compile alone: {done.stderr}")
    print(f"{len(headers)} headers compiled alone")
    return failures


def main(command, project, *rest):
    project = pathlib.Path(project).resolve()
    if command == "includes":
        failures = check_includes(project)
    elif command == "symbols":
        objects = []
        for argument in rest:
            if argument.startswith("@"):
                objects += pathlib.Path(argument[1:]).read_text().split()
            else:
                objects.append(argument)
        failures = check_symbols(project, [os.path.abspath(o) for o in objects])
    elif command == "headers":
        failures = check_headers(project, rest[0])
    else:
        sys.exit(__doc__)
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


sys.exit(main(*sys.argv[1:]))
