#!/usr/bin/env python3
"""Protects: the statistics as JSON are JSON in every state of the heap and whatever the program is
called; they have exactly the fields that docs/statistics.md names, no other; and they add up.

    statistics.py PROGRAM DOCS
"""

import json
import os
import re
import subprocess
import sys

# os.posix_spawn, which newer versions use, refuses an empty name.
subprocess._USE_POSIX_SPAWN = False

NAMES = ["statistics", 'a"b\\c', "\x01\x1f\n\t", "\xff\xfe", "{}[],:", "", "x" * 4000]


def run(program, state, name="statistics", options=""):
    environment = dict(os.environ, SLABMALLOC_OPTIONS=options)
    # Bytes: what is not UTF-8 must be the program's fault, not the shell's.
    result = subprocess.run([name.encode("latin-1"), state], executable=program,
                            env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout.decode("utf-8"))


def documented(docs):
    """The names in the first column of the tables under "## JSON": `a.b`, * for any key."""
    with open(docs, encoding="utf-8") as file:
        section = file.read().split("\n## JSON", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)`", section, re.M))


def fields(value, path=""):
    """Every path to a number or a string; keyed tables' keys and lists' indices are *."""
    if isinstance(value, list):
        return set().union(*(fields(v, path + "[]") for v in value)) if value else set()
    if isinstance(value, dict):
        keyed = path in ("memory", "zones", "slabs", "locks")
        return set().union(*(fields(v, (path + "." if path else "") + ("*" if keyed else k))
                             for k, v in value.items()))
    return {path}


def check_sums(stats, fail):
    memory, zones, totals = stats["memory"], stats["zones"], stats["totals"]
    for column in ("bytes", "resident_bytes"):
        if any(part[column] is None for part in memory.values()):
            continue
        total = memory["total"][column]
        if sum(p[column] for name, p in memory.items() if name != "total") != total:
            fail(f"memory: {column} does not add up to {total}")
    for column in ("allocations", "frees", "live", "live_bytes"):
        if sum(z[column] for z in zones.values()) != totals[column]:
            fail(f"zones: {column} does not add up to {totals[column]}")
    for column in ("allocations", "frees", "live"):
        classes = sum(c[column] for c in stats["classes"])
        if classes != zones["TINY"][column] + zones["SMALL"][column]:
            fail(f"classes: {column} does not add up")
    for guards, lock in stats["locks"].items():
        if lock["contended"] > lock["acquired"]:
            fail(f"locks of {guards}: more contended than acquired")
    for c in stats["classes"]:
        if c["live"] != c["allocations"] - c["frees"] or c["live"] > c["slots"]:
            fail(f"class {c['slot_bytes']} contradicts itself")
    waste = [w["wasted_bytes"] for w in stats["most_waste"]]
    worst = sorted((c["wasted_bytes"] or 0 for c in stats["classes"]), reverse=True)
    if waste != sorted(waste, reverse=True) or waste != [w for w in worst if w > 0][:3]:
        fail(f"most_waste {waste} are not the worst of {worst[:3]}")


def main(program, docs):
    failures = []
    found = set()
    for name in NAMES:
        stats = run(program, "first", name)
        if not isinstance(stats["process"]["name"], str):
            failures.append(f"the name of {name!r} is no string")
    for state in ("first", "busy", "faults"):
        stats = run(program, state, options="on_error=ignore")
        found |= fields(stats)
        check_sums(stats, lambda text, state=state: failures.append(f"{state}: {text}"))
        if stats["totals"]["faults"] != (5 if state == "faults" else 0):
            failures.append(f"{state}: {stats['totals']['faults']} faults")
        if stats["format"] != 1 or len(stats["classes"]) < (0 if state == "first" else 20):
            failures.append(f"{state}: format {stats['format']}, {len(stats['classes'])} classes")
    names = documented(docs)
    failures += [f"{field} is not in {docs}" for field in sorted(found - names)]
    failures += [f"{field} of {docs} is not printed" for field in sorted(names - found)]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures or len(found) < 30 else 0


sys.exit(main(*sys.argv[1:]))
