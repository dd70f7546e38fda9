#!/usr/bin/env python3
"""Protects the command tools/slabmalloc: what runs, with which options, and how it ends; what is
refused, in one line; leak reports and addresses; event logs, those that are damaged, too; heap
profiles; colours; the manual pages.

    test_command.py SOURCE LIBRARY FAULTY CC
"""

import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

SOURCE, LIBRARY, FAULTY = map(os.path.abspath, sys.argv[1:4])
CC = sys.argv[4]
COMMAND = os.path.join(SOURCE, "tools", "slabmalloc")
LINE = re.compile(r"faulty\.c:(\d+)")


def environment_with(**more):
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("SLABMALLOC", "LD_", "NO_COLOR"))}
    return kept | {"SLABMALLOC_LIBRARY": LIBRARY} | more


def run(*words, environment=None, text=None, binary=False):
    """The command, on LIBRARY: the finished process."""
    return subprocess.run([sys.executable, "-B", COMMAND, *map(str, words)],
                          env=environment_with(**(environment or {})), input=text,
                          capture_output=True, text=not binary, timeout=60, check=False)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def expect_refused(self, done, *words):
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("slabmalloc: "), done.stderr)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(word, done.stderr)


class Running(Case):
    def test_the_exit_status_is_the_programs(self):
        for extra in ([], ["--symbolize"]):
            self.assertEqual(run("run", *extra, "--", "sh", "-c", "exit 7").returncode, 7)
            done = run("run", *extra, "sh", "-c", "kill -SEGV $$")
            self.assertEqual(done.returncode, -signal.SIGSEGV, extra)

    def test_arguments_and_output_are_the_programs(self):
        for extra in ([], ["--symbolize"]):
            done = run("run", *extra, "--", "printf", "%s|", "--stats", "a b", "")
            self.assertEqual((done.stdout, done.stderr), ("--stats|a b||", ""), extra)

    def test_the_library_comes_first_and_what_was_there_stays(self):
        done = run("run", "--", "sh", "-c", "echo $LD_PRELOAD; echo $SLABMALLOC_OPTIONS",
                   environment={"LD_PRELOAD": LIBRARY, "SLABMALLOC_OPTIONS": "purge_delay=9"})
        self.assertEqual(done.stdout, f"{LIBRARY}:{LIBRARY}\npurge_delay=9\n")

    def test_options_reach_the_library(self):
        words = ["--preset", "memory", "--option", "purge_delay=77", "--stats", "--"]
        done = run("run", *words, "sh", "-c", "echo $SLABMALLOC_OPTIONS")
        self.assertEqual(done.stdout, "preset=memory,stats=exit,purge_delay=77\n")
        self.assertIn("slabmalloc: the heap of", run("run", *words, FAULTY).stderr)

    def test_what_cannot_run_is_refused(self):
        self.expect_refused(run("run", "--preset", "debgu", "true"), "debgu", "hardened")
        self.expect_refused(run("run", "--option", "canry=on", "true"), "canry")
        self.expect_refused(run("run", "--option", "canary=maybe", "true"), "canary", "maybe")
        self.expect_refused(run("run", "--option", "canary", "true"), "NAME=VALUE")
        self.expect_refused(run("run", "--option", "stats=exit,junk=on", "true"), "comma")
        self.expect_refused(run("run"), "program")
        self.expect_refused(run("run", "no-such-program-anywhere"), "no such program")
        self.expect_refused(run("run", "--library", "/no/such/library", "true"), "/no/such/library")
        self.expect_refused(run("run", "--library", FAULTY, "true"), "options")

    def test_programs_without_preload_are_refused(self):
        static, setuid = self.folder / "static", self.folder / "setuid"
        subprocess.run([CC, "-static", "-x", "c", "-", "-o", static], check=True, text=True,
                       input="int main(void) { return 0; }\n")
        self.expect_refused(run("run", static), "statically linked")
        script = self.folder / "script"
        script.write_text(f"#!{static}\n")
        script.chmod(0o755)
        self.expect_refused(run("run", script), "statically linked")
        shutil.copy("/bin/true", setuid)
        setuid.chmod(0o4755)
        self.expect_refused(run("run", setuid), "setuid")

    def test_faults_get_functions_and_lines(self):
        done = run("run", "--history", "--symbolize", "--", FAULTY, "so")
        self.assertEqual(done.returncode, -signal.SIGABRT)
        self.assertIn("the program's own line\n", done.stderr)
        self.assertIn("a line without an end: so", done.stderr)
        self.assertIn("slabmalloc: double free", done.stderr)
        lines = [int(number) for number in LINE.findall(done.stderr)]
        source = pathlib.Path(SOURCE, "test/command/faulty.c").read_text().splitlines()
        self.assertEqual([source[number - 1].strip() for number in lines if
                          "free" in source[number - 1]], ["free(last);"] * 2)
        self.assertRegex(done.stderr, r"leak \S+faulty\.c:\d+")


class Options(Case):
    def test_all_of_the_librarys(self):
        shown = json.loads(run("options", "--json").stdout)
        names = [option["name"] for option in shown["options"]]
        told = subprocess.run(["/bin/true"], capture_output=True, text=True, check=True, env={
            "LD_PRELOAD": LIBRARY, "SLABMALLOC_OPTIONS": "help"})
        text = told.stdout + told.stderr
        self.assertEqual(names, re.findall(r"^(\w+)=\S* \(from", text, re.M))
        self.assertIn("quarantine", names)
        rows = {preset["name"]: preset["row"] for preset in shown["presets"]}
        self.assertIn("history=on", rows["debug"])
        self.assertEqual(rows["default"], "")
        for option in shown["options"]:
            self.assertTrue(option["values"] and option["purpose"], option)

    def test_one(self):
        self.assertIn("guard=off", run("options", "guard").stdout)
        self.assertNotIn("junk", run("options", "guard").stdout)
        self.expect_refused(run("options", "gaurd"), "gaurd")


REPORT = """a line of the program
slabmalloc: leaks: 2310 bytes in 5 blocks still live at exit, from 2 places (and 0 bytes ...)
slabmalloc:   3 blocks of 100 bytes, allocated with malloc, called from
slabmalloc:     0x55ad3bdc3176 (nowhere-to-be-found+0x1176)
another line of the program
slabmalloc:   2 blocks of 1005 bytes, allocated with operator new, called from
slabmalloc:     0x7effda20c9a9 (nowhere-to-be-found+0x9e9a9)
slabmalloc:     0x7effda20c9b9
slabmalloc:   and 4 more places: 12 bytes in 4 blocks
"""


class Leaks(Case):
    def test_of_a_program(self):
        report = self.folder / "report"
        done = run("run", "--leaks", "--", FAULTY)
        self.assertEqual(done.returncode, 0)
        report.write_text(done.stderr)
        shown = run("leaks", "--search", os.path.dirname(FAULTY), report)
        self.assertEqual(shown.returncode, 1)
        self.assertIn("350 bytes in 7 blocks of 50", shown.stdout)
        self.assertRegex(shown.stdout, r"leak \S+faulty\.c:\d+  \S+\+0x")

    def test_groups_are_found_and_sorted(self):
        shown = json.loads(run("leaks", "--json", text=REPORT).stdout)
        [report] = shown["reports"]
        self.assertEqual([group["bytes"] for group in report["groups"]], [2010, 300])
        self.assertEqual(report["groups"][0]["how"], "allocated with operator new")
        self.assertEqual(report["groups"][1]["frames"], [
            {"address": "0x55ad3bdc3176", "file": "nowhere-to-be-found", "offset": "0x1176",
             "function": None, "line": None}])
        self.assertIn("and 4 more places: 12 bytes in 4 blocks", report["notes"])
        shown = json.loads(run("leaks", "--json", "--sort", "count", text=REPORT).stdout)
        self.assertEqual([group["blocks"] for group in shown["reports"][0]["groups"]], [3, 2])

    def test_the_exit_status_tells(self):
        self.assertEqual(run("leaks", text=REPORT).returncode, 1)
        self.assertEqual(run("leaks", text="nothing of the library's\n").returncode, 0)
        clean = re.sub("2310 bytes in 5", "0 bytes in 0", REPORT.splitlines()[1])
        self.assertEqual(run("leaks", text=clean + "\n").returncode, 0)
        self.expect_refused(run("leaks", self.folder / "none"), "none")


class Symbolize(Case):
    def test_what_is_not_found_stays(self):
        text = "x 0x12 (nowhere-to-be-found+0x10) y\nno address\n"
        self.assertEqual(run("symbolize", text=text).stdout, text)

    def test_what_is_found(self):
        names = subprocess.run(["nm", FAULTY], capture_output=True, text=True, check=True).stdout
        offset = int(re.search(r"^([0-9a-f]+) t leak$", names, re.M)[1], 16)
        line = f"slabmalloc:     0x55ad3bdc3176 ({os.path.basename(FAULTY)}+{offset:#x})\n"
        shown = run("symbolize", "--search", os.path.dirname(FAULTY), text=line).stdout
        self.assertRegex(shown, r"\) leak \S+faulty\.c:\d+\n$")
        shown = json.loads(run("symbolize", "--json", "--search", os.path.dirname(FAULTY),
                               text=line).stdout)
        self.assertEqual((shown["function"], shown["offset"]), ("leak", f"{offset:#x}"))


CALLS = ["?", "malloc", "free", "realloc", "operator new"]


def make_log(path, records, capacity=8, written=None, version=2, stopped=0, process=4242):
    """`records`: (ns, address, bytes, thread, kind, how, class), from position 0 on."""
    written = len(records) if written is None else written
    head = struct.pack("<8sIIIIQQQQIIQIIIIQIIQQ", b"SLMLOG1\n", version, 4096, 32, 4096, capacity,
                       written, 1000, 2000, process, 1, 0, stopped, 2, 4, len(CALLS), 0, 0x1fe,
                       0, 0, 2 ** 64 - 1)
    head = head.ljust(128, b"\0") + b"/usr/bin/some".ljust(128, b"\0")
    head += struct.pack("<4I", 16, 32, 2048, 4096).ljust(384, b"\0")
    head += b"".join(name.encode().ljust(32, b"\0") for name in CALLS)
    ring = [bytes(32)] * capacity
    for position, (ns, address, count, thread, kind, how, cls) in enumerate(records):
        ring[position % capacity] = struct.pack("<QQQIBBBB", 1000 + ns, address, count, thread,
                                                kind, how, cls, position // capacity & 0xff)
    path.write_bytes(head.ljust(4096, b"\0") + b"".join(ring))


EVENTS = [(5, 0x1000, 10, 7, 1, 1, 0), (1500000006, 0x2000, 3000, 8, 1, 4, 3),
          (1500000007, 0x1000, 10, 7, 3, 3, 0), (1500000007, 0x3000, 30, 7, 4, 3, 1),
          (1500000008, 0x2000, 3000, 7, 2, 2, 3), (1500000009, 0x90000, 4096, 7, 7, 1, 255),
          (1500000010, 0, 1 << 40, 7, 1, 1, 254)]
LINES = ["0.000000005 7 allocate 0x1000 10 TINY/16 malloc",
         "1.500000006 8 allocate 0x2000 3000 SMALL/4096 operator_new",
         "1.500000007 7 realloc 0x1000 10 -> 0x3000 30 TINY/32 realloc",
         "1.500000008 7 free 0x2000 3000 SMALL/4096 free",
         "1.500000009 7 purge 0x90000 4096 - discard",
         "1.500000010 7 allocate 0x0 1099511627776 LARGE malloc"]


class Log(Case):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "log"

    def expect_lines(self, lines, *words):
        done = run("log", *words, self.file)
        self.assertEqual((done.stdout.splitlines(), done.returncode), (lines, 0))
        return done.stderr

    def test_every_event(self):
        make_log(self.file, EVENTS)
        self.assertEqual(self.expect_lines(LINES), "")
        shown = [json.loads(line) for line in run("log", "--json", self.file).stdout.splitlines()]
        self.assertEqual([event["kind"] for event in shown],
                         [line.split()[2] for line in LINES])
        self.assertEqual((shown[2]["old_address"], shown[2]["address"]), (0x1000, 0x3000))

    def test_filters(self):
        make_log(self.file, EVENTS)
        self.expect_lines([LINES[3], LINES[4]], "--kind", "free,purge")
        self.expect_lines([LINES[1]], "--thread", 8)
        self.expect_lines(LINES[1:2] + LINES[3:4], "--size", "3000")
        self.expect_lines(LINES[0:1] + LINES[2:3], "--size", "..30")
        self.expect_lines(LINES[4:], "--size", "4000..")
        self.expect_lines(LINES[0:1] + LINES[2:3], "--address", "0x1005")
        self.expect_lines(LINES[:1], "--until", 1)
        self.expect_lines(LINES[1:], "--since", 1)
        self.expect_refused(run("log", "--kind", "fre", self.file), "fre")
        self.expect_refused(run("log", "--size", "big", self.file), "big")

    def test_a_ring_that_went_round(self):
        make_log(self.file, EVENTS, capacity=4)
        told = self.expect_lines(["1.500000007 7 realloc ? ? -> 0x3000 30 TINY/32 realloc"] +
                                 LINES[3:])
        self.assertIn("3 older events", told)

    def test_unfinished_and_stopped(self):
        make_log(self.file, EVENTS[:2], written=4, stopped=28)
        told = self.expect_lines(LINES[:2])
        self.assertIn("2 events were not finished", told)
        self.assertIn(os.strerror(28), told)
        whole = self.file.read_bytes()
        self.file.write_bytes(whole[:4096 + 40]) # cut off in the second
        self.assertIn("3 events were not finished", self.expect_lines(LINES[:1]))

    def test_positions_that_were_passed_over(self):
        passed, busy = (0, 0, 0, 0, 0, 2, 0), (0, 0, 0, 0, 0, 3, 0)
        make_log(self.file, EVENTS[:1] + [passed] + EVENTS[1:4] + [busy] + EVENTS[4:], capacity=16)
        self.assertEqual(self.expect_lines(LINES), "")

    def test_a_record_that_is_being_written_is_waited_for(self):
        process = subprocess.Popen(["sleep", "60"])
        self.addCleanup(process.kill)
        halves = EVENTS[:3] + [(0, 0, 0, 0, 0, 1, 0)] + EVENTS[4:]
        make_log(self.file, halves, process=process.pid)
        follower = subprocess.Popen([sys.executable, "-B", COMMAND, "log", "--follow", self.file],
                                    env=environment_with(PYTHONUNBUFFERED="1"),
                                    stdout=subprocess.PIPE, text=True)
        self.addCleanup(follower.kill)
        shown = [follower.stdout.readline().rstrip() for _ in range(2)]
        self.assertEqual(shown, LINES[:2])
        with self.file.open("r+b") as file: # what was missing
            file.seek(4096 + 3 * 32)
            ns, address, count, thread, kind, how, cls = EVENTS[3]
            file.write(struct.pack("<QQQIBBBB", 1000 + ns, address, count, thread, kind, how, cls,
                                   0))
        process.kill()
        process.wait()
        rest, _ = follower.communicate(timeout=60)
        self.assertEqual(rest.splitlines(), LINES[2:])

    def test_a_summary(self):
        make_log(self.file, EVENTS)
        shown = json.loads(run("log", "--summary", "--json", self.file).stdout)
        self.assertEqual(shown["events"], {"allocate": 3, "realloc": 1, "free": 1, "purge": 1})
        self.assertEqual((shown["live_blocks"], shown["live_bytes"]), (1, 30))
        self.assertEqual((shown["peak_live_bytes"], shown["failed"]), (3030, 1))
        self.assertEqual((shown["program"], shown["process"]), ("/usr/bin/some", 4242))
        self.assertIn("most: 3,030 bytes", run("log", "--summary", self.file).stdout)

    def test_what_is_no_log_is_refused(self):
        self.expect_refused(run("log", self.folder / "none"), "none")
        self.file.write_bytes(b"")
        self.expect_refused(run("log", self.file), "no event log")
        self.file.write_bytes(b"\x7fELF" * 2000)
        self.expect_refused(run("log", self.file), "no event log")
        make_log(self.file, EVENTS, version=9)
        self.expect_refused(run("log", self.file), "version 9")
        make_log(self.file, EVENTS)
        damaged = bytearray(self.file.read_bytes())
        damaged[24] = 7 # the capacity
        self.file.write_bytes(damaged)
        self.expect_refused(run("log", self.file), "damaged")
        self.expect_refused(run("log", self.folder), "directory")

    def test_damaged_bytes_never_crash_it(self):
        make_log(self.file, EVENTS)
        whole = self.file.read_bytes()
        for at in range(12, 1024, 3):
            damaged = bytearray(whole)
            damaged[at] ^= 0xff
            if at in range(32, 40) or at in range(24, 32):
                damaged[30] = damaged[31] = damaged[38] = damaged[39] = 0 # not for hours
                damaged[27:30] = damaged[35:38] = b"\0\0\0"
            self.file.write_bytes(damaged)
            if at % 9 == 0: # a process each
                done = run("log", "--summary", self.file)
                self.assertIn(done.returncode, (0, 2), at)
                self.assertNotIn("Traceback", done.stderr, at)

    def test_a_real_one(self):
        done = run("run", "--log", self.file, "--", FAULTY)
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = json.loads(run("log", "--summary", "--json", "--size", "50", self.file).stdout)
        self.assertEqual(shown["events"], {"allocate": 7})
        self.assertEqual((shown["live_blocks"], shown["live_bytes"]), (7, 350))
        lines = run("log", "--size", "50", self.file).stdout.splitlines()
        self.assertTrue(all(re.fullmatch(r"\d+\.\d{9} \d+ allocate 0x[0-9a-f]+ 50 TINY/64 malloc",
                                         line) for line in lines), lines)
        followed = run("log", "--follow", "--size", "50", self.file).stdout.splitlines()
        self.assertEqual(followed, lines)
        as_text = run("run", "--log", "stderr", "--option", "log_kinds=allocate", "--", FAULTY)
        self.assertEqual(len(re.findall(r" allocate 0x[0-9a-f]+ 50 TINY/64 malloc\n",
                                        as_text.stderr)), 7)


class Profiles(Case):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "heap"
        done = run("run", "--profile", self.file, "--option", "sample=1", "--", FAULTY)
        self.assertEqual((done.returncode, done.stderr), (0, "the program's own line\n"))

    def leaked(self, *words):
        """The stack through leak(), of which the 7 blocks of 50 bytes are."""
        shown = json.loads(run("profile", "--json", "--top", "0", *words, self.file).stdout)
        found = [stack for stack in shown["stacks"]
                 if "leak" in [frame["function"] for frame in stack["frames"]]]
        self.assertEqual(len(found), 1, shown)
        return shown, found[0]

    def test_what_lives_and_what_was_allocated(self):
        for words in ([], ["--allocated"], ["--sort", "count"]):
            shown, stack = self.leaked(*words)
            self.assertEqual((stack["live_blocks"], stack["live_bytes"]), (7, 350))
            self.assertEqual((stack["allocated_blocks"], stack["allocated_bytes"]), (7, 350))
            self.assertGreaterEqual(shown["live_bytes"], 350)
            functions = [frame["function"] for frame in stack["frames"]]
            self.assertEqual(functions[:2], ["leak", "main"])
            self.assertRegex(stack["frames"][0]["line"], LINE)
        text = run("profile", self.file).stdout
        self.assertRegex(text, r"\n350 bytes \(\d+\.\d %\) in 7 blocks\n    leak \S*faulty\.c:")
        self.assertEqual(run("profile", "--top", "1", "--sort", "count", self.file).stdout
                         .count("\n\n"), 1 + (shown["live_blocks"] > 7))

    def test_since_an_earlier_one(self):
        self.assertEqual(run("profile", "--base", self.file, self.file).stdout,
                         "heap profile: 0 bytes in 0 blocks live, from 0 call stacks (estimates)\n")

    def test_what_is_none_is_refused(self):
        self.expect_refused(run("profile", FAULTY), "no heap profile")
        self.expect_refused(run("profile", self.folder / "no"), "No such file")
        (self.folder / "empty").touch()
        self.expect_refused(run("profile", self.folder / "empty"), "no heap profile")

    def test_running_leaves_no_other_file(self):
        run("run", "--profile", self.folder / "of.%p", "--", "true")
        self.assertEqual(len(list(self.folder.glob("of.*"))), 1)


class Colours(Case):
    def test_when(self):
        self.assertIn("\033[", run("options", "--color=always").stdout)
        self.assertNotIn("\033[", run("options").stdout)
        for environment, wanted in (({}, True), ({"NO_COLOR": "1"}, False)):
            shown = subprocess.run(
                ["script", "-qec", f"{sys.executable} -B {COMMAND} options guard", "/dev/null"],
                env={"PATH": os.environ["PATH"], "SLABMALLOC_LIBRARY": LIBRARY, **environment},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
            self.assertEqual("\033[1mguard" in shown, wanted, shown)

    def test_a_reader_that_leaves(self):
        done = subprocess.run(["sh", "-c", f"{sys.executable} -B {COMMAND} options | head -1"],
                              env={"PATH": os.environ["PATH"], "SLABMALLOC_LIBRARY": LIBRARY},
                              capture_output=True, text=True, check=True)
        self.assertEqual((len(done.stdout.splitlines()), done.stderr), (1, ""))


class Pages(Case):
    def test_the_version_is_the_librarys(self):
        header = pathlib.Path(SOURCE, "include/slabmalloc/slabmalloc.h").read_text()
        parts = re.findall(r"#define SLABMALLOC_VERSION_\w+ (\d+)", header)
        self.assertEqual(len(parts), 3)
        self.assertEqual(run("--version").stdout, f"slabmalloc {'.'.join(parts)}\n")

    def test_nothing_to_complain_of(self):
        for page in ("slabmalloc.1", "slabmalloc.3"):
            told = subprocess.run(["mandoc", "-T", "lint", "-W", "warning",
                                   os.path.join(SOURCE, "docs/man", page)],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(told.stdout, "")

    def test_every_option_of_the_command_is_in_its_page(self):
        page = pathlib.Path(SOURCE, "docs/man/slabmalloc.1").read_text().replace("\\-", "-")
        body = page[page.index(".SS run"):page.index(".SH EXIT STATUS")]
        shown = set()
        for command in ("run", "options", "log", "leaks", "profile", "symbolize"):
            usage = run(command, "--help").stdout
            shown |= set(re.findall(r"--[a-z]+", usage))
            self.assertIn(f".SS {command}", body)
        self.assertEqual(shown | {"--version"}, set(re.findall(r"--[a-z]+", body)))

    def test_every_function_is_in_the_librarys_page(self):
        header = pathlib.Path(SOURCE, "include/slabmalloc/slabmalloc.h").read_text()
        page = pathlib.Path(SOURCE, "docs/man/slabmalloc.3").read_text()
        functions = set(re.findall(r"^SLM_API [^;]*?\b(slm_\w+)\(", header, re.M))
        self.assertGreater(len(functions), 30)
        self.assertEqual(functions - set(re.findall(r"\bslm_\w+", page)), set())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
