#!/usr/bin/env python3
"""Protects the log of events: what a program did is all there, in order, whatever becomes of the
process; and the log never does the program harm. Each case runs log_child with options and compares
what it prints with what is in the file, which is decoded here as docs/log.md describes it, or with
the lines on standard error.

    log.py CHILD CASE
"""

import collections
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

KINDS = ["none", "allocate", "free", "first half", "realloc", "map", "unmap", "purge", "slab"]
HOW = {"map": ["memory", "reserve", "commit", "remap"],
       "unmap": ["memory", "?", "decommit", "remap"],
       "purge": ["pages", "discard"], "slab": ["taken", "released"]}
BLOCKS = ("allocate", "free", "realloc")
MARK = 77777
Event = collections.namedtuple("Event", "time thread kind text bytes")
LINE = re.compile(r"^(\d+\.\d{9}) (\d+) (?:(?:allocate|free) (?P<p>0x[0-9a-f]+) \d+ "
                  r"(?:(?:TINY|SMALL)/\d+|LARGE|EMPTY|-) \w+(?:\[\])?"
                  r"|realloc (?:0x[0-9a-f]+ \d+|\? \?) -> 0x[0-9a-f]+ \d+ "
                  r"(?:(?:TINY|SMALL)/\d+|LARGE|-) realloc"
                  r"|map 0x[0-9a-f]+ \d+ - (?:memory|reserve|commit|remap)"
                  r"|unmap 0x[0-9a-f]+ \d+ - (?:memory|decommit|remap)"
                  r"|purge 0x[0-9a-f]+ \d+ - (?:pages|discard)"
                  r"|slab 0x[0-9a-f]+ \d+ (?:TINY|SMALL)/\d+ (?:taken|released))$")


def require(condition, what):
    if not condition:
        sys.exit(f"{sys.argv[2]}: {what}")


class Log:
    """A file, decoded."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        (magic, self.version, start, size, self.page, self.capacity, self.next, self.mono,
         self.real, self.process, self.parent, self.process_start, self.stopped, self.tiny,
         self.classes,
         self.calls, self.dropped, self.kinds, self.thread, self.least, self.most, _,
         program) = struct.unpack_from("<8s4I4Q2IQ4IQ2I3Q128s", data)
        require(magic == b"SLMLOG1\n" and self.version == 2 and size == 32, "header")
        self.program = program.split(b"\0")[0].decode()
        self.slots = struct.unpack_from("<96I", data, 256)
        self.names = [data[640 + 32 * i:672 + 32 * i].split(b"\0")[0].decode()
                      for i in range(self.calls)]
        self.lost = max(0, self.next - self.capacity)
        self.unfinished, self.events, first = 0, [], None
        for position in range(self.lost, self.next):
            record = struct.unpack_from("<3QI4B", data,
                                        start + position % self.capacity * 32)
            kind, how, _, lap = record[4:]
            is_of_lap = lap == position // self.capacity & 0xff
            if kind == 0 and how & 2 and is_of_lap:
                first = None # passed over
            elif kind == 0 or not is_of_lap:
                self.unfinished += 1
                first = None
            elif kind == 3:
                first = record
            else:
                self.events.append(self.event(record, first))
                first = None

    def where(self, cls):
        if cls >= self.classes:
            return {253: "EMPTY", 254: "LARGE"}.get(cls, "-")
        return f"{'TINY' if cls < self.tiny else 'SMALL'}/{self.slots[cls]}"

    def event(self, record, first):
        when, address, size, thread, kind, how, cls, _ = record
        name = KINDS[kind]
        how = HOW[name][how] if name in HOW else self.names[how].replace(" ", "_")
        old = ""
        if name == "realloc":
            old = f"{first[1]:#x} {first[2]} -> " if first else "? ? -> "
        return Event((when - self.mono) / 1e9, thread, name,
                     f"{name} {old}{address:#x} {size} {self.where(cls)} {how}", size)


def parse_lines(text):
    events = []
    for line in text.splitlines():
        require(LINE.match(line), f"behind {len(events)} lines: no line of the log: {line!r}")
        when, thread, rest = line.split(" ", 2)
        words = rest.split(" ")
        events.append(Event(float(when), int(thread), words[0], rest, int(words[-3])))
    return events


def without_place(text):
    words = text.split(" ")
    return " ".join(words[:-2] + words[-1:])


def of_blocks(events, thread):
    return [e for e in events if e.kind in BLOCKS and e.thread == thread]


def between_marks(events, thread, first=0, last=-1):
    """The thread's events of blocks between two of the marks, the first and the last."""
    events = of_blocks(events, thread)
    marks = [i for i, e in enumerate(events) if e.bytes == MARK]
    require(len(marks) >= 4 and len(marks) % 2 == 0, f"there are {len(marks) // 2} marks")
    return events[marks[2 * first + 1] + 1:marks[last - 1 if last < 0 else 2 * last]]


class Case:
    def __init__(self, child, folder):
        self.child, self.folder = child, pathlib.Path(folder)
        self.path = self.folder / "log"

    def start(self, options, scene, **arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SLABMALLOC")}
        environment["SLABMALLOC_OPTIONS"] = options
        return subprocess.Popen([self.child, scene], env=environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **arguments)

    def run(self, scene, options="", log=None, status=0, errors="", **arguments):
        """Runs a scene; returns its process id, the lines that it printed, standard error."""
        process = self.start(f"log={log or self.path}{options}", scene, **arguments)
        out, err = process.communicate(timeout=60)
        if process.returncode == 77:
            sys.exit(77)
        require(process.returncode == status, f"{scene}: status {process.returncode}: {err}")
        require(errors is None or re.fullmatch(errors, err), f"{scene} writes: {err}")
        return process.pid, out.splitlines(), err

    def files(self):
        return sorted(p.name for p in self.folder.iterdir())


# --- cases ---------------------------------------------------------------------------------------

def calls_of(lines):
    return [line for line in lines if line.split(" ")[0] in BLOCKS]


def compare(events, lines):
    found, wanted = [without_place(e.text) for e in events], calls_of(lines)
    for i, (a, b) in enumerate(zip(found, wanted)):
        require(a == b, f"event {i}: {a}, not {b}")
    require(len(found) == len(wanted), f"{len(found)} events, not {len(wanted)}")


def check_places(events):
    for event in events:
        words = event.text.split(" ")
        address, size, place = int(words[-4], 16), event.bytes, words[-2]
        if address == 0:
            require(place == "-", event)
        elif place == "LARGE":
            require(size > 100000, event)
        elif place == "EMPTY":
            require(size == 0, event)
        else:
            zone, slot = place.split("/")
            require(int(slot) >= size and zone == ("TINY" if int(slot) <= 4096 else "SMALL"), event)


def case_file(case):
    for options in ("", ",canary=on,quarantine=1M,history=on", ",guard=on", ",preset=debug"):
        pid, lines, _ = case.run("each_kind", options + ",leaks=none")
        log = Log(case.path)
        require(case.files() == ["log"], case.files())
        require((log.lost, log.unfinished, log.stopped) == (0, 0, 0), vars(log))
        require(log.process == pid and log.parent == os.getpid(), "process ids")
        require(log.program == os.path.realpath(case.child), log.program)
        require(abs(log.real / 1e9 - time.time()) < 100, "the time of the start")
        require(os.stat(case.path).st_mode & 0o777 == 0o600, "mode")
        events = between_marks(log.events, pid)
        compare(events, lines)
        check_places(events)
        require(len(events) > 25, "events")
        require(all(e.thread == pid for e in log.events), "threads")
        times = [e.time for e in of_blocks(log.events, pid)]
        require(times == sorted(times) and 0 <= times[0] and times[-1] < 60, "times")
        kinds = {e.kind for e in log.events}
        require({"map", "slab"} <= kinds, kinds)
        if "guard" in options:
            require(any(" EMPTY " in e.text for e in events), "empty blocks")


def case_lines(case):
    pid, lines, err = case.run("each_kind", log="stderr", errors=None)
    require(case.files() == [], case.files())
    events = parse_lines(err)
    compare(between_marks(events, pid), lines)
    check_places(between_marks(events, pid))
    pid, lines, _ = case.run("each_kind")
    def shape(events_of_it):
        return [(e.kind, e.bytes) for e in events_of_it if e.kind in (*BLOCKS, "slab")]

    require(shape(events) == shape(Log(case.path).events), "the file has other events")
    pid, lines, err = case.run("threads", log="stderr", options=",log_kinds=realloc", errors=None)
    check_threads(parse_lines(err), ["realloc"])
    pid, lines, err = case.run("forked", log="stderr", errors=None)
    events = parse_lines(err)
    child = int(lines[-2].split(" ")[1])
    require(len(between_marks(events, pid)) == 202, "the parent's lines")
    require(len(between_marks(events, child)) == 2, "the child's lines")


def check_threads(events, kinds):
    by_thread = collections.defaultdict(list)
    for event in events:
        if event.kind in kinds and 1000 <= event.bytes <= 2014 and event.bytes % 1000 < 15:
            by_thread[event.thread].append(event)
    require(len(by_thread) == 8, f"{len(by_thread)} threads")
    for events_of_one in by_thread.values():
        number = min(e.bytes for e in events_of_one) % 1000
        number = number // 2 if kinds == ["realloc"] else number
        wanted = {"allocate": 1000 + number, "realloc": 2000 + 2 * number,
                  "free": 2000 + 2 * number}
        require([(e.kind, e.bytes) for e in events_of_one]
                == [(k, wanted[k]) for k in kinds] * 2000, "the events of a thread")
        times = [e.time for e in events_of_one]
        require(times == sorted(times), "times of a thread")


def case_threads(case):
    case.run("threads", ",log_size=16M")
    log = Log(case.path)
    require(log.lost == log.unfinished == 0, "lost")
    check_threads(log.events, ["allocate", "realloc", "free"])


def case_ring(case):
    pid, lines, _ = case.run("many", ",log_size=100K")
    log = Log(case.path)
    require(log.capacity == 2048 and log.lost > 21000 and log.unfinished == 0, vars(log))
    require(os.stat(case.path).st_size == 4096 + 2048 * 32, "size")
    blocks = of_blocks(log.events, pid)
    require(len(blocks) > 2000, len(blocks))
    last = [i for i, e in enumerate(blocks) if e.bytes == 49]
    compare([blocks[i] for i in last], lines)
    before = [(e.kind, e.bytes) for e in blocks[last[0] % 2:last[0]]]
    require(before == [("allocate", 48), ("free", 48)] * (len(before) // 2), "the order")
    pid, lines, _ = case.run("many")
    log = Log(case.path)
    require(log.lost == log.unfinished == log.dropped == 0, vars(log))
    require(len(between_marks(log.events, pid)) == 24002, "all of it")
    require(os.stat(case.path).st_blocks * 512 < 8 << 20 < os.stat(case.path).st_size, "sparse")


def case_filters(case):
    def events_with(options):
        pid, lines, _ = case.run("each_kind", options)
        return Log(case.path).events, calls_of(lines), pid

    events, lines, _ = events_with(",log_kinds=free+realloc")
    require({e.kind for e in events} == {"free", "realloc"}, "kinds")
    require(sum(e.kind == "realloc" for e in events)
            == sum(line.startswith("realloc") for line in lines), "reallocs")
    require({e.kind for e in events_with(",log_kinds=map+slab")[0]} == {"map", "slab"}, "kinds")
    events, lines, _ = events_with(",log_kinds=allocate+free,log_min=200,log_max=5000")
    require(events and all(200 <= e.bytes <= 5000 for e in events), "sizes")
    # Of a realloc one of both sizes has to fit.
    events, lines, pid = events_with(",log_kinds=realloc,log_min=150,log_max=200")
    require([without_place(e.text).split(" ")[2::3] for e in events]
            == [["100", "200"], ["200", "150"], ["150", "5000"]], events)
    require(events_with(",log_thread=1")[0] == [], "another thread's")
    pid, lines, _ = case.run("filters", ",log_min=90,log_max=200")
    compare(of_blocks(Log(case.path).events, pid)[:4], lines)


def case_killed(case):
    pid, lines, _ = case.run("killed", status=-signal.SIGKILL)
    log = Log(case.path)
    require(log.unfinished == 0, "unfinished")
    compare([e for e in of_blocks(log.events, pid) if e.bytes == 51], lines)
    require(log.events[-1].text.startswith("free") and log.events[-1].bytes == MARK, "the last")


def case_fork(case):
    for scene in ("forked", "forked_unheard", "elsewhere"):
        for name in ("log", "%p.log"):
            pid, lines, _ = case.run(scene, log=name, cwd=case.folder)
            child = int(lines[-2].split(" ")[1])
            require(lines[-2].endswith(" 0"), f"the child's status: {lines[-2]}")
            names = [name.replace("%p", str(pid)),
                     f"log.{child}" if name == "log" else f"{child}.log"]
            require(case.files() == sorted(names), (case.files(), names))
            parents, childs = (Log(case.folder / n) for n in names)
            require((parents.process, childs.process, childs.parent) == (pid, child, pid), "ids")
            require(all(e.thread == pid for e in parents.events), "the child wrote to its parent's")
            require(all(e.thread == child for e in childs.events), "a parent wrote to its child's")
            compare(between_marks(childs.events, child), lines[-4:-2])
            require(sum(e.bytes == 63 for e in of_blocks(parents.events, pid)) == 200, "parent")
            require(sum(e.bytes == 64 for e in of_blocks(childs.events, child)) == 200, "child")
            for file in names:
                os.unlink(case.folder / file)


def case_names(case):
    """A second process does not touch the file of one that lives, but replaces a dead one's."""
    first = case.start(f"log={case.path}", "sleeping")
    try:
        compare_names(case, first)
    finally:
        first.kill()


def compare_names(case, first):
    first.stdout.read() # to its end: then it sleeps
    before = Log(case.path)
    second, lines, _ = case.run("each_kind")
    require(case.files() == ["log", f"log.{second}"], case.files())
    compare(between_marks(Log(f"{case.path}.{second}").events, second), lines)
    require(Log(case.path).process == first.pid and Log(case.path).next == before.next, "the first")
    first.kill()
    first.wait()
    third, lines, _ = case.run("each_kind")
    require(Log(case.path).process == third, "the dead one's file is not replaced")
    require(case.files() == ["log", f"log.{second}"], case.files())
    case.path.write_text("") # as mktemp makes it
    fourth, lines, _ = case.run("each_kind")
    compare(between_marks(Log(case.path).events, fourth), lines)


def case_refused(case):
    def refuses(path, reason):
        case.run("each_kind", log=path,
                 errors=rf"slabmalloc: there is no log in {path}: {reason}\n")

    other = case.folder / "other"
    other.write_text("something of value\n")
    (case.folder / "link").symlink_to(case.folder / "new")
    (case.folder / "folder").mkdir()
    refuses(other, "there is another file, which is no log")
    refuses(case.folder / "link", "that is no plain file")
    refuses(case.folder / "folder", "that is no plain file")
    refuses("/dev/full", "that is no plain file")
    refuses(case.folder / "nowhere" / "log", "there is no such folder")
    refuses("/proc/log", "there is no such folder")
    require(other.read_text() == "something of value\n", "the other file")
    case.run("each_kind", log="x" * 256, errors=r"slabmalloc: option log takes a path, or stderr, "
             r"or none, not 'x{256}'\n")
    require(case.files() == ["folder", "link", "other"], case.files())
    case.run("each_kind", ",log_kinds=free+reallok", errors=r"slabmalloc: option log_kinds takes "
             r"all, none, or some of allocate\|free\|realloc\|map\|unmap\|purge\|slab joined by "
             r"\+, not 'free\+reallok'; did you mean 'realloc'\?\n")


def limited(limit):
    def set_limit():
        import resource # in the child
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return set_limit


def case_limits(case):
    pid, lines, _ = case.run("many", preexec_fn=limited(1 << 20))
    log = Log(case.path)
    require(log.capacity == 16384 and os.stat(case.path).st_size <= 1 << 20, "a smaller ring")
    compare([e for e in of_blocks(log.events, pid) if e.bytes == 49], lines)
    os.unlink(case.path)
    case.run("many", preexec_fn=limited(1 << 16),
             errors=rf"slabmalloc: there is no log in {case.path}: files may not be so large\n")
    require(case.files() == [], case.files())


STOPS = r"slabmalloc: the log stops in {}: the disk is full\n"


def check_stopped(case, path):
    pid, lines, _ = case.run("full", log=path, errors=STOPS.format(path))
    log = Log(path)
    require(log.stopped == 28, f"stopped: {log.stopped}")
    compare([e for e in of_blocks(log.events, pid) if e.bytes == 67], lines)
    churned = [e for e in of_blocks(log.events, pid) if e.bytes == 48]
    require(100 < len(churned) < 2048, f"{len(churned)} events before it was full")


def case_full(case):
    check_stopped(case, case.path)


def case_full_tmpfs(case):
    """On a file system of 256 KiB, in a mount namespace of its own."""
    if os.environ.get("LOG_TEST_MOUNTED") is None:
        mount = ["unshare", "--mount", "sh", "-c",
                 'mount -t tmpfs -o size=256k none "$0" && exec "$@"', case.folder]
        if subprocess.run([*mount, "true"], check=False).returncode != 0:
            sys.exit(77) # not root, or in a sandbox in which nobody may mount
        done = subprocess.run([*mount, sys.executable, "-B", *sys.argv], check=False,
                              env={**os.environ, "LOG_TEST_MOUNTED": str(case.folder)})
        sys.exit(done.returncode)
    path = pathlib.Path(os.environ["LOG_TEST_MOUNTED"]) / "log"
    pid, _, _ = case.run("many", log=path, errors=STOPS.format(path))
    log = Log(path)
    require(log.stopped == 28 and log.lost == 0, vars(log))
    churned = [e for e in of_blocks(log.events, pid) if e.bytes == 48]
    require(100 < len(churned) < 8192, f"{len(churned)} events before it was full")


def case_closed(case):
    pid, lines, _ = case.run("closed")
    log = Log(case.path)
    require(log.lost == log.unfinished == log.stopped == 0, vars(log))
    events = between_marks(log.events, pid)
    require(len(events) == 24002, len(events))
    compare(events[-2:], lines)


def main(child, name):
    with tempfile.TemporaryDirectory(prefix="slabmalloc-log-") as folder:
        globals()[f"case_{name}"](Case(child, folder))
    print(f"{name}: as it should be")


main(*sys.argv[1:])
