#!/usr/bin/env python3
"""Protects what becomes of each fault in each preset, as faults.table has it: told, and in which
words; ended by a signal without words; harmless; or passed, and what the program then saw. A fault
that is caught now and was not before fails as well: the table is what docs/detection.md is made of.

    faults.py DIRECTORY LIBRARY PRESET    compares; DIRECTORY has faults_in_c and faults_in_cc
    faults.py --write DIRECTORY LIBRARY   writes the table anew: read what changed in it
    faults.py --limits                    what default has to catch, and how little hardened may let
                                          pass, by the table
"""

import os
import pathlib
import re
import resource
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TABLE = HERE / "faults.table"
PRESETS = ("default", "hardened", "debug")
ZONES = ("TINY", "SMALL", "LARGE")
LANGUAGES = ("c", "cc")
SAW, NOT_HERE = 3, 77
# Memory is not given back meanwhile, or the outcome would depend on the machine's speed.
OPTIONS = "preset={},purge_delay=never"
HARDENED_MAY_PASS = 0.10


def scenes():
    """Their names and languages, as the programs' tables have them."""
    found = {}
    for name, languages in (("double.c", LANGUAGES), ("invalid.c", LANGUAGES),
                            ("spill.c", LANGUAGES), ("stale.c", LANGUAGES), ("in_c.c", ("c",)),
                            ("in_cc.cc", ("cc",)), ("containers.cc", ("cc",))):
        text = (HERE / name).read_text(encoding="utf-8")
        for scene in re.findall(r'^    \{"(\w+)", \w+\},$', text, re.M):
            found[scene] = languages
    return found


def run(directory, language, scene, zone, environment):
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith(("SLABMALLOC", "MALLOC_", "MIMALLOC", "LD_", "GLIBC_TUNABLES"))}
    return subprocess.run([os.path.join(directory, f"faults_in_{language}"), scene, zone],
                          env=clean | environment, capture_output=True, timeout=60, check=False)


def outcome(done, scene):
    """One word or a few of what a run came to; None: there is no such case."""
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    words = re.match(r"slabmalloc: ([\w ]+): ", err)
    if done.returncode == NOT_HERE:
        return None
    if done.returncode == -signal.SIGALRM:
        return "passed: the program hangs"
    if done.returncode < 0:
        ended_by = signal.Signals(-done.returncode).name
        return words[1] if words else ended_by
    if words and (words[1] != "leaks" or scene.startswith("leak")):
        return words[1]
    if done.returncode == SAW:
        return "passed: " + out.strip()
    if done.returncode == 0:
        return "passed: memory is lost" if scene.startswith("leak") else "harmless"
    return f"broken: exit code {done.returncode}: {err}"


def is_let_pass(word):
    return word.startswith("passed") or word.startswith("broken")


# --- the table --------------------------------------------------------------------------------

def read_table(path=TABLE, columns=PRESETS):
    """(scene, language, zone) -> {column: outcome}"""
    table = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 3 + len(columns):
            sys.exit(f"{path}:{number}: {3 + len(columns)} cells are expected")
        for language in cells[1].split():
            for zone in cells[2].split():
                key = (cells[0], language, zone)
                if key in table:
                    sys.exit(f"{path}:{number}: {key} is there already")
                table[key] = dict(zip(columns, cells[3:]))
    return table


def rows_of(table, columns, scene, languages):
    """With one row for all languages and zones in which the same becomes of a scene."""
    groups, rows = {}, {}
    for zone in ZONES:
        for language in languages:
            if (scene, language, zone) in table:
                outcomes = tuple(table[scene, language, zone][c] for c in columns)
                groups.setdefault((zone, outcomes), []).append(language)
    for (zone, outcomes), same in groups.items():
        rows.setdefault((outcomes, " ".join(same)), []).append(zone)
    return [[scene, same, " ".join(zones), *outcomes] for (outcomes, same), zones in rows.items()]


def write_table(table, path=TABLE, columns=PRESETS):
    """The comments at its beginning stay."""
    head = "".join(line + "\n" for line in path.read_text(encoding="utf-8").splitlines()
                   if line.startswith("#"))
    rows = [row for scene, languages in scenes().items()
            for row in rows_of(table, columns, scene, languages)]
    widths = [max(len(row[i]) for row in rows) for i in range(3 + len(columns))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n"
             for row in rows]
    path.write_text(head + "".join(lines), encoding="utf-8")


# --- the test ---------------------------------------------------------------------------------

def slabmalloc(library, preset):
    return {"LD_PRELOAD": library, "SLABMALLOC_OPTIONS": OPTIONS.format(preset)}


def all_cases(directory, environment):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for scene, languages in scenes().items():
        for language in languages:
            for zone in ZONES:
                done = run(directory, language, scene, zone, environment)
                word = outcome(done, scene)
                if word is not None:
                    yield (scene, language, zone), word, done


def names_the_block(case, done):
    """Of what is told of a block, the place is told too."""
    first = done.stderr.decode(errors="replace").splitlines()[0]
    place = {"TINY": r"TINY slab \d+|block of 0 bytes", "SMALL": r"SMALL slab \d+",
             "LARGE": r"LARGE"}
    return re.search(place[case[2]], first) is not None


def compare(directory, library, preset):
    table, count, wrong = read_table(), 0, 0
    for case, word, done in all_cases(directory, slabmalloc(library, preset)):
        expected = table.pop(case, {}).get(preset, "nothing, it is not in the table")
        count += 1
        bad = word not in expected.split(" or ")
        if not bad and word in ("double free", "overflow", "write after free", "mismatched free",
                                "wrong size", "wrong alignment", "use after free"):
            bad = not names_the_block(case, done)
        if bad:
            wrong += 1
            print(f"{' '.join(case)}: expected {expected}, but: {word}\n"
                  f"{done.stderr.decode(errors='replace')}")
    for case in table:
        wrong += 1
        print(f"{' '.join(case)}: in the table, but there is no such case")
    print(f"{preset}: {count} runs, {wrong} wrong")
    return 1 if wrong or count == 0 else 0


def write(directory, library):
    """Where one of several outcomes is expected, as chance has it, that stays."""
    table, before = {}, read_table()
    for preset in PRESETS:
        for case, word, _ in all_cases(directory, slabmalloc(library, preset)):
            expected = before.get(case, {}).get(preset, "")
            table.setdefault(case, {})[preset] = (expected if word in expected.split(" or ")
                                                  else word)
    write_table(table)
    return 0


# Names of the faults that the bitmaps alone are to catch: every double, invalid and interior free.
# One that nobody can tell from a correct call is not among them.
FREES = re.compile(r"(double_(free|delete)|free_(?!sized|aligned)|interior_|realloc_(freed|inside|"
                   r"stack)|usable_size|two_(shared_)?owners|new_delete_free|delete_inside_array|"
                   r"array_delete_with_count|delete_array_without_count|second_base)")
BEYOND_ANYBODY = ("double_free_reused",)


def limits():
    table = read_table()
    frees = {case: row["default"] for case, row in table.items()
             if FREES.match(case[0]) and case[0] not in BEYOND_ANYBODY}
    missed = [case for case, word in frees.items()
              if not re.match(r"double free|invalid free|invalid pointer|use after free", word)]
    for case in missed:
        print(f"default does not tell of {' '.join(case)}: {frees[case]}")
    passed = [case for case, row in table.items() if is_let_pass(row["hardened"])]
    part = len(passed) / len(table)
    print(f"default tells of {len(frees) - len(missed)} of {len(frees)} bad frees; hardened lets "
          f"{len(passed)} of {len(table)} pass, {100 * part:.1f} %")
    return 1 if missed or not frees or part > HARDENED_MAY_PASS else 0


def main(arguments):
    if arguments == ["--limits"]:
        return limits()
    if arguments[0] == "--write":
        return write(*arguments[1:])
    return compare(*arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
