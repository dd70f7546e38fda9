#!/usr/bin/env python3
"""Protects what the debugging options find, and the words in which they tell it: each case runs
check_child with options, and compares the signal or exit code and, by regular expressions, what was
written. A fault without the option that finds it goes unnoticed: so the case can fail.

    check.py CHILD GROUP
"""

import os
import re
import signal
import subprocess
import sys
import tempfile

ALL = "canary=on,junk=on,quarantine=1M,check_kinds=on,history=on,random=on"
SIZES = {"TINY": 90, "SMALL": 5000, "LARGE": 300000}
ABORT = -signal.SIGABRT


def place(zone):
    return "a LARGE block" if zone == "LARGE" else rf"slot \d+ \(\d+ bytes\) of {zone} slab \d+"


def amount(count):
    return "1 byte" if count == 1 else f"{count} bytes"


def were(count):
    return "was" if count == 1 else "were"


def overflow(call, offset, count, byte):
    return (lambda size, zone: [
        rf"\Aslabmalloc: overflow: {call}\(0x[0-9a-f]+\): {amount(count)} from offset "
        rf"{offset(size)} on, behind the \d+ asked for, {were(count)} overwritten in "
        rf"{place(zone)}, "
        rf"the first with 0x{byte}\n",
        # A LARGE block that realloc has moved is not there any more.
        *([] if (call, zone) == ("realloc", "LARGE") else [r"\nslabmalloc:   block 0x[0-9a-f]+, "]),
        rf"\nslabmalloc:   {call} was called by thread \d+\n"])


def write_after(offset, byte):
    return (lambda size, zone: [
        rf"\Aslabmalloc: write after free: found by (malloc|free): 1 byte from offset "
        rf"{offset(size)} on was overwritten in 0x[0-9a-f]+, freed, {place(zone)}, the first with "
        rf"0x{byte}\n"])


def freed(verdict, call):
    def patterns(_, zone):
        where = "the LARGE block there" if zone == "LARGE" else place(zone)
        return [rf"\Aslabmalloc: {verdict}: {call}\(0x[0-9a-f]+\): {where} is already free\n",
                r"(freed, kept back, \d+ bytes had been asked for by malloc|: free)\n"]
    return patterns


def mismatch(by, made_by):
    return (lambda size, zone: [
        rf"\Aslabmalloc: mismatched free: {re.escape(by)}\(0x[0-9a-f]+\): allocated by "
        rf"{re.escape(made_by)}: {place(zone)}\n"])


def wrong_size(by, told, made_by):
    return (lambda size, zone: [
        rf"\Aslabmalloc: wrong size: {re.escape(by)}\(0x[0-9a-f]+, {told(size)}\): {size} bytes "
        rf"were asked for, by {re.escape(made_by)}: {place(zone)}\n"])


def wrong_alignment(by, told, asked, made_by):
    told = f", alignment {told}" if told else ""
    return (lambda size, zone: [
        rf"\Aslabmalloc: wrong alignment: {re.escape(by)}\(0x[0-9a-f]+{told}\): {asked} was asked "
        rf"for, by {re.escape(made_by)}: {place(zone)}\n"])


def at(n):
    return lambda size: size + n


# scene: (options that find it, expectation)
FAULTS = {
    "overflow_free": (["canary=on"], overflow("free", at(0), 1, "62")),
    "overflow_zero": (["canary=on"], overflow("free", at(0), 1, "0")),
    "overflow_far": (["canary=on"], overflow("free", at(0), 5, "42")),
    "overflow_realloc": (["canary=on"], overflow("realloc", at(2), 1, "66")),
    "overflow_calloc": (["canary=on"], overflow("free", at(0), 1, "44")),
    "overflow_resized": (["canary=on"], overflow("free", lambda n: n + n // 8, 1, "6a")),
    "overflow_aligned": (["canary=on"], overflow("free", at(0), 1, "46")),
    "write_after_free": (["quarantine=1M", "quarantine=1M,zero_on_free=on"],
                         write_after(lambda n: 8, "78")),
    "write_after_free_at_end": (["quarantine=1M"], write_after(at(-1), "79")),
    "double_free": (["quarantine=1M"], freed("double free", "free")),
    "double_free_late": (["quarantine=16M"], freed("double free", "free")),
    "double_free_by_threads": (["quarantine=1M"], freed("double free", "free")),
    "realloc_freed": (["quarantine=1M"], freed("use after free", "realloc")),
    "use_size_freed": (["quarantine=1M"], freed("use after free", "malloc_usable_size")),
    "new_free": (["check_kinds=on"], mismatch("free", "operator new")),
    "malloc_delete": (["check_kinds=on"], mismatch("operator delete", "malloc")),
    "new_delete_array": (["check_kinds=on"], mismatch("operator delete[]", "operator new")),
    "new_array_delete": (["check_kinds=on"], mismatch("operator delete", "operator new[]")),
    "new_array_free": (["check_kinds=on"], mismatch("free", "operator new[]")),
    "new_realloc": (["check_kinds=on"], mismatch("realloc", "operator new")),
    "delete_wrong_size": (["check_kinds=on"],
                          wrong_size("operator delete", at(-1), "operator new")),
    "delete_array_wrong_size": (["check_kinds=on"],
                                wrong_size("operator delete[]", at(8), "operator new[]")),
    "free_wrong_size": (["check_kinds=on"], wrong_size("free_sized", at(1), "malloc")),
    "align_other": (["check_kinds=on"],
                    wrong_alignment("operator delete", 128, 64, "operator new")),
    "align_none_told": (["check_kinds=on"],
                        wrong_alignment("operator delete", 0, 64, "operator new")),
    "align_none_asked": (["check_kinds=on"],
                         wrong_alignment("operator delete", 32, "none", "operator new")),
    "align_array": (["check_kinds=on"],
                    wrong_alignment("operator delete[]", 4096, 8, "operator new[]")),
    "align_free": (["check_kinds=on"],
                   wrong_alignment("free_aligned_sized", 32, 256, "aligned_alloc")),
    "align_free_malloc": (["check_kinds=on"],
                          wrong_alignment("free_aligned_sized", 16, "none", "malloc")),
    "align_no_power": (["check_kinds=on"],
                       wrong_alignment("free_aligned_sized", 48, 32, "aligned_alloc")),
}
# Of these, what nothing finds without its option. (Double frees are found anyway, if no slot was
# used again; a write into a LARGE block that was unmapped faults.)
UNNOTICED = [s for s in FAULTS if "double" not in s and s not in ("realloc_freed",
                                                                  "use_size_freed")]


class Run:
    def __init__(self, child):
        self.child, self.count, self.failures = child, 0, 0

    def __call__(self, options, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SLABMALLOC")}
        environment["SLABMALLOC_OPTIONS"] = options
        return subprocess.run([self.child, *map(str, arguments)], env=environment,
                              capture_output=True, text=True, timeout=200, check=False)

    def expect(self, options, arguments, status, out, err, absent=()):
        """`out`, `err`: patterns to be found; an empty list: nothing is written."""
        self.count += 1
        done = self(options, *arguments)
        wrong = [] if done.returncode == status else [f"status {done.returncode}, not {status}"]
        for name, text, patterns in (("stdout", done.stdout, out), ("stderr", done.stderr, err)):
            if patterns == [] and text:
                wrong.append(f"{name} is not empty")
            wrong += [f"{name} lacks {p}" for p in patterns or [] if not re.search(p, text)]
        wrong += [f"stderr has {p}" for p in absent if re.search(p, done.stderr)]
        if wrong:
            self.failures += 1
            print(f"{options} {arguments}: {'; '.join(wrong)}\n{done.stdout}{done.stderr}")


def run_faults(run):
    for scene, (finders, expectation) in FAULTS.items():
        for zone, size in SIZES.items():
            for options in finders + [ALL]:
                run.expect(options, (scene, size), ABORT, None, expectation(size, zone))
    run.expect("canary=on", ("overflow_exact",), ABORT, None,
               [r"behind the 64 asked for, .* the first with 0x6e\n"])
    run.expect(ALL, ("overflow_free", 1), ABORT, None,
               [r": live, 1 byte asked for by malloc\n|, 1 byte had been asked for by malloc\n"])
    run.expect(ALL, ("interior",), ABORT, None,
               [r"\Aslabmalloc: invalid free: free\(0x[0-9a-f]+\): 16 bytes inside slot \d+ ",
                r": live, 90 bytes asked for by malloc\n", r"\nslabmalloc:   be(hind|fore) it, 0x"])


def run_unnoticed(run):
    for scene in UNNOTICED:
        run.expect("history=on", (scene, SIZES["TINY"]), 0, None, [])


def run_report(run):
    """With on_error=report the block is freed, and the program goes on; ignore is silent."""
    for scene in UNNOTICED:
        _, expectation = FAULTS[scene]
        run.expect(ALL + ",on_error=report", (scene, 90), 0, None, expectation(90, "TINY"),
                   [r"(?s)slabmalloc: \w.*\nslabmalloc: \w"])
        run.expect(ALL + ",on_error=ignore", (scene, 90), 0, None, [])


def run_right(run):
    for options in (ALL, "canary=on", "junk=on", "zero_on_free=on", "quarantine=64K",
                    "check_kinds=on", "history=on", "random=on", "quarantine=16M"):
        for size in SIZES.values():
            run.expect(options, ("right", size), 0, [r"right\n\Z"], [])
            run.expect(options, ("usable", size), 0, [r"1\n1\n\Z"], [])
            run.expect(options, ("align_right", size), 0, [r"right\n\Z"], [])
        run.expect(options, ("threads",), 0, [r"whole 1\n\Z"], [])
    for zone, size in SIZES.items():
        run.expect("junk=on,quarantine=1M", ("contents", size), 0,
                   ["new 1\nkept 1 grown 1\nfreed 1 zeroed 0\ncalloc 1\n"], [])
        run.expect("zero_on_free=on,quarantine=1M", ("contents", size), 0,
                   ["new 0\nkept 1 grown 0\nfreed 0 zeroed 1\ncalloc 1\n"], [])
        if zone != "LARGE":
            run.expect("quarantine=1M", ("reuse", size), 0, [r"reused 0\n"], [])
            run.expect("canary=on", ("reuse", size), 0, [r"reused 100\n"], [])
    run.expect("canary=off", ("order",), 0, ["in order"], [])
    run.expect("random=on", ("order",), 0, ["at random"], [])


def run_history(run):
    shown = r"moved 1\nTINY : 0x[0-9a-f]+\n0x[0-9a-f]+ - 0x[0-9a-f]+ : \d+ bytes\n"
    out = [shown + r"  allocated or resized by thread \d+ with realloc, 68 bytes, called from\n"
                   r"    0x[0-9a-f]+ \(check_child\+0x[0-9a-f]+\)\n",
           r"Total : \d+ bytes\nfree 1 (?P<n>\d+) own 1 deep 1\n"
           r"realloc 0 (?P=n) own 1 deep 1\n"]
    run.expect("history=on", ("history", 28), 0, [*out, r"foreign 0\n"], [])
    run.expect("canary=on", ("history", 28), 0, [shown + r"Total : \d+ bytes\nforeign 0\n"], [])
    run.expect("history=on,quarantine=1M", ("double_free",), ABORT, None,
               [r"\nslabmalloc:   freed by thread \d+ with free, 90 bytes, called from\n"
                r"slabmalloc:     0x[0-9a-f]+ \(check_child\+0x[0-9a-f]+\)\n",
                r"\nslabmalloc:   allocated by thread \d+ with malloc, 90 bytes, called from\n"
                r"slabmalloc:     0x[0-9a-f]+ \(check_child\+0x[0-9a-f]+\)\n",
                r"\nslabmalloc:   free was called by thread \d+, from\n"
                r"slabmalloc:     0x[0-9a-f]+ \(check_child\+0x[0-9a-f]+\)\n"])
    run.expect("quarantine=1M", ("double_free",), ABORT, None, [r"already free\n"],
               [r"allocated by", r"was called by thread \d+, from"])


def run_leaks(run):
    report = [r"\Aslabmalloc: leaks: 914 bytes in 12 blocks still live at exit, from 3 places "
              r"\(and [1-9]\d* bytes in [1-9]\d* that are the C library's own\)\n",
              r"\nslabmalloc:   10 blocks of 90 bytes, allocated with malloc, called from\n"
              r"slabmalloc:     0x[0-9a-f]+ \(check_child\+0x[0-9a-f]+\)\n",
              r"\nslabmalloc:   1 block of 7 bytes, allocated with malloc, called from\n",
              r"slabmalloc:     0x[0-9a-f]+ \(libc[^)]*\+0x[0-9a-f]+\)\n"]
    run.expect("leaks=exit", ("leaks",), 0, ["done"], report)
    run.expect(ALL + ",leaks=exit", ("leaks",), 0, ["done"], report)
    run.expect("leaks=exit,leaks_exit_code=23", ("leaks",), 23, ["done"], report)
    run.expect("leaks=exit,leaks_exit_code=23", ("no_leaks",), 0, ["done"], [])
    run.expect("leaks=exit", ("leaks", 300000), 0, ["done"],
               [r"\nslabmalloc:   10 blocks of 300000 bytes, "])
    run.expect("canary=on,leaks=none", ("leaks",), 0, ["done"], [])


def run_many(run):
    """What is not listed is told as a sum: with the list it makes the total."""
    place = re.compile(r"slabmalloc:   (\d+) blocks? of (\d+) bytes?, allocated with malloc")
    head = re.compile(r"slabmalloc: leaks: (\d+) bytes in (\d+) blocks still live at exit, from "
                      r"(\d+) places ")
    rest = re.compile(r"slabmalloc:   and (\d+) more places?: (\d+) bytes? in (\d+) blocks?\n")
    for chosen, shown in (("", 100), (",leaks_max=7", 7), (",leaks_max=149", 149),
                          (",leaks_max=all", 150), (",leaks_max=150", 150), (",leaks_max=0", 0)):
        run.count += 1
        err = run("leaks=exit" + chosen, "leaks_of_many_sizes").stderr
        listed = [(int(n), int(n) * int(size)) for n, size in place.findall(err)]
        places, more_bytes, more_blocks = map(int, (rest.findall(err) or [(0, 0, 0)])[0])
        sums = (more_bytes + sum(b for _, b in listed), more_blocks + sum(n for n, _ in listed),
                places + len(listed))
        total = tuple(map(int, (head.findall(err) or [(0, 0, 0)])[0]))
        if (sums != total or len(listed) != shown or total != (22500, 299, 150)
                or len(rest.findall(err)) != (shown < 150)):
            run.failures += 1
            print(f"leaks_max {chosen}: {len(listed)} listed, {sums} of {total}\n{err[-300:]}")


def run_lost(run):
    """check_lost: what has a pointer somewhere is not told, wherever that is; what has none is."""
    stack = r"(slabmalloc:     .*\n)+"
    block = r"slabmalloc:   {} blocks? of {} bytes, allocated with malloc, called from\n" + stack
    head = r"slabmalloc: leaks: "
    one = head + r"90 bytes in 1 block lost, from 1 place\n"
    for options in ("history=on", ALL + ",guard=on"):
        history = options if "history" in options else options + ",history=on"
        for scene in ("data", "bss", "variable", "interior", "large", "stack", "chain", "mapping",
                      "key", "hole", "thread_stack", "thread_register", "deaf_thread"):
            run.expect(history, (scene,), 0, [r"\A0\n\Z"], [])
        run.expect(history, ("lost",), 0, [r"\A11\n\Z"],
                   [r"\A" + head + r"300900 bytes in 11 blocks lost, from 2 places\n" +
                    block.format(1, 300000) + block.format(10, 90) + r"\Z"])
        run.expect(history, ("again",), 0, [r"\A1\n1\n2\n\Z"],
                   [r"\A(" + one + block.format(1, 90) + "){2}" + head +
                    r"180 bytes in 2 blocks lost, from 2 places\n"])
        run.expect(history, ("held",), 0, [r"\A6\n\Z"],
                   [r"\A" + head + r"64 bytes in 1 block lost, from 1 place, and with them 240 "
                    r"bytes in 5 blocks that only they lead to\n" + block.format(1, 64) + r"\Z"])
        run.expect(history, ("ring",), 0, [r"\A5\n\Z"],
                   [r"\A" + head + r"112 bytes in 2 blocks lost, from 2 places, and with them 144 "
                    r"bytes in 3 blocks that only they lead to\n" + block.format(1, 64) +
                    block.format(1, 48) + r"\Z"])
    for scene in ("busy_threads", "thread_makers"):
        run.expect("history=on", (scene,), 0, [r"\A20\n\Z"],
                   [head + r"360 bytes in 4 blocks lost, from 1 place\n"],
                   [head + r"(?!360 bytes in 4 blocks lost, from 1 place\n)"])
    run.expect("history=on", ("deaf_and_lost",), 0, [r"\A1\n\Z"],
               [r"\A" + one + r"slabmalloc:   2 threads could not be stopped: "])
    run.expect("history=on", ("without_proc",), 0, [r"\A1\n\Z"],
               [r"\A" + one + r"slabmalloc:   /proc can't be read: "])
    run.expect("history=on", ("wrong",), 0, [r"\A-1 22\n-1 9\n\Z"], [])
    run.expect("canary=off", ("wrong",), 0, [r"\A-1 61\n-1 61\n\Z"], [])
    run.expect("canary=on", ("held",), 0, [r"\A6\n\Z"], [r"called from\n\Z"])
    run.expect("history=on", ("live",), 0, [r"\A1\n\Z"],
               [r"\A" + head + r"90 bytes in 1 block still live, from 1 place \(and 0 bytes in 0 "])
    leaks = "leaks=exit,leaks_exit_code=23,leak_check="
    run.expect(leaks + "reachable", ("at_exit",), 23, ["done"], [r"\A" + one])
    run.expect(leaks + "reachable", ("at_exit_whole",), 0, ["done"], [])
    # stdout's buffer is libc's own, in static programs too.
    own = (r"still live at exit, from {} \(and [1-9]\d* bytes in [1-9]\d* that are the C "
           r"library's own\)")
    run.expect(leaks + "live", ("at_exit",), 23, ["done"],
               [r"\A" + head + "154 bytes in 2 blocks " + own.format("2 places")])
    run.expect(leaks + "live", ("at_exit_whole",), 23, ["done"],
               [r"\A" + head + "64 bytes in 1 block " + own.format("1 place")])


def run_whole(run):
    """slm_check_heap looks at what checks have written into blocks."""
    seen = [r"whole 1\nwhole 0\nwhole 1\n\Z"]
    unseen = [r"whole 1\nwhole 1\nwhole 1\n\Z"]
    for zone, size in SIZES.items():
        for options in ("canary=on", ALL):
            run.expect(options, ("look_at_live", size), 0, seen,
                       overflow("slm_check_heap", at(0), 1, "62")(size, zone))
        run.expect("check_kinds=on", ("look_at_live", size), 0, unseen, [])
        for options in ("quarantine=1M", "quarantine=1M,zero_on_free=on", ALL):
            run.expect(options, ("look_at_freed", size), 0, seen,
                       [rf"\Aslabmalloc: write after free: found by slm_check_heap: 1 byte from "
                        rf"offset {size - 1} on was overwritten in 0x[0-9a-f]+, freed, "
                        rf"{place(zone)}, the first with 0x78\n"])
        if zone != "LARGE":
            run.expect("canary=on", ("look_at_freed", size), 0, unseen, [])
    for options in ("canary=on", ALL, ALL + ",guard=on"):
        run.expect(options, ("look_beside",), 0, [r"\Awhole 1\n\Z"], [])


def run_kept(run):
    """What is in quarantine counts as freed, in a row of its own."""
    for size in SIZES.values():
        kept = rf"dead 10 kept 10 whole 1\nadds up 1 1\nTotal : 0 bytes\n\Z"
        for options in ("quarantine=16M", ALL.replace("1M", "16M"), "quarantine=16M,guard=on"):
            run.expect(options, ("kept_back", size), 0, [kept], [])
        run.expect("canary=on", ("kept_back", size), 0, [r"dead 10 kept 0 whole 0\nadds up 1 1\n"],
                   [])


def run_guards(run):
    segv = -signal.SIGSEGV
    guard = "guard=on,quarantine=16M,explain_faults=on,check_kinds=on"
    fault = r"\Aslabmalloc: fault: access to 0x[0-9a-f]+, "
    block = (r"\nslabmalloc:   by thread \d+, at\n"
             r"slabmalloc:     0x[0-9a-f]+ \(\S+\+0x[0-9a-f]+\)\n"
             r"(slabmalloc:     .*\n)*slabmalloc:   block 0x[0-9a-f]+, LARGE, ")
    for options in (guard, guard + ",canary=on,junk=on,history=on"):
        run.expect(options, ("guard_write", 300000), segv, None,
                   [fault + r"\d+ bytes behind the 300000 asked for of the LARGE block at 0x",
                    block])
        run.expect(options, ("guard_before", 300000), segv, None,
                   [fault + r"1 byte before the LARGE block at 0x[0-9a-f]+, in the guard there\n",
                    block + r"\d+ bytes, at offset -1: live, 300000 bytes asked for by malloc"])
        for zone in ("TINY", "SMALL"):
            run.expect(options, ("guard_between", SIZES[zone]), segv, None,
                       [fault + rf"in the guard behind {zone} slab \d+, \d+ bytes behind the "
                        r"slab's end\n"])
        run.expect(options, ("guard_read_freed", 300000), segv, None,
                   [fault + "77 bytes inside a LARGE block at 0x[0-9a-f]+, freed, of which 300000 "
                    r"bytes had been asked for\n", block])
        run.expect(options, ("empty_read",), segv, None,
                   [fault + r"in a block of 0 bytes, which is live, allocated by malloc\n"])
        run.expect(options, ("empty_twice",), ABORT, None,
                   [r"\Aslabmalloc: double free: free\(0x[0-9a-f]+\): the block of 0 bytes there "
                    r"is already free\n"])
        run.expect(options, ("empty_mismatch",), ABORT, None,
                   [r"\Aslabmalloc: mismatched free: operator delete\(0x[0-9a-f]+\): allocated by "
                    r"malloc: a block of 0 bytes\n"])
        run.expect(options, ("empty_interior",), ABORT, None,
                   [r"\Aslabmalloc: invalid free: free\(0x[0-9a-f]+\): 3 bytes behind the start "
                    r"of a block of 0 bytes\n"])
        run.expect(options, ("empty_right",), 0, [r"\A1 0\nright\n\Z"], [])
        run.expect(options, ("null_read",), segv, None, [])
        for size in SIZES.values():
            run.expect(options, ("right", size), 0, [r"right\n\Z"], [])
            run.expect(options, ("usable", size), 0, [r"1\n1\n\Z"], [])
        run.expect(options, ("threads",), 0, [r"whole 1\n\Z"], [])
    run.expect("guard=on,quarantine=16M", ("guard_many",), 0, [r"whole 1\n\Z"], [])
    # Silent without explain_faults; without guards, there is nothing to fault.
    run.expect("guard=on", ("guard_write", 300000), segv, None, [])
    run.expect("guard=on", ("empty_read",), segv, None, [])
    for size in (90, 5000):
        run.expect("canary=on", ("guard_between", size), 0, [r"\Ano gap\n\Z"], [])
    run.expect("explain_faults=on", ("empty_read",), 0, None, [])
    run.expect("quarantine=1M", ("guard_read_freed", 300000), 0, ["-33\n"], [])


def run_unloaded(run, library):
    """A library that is gone when leaks are told has its name, and its offsets, all the same."""
    name = re.escape(os.path.basename(library))
    offsets = []
    for way, what in (("stays", ""), ("goes", ", unloaded")):
        done = run("leaks=exit", library, way)
        found = re.search(rf"slabmalloc:   \d blocks? of 77 bytes, allocated with malloc, called "
                          rf"from\nslabmalloc:     0x[0-9a-f]+ \({name}\+(0x[0-9a-f]+)\){what}\n",
                          done.stderr)
        run.count += 1
        offsets.append(found and found[1])
        if done.returncode != 0 or done.stdout != way + "\n" or found is None:
            run.failures += 1
            print(f"{way}: {done.returncode}\n{done.stdout}{done.stderr}")
    if offsets[0] != offsets[1]:
        run.failures += 1
        print(f"one call, two offsets: {offsets}")
    # Loaded by a link of another name it is one file, and there.
    with tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "another.so")
        os.symlink(library, link)
        run.expect("leaks=exit", (link, "stays"), 0, [r"\Astays\n\Z"],
                   [rf" of 77 bytes, allocated with malloc, called from\n"
                    rf"slabmalloc:     0x[0-9a-f]+ \({name}\+0x[0-9a-f]+\)\n"],
                   absent=[", unloaded", "another"])


def run_apart(run, plain, *apart):
    """A library that keeps to its own operators makes with malloc what it makes with new: nobody
    can tell these two from each other then. One that finds ours changes nothing."""
    made_by = {"malloc_delete": ("malloc", "operator delete"), "new_free": ("operator new", "free"),
               "new_array_delete": (r"operator new\[\]", "operator delete")}
    told = {scene: rf"\Aslabmalloc: mismatched free: {by}\(0x[0-9a-f]+\): allocated by {made}: "
            for scene, (made, by) in made_by.items()}
    for options in ("check_kinds=on", ALL):
        for scene, pattern in told.items():
            run.expect(options, (scene,), ABORT, None, [pattern])
            run.expect(options, (scene, plain), ABORT, None, [pattern])
        run.expect(options, ("exchange", plain), 0, [r"\Awhole\n\Z"], [])
        for library in apart:
            for scene in ("exchange", "malloc_delete", "new_free"):
                run.expect(options, (scene, library), 0, [r"\Awhole\n\Z"], [])
            run.expect(options, ("new_array_delete", library), ABORT, None,
                       [told["new_array_delete"]])


def main(child, group, *more):
    run = Run(child)
    globals()[f"run_{group}"](run, *more)
    print(f"{group}: {run.count} runs, {run.failures} wrong")
    return 1 if run.failures or run.count == 0 else 0


sys.exit(main(*sys.argv[1:]))
