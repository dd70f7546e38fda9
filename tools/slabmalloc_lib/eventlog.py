"""The event log that the option log makes: its format is in docs/log.md."""

import collections
import json
import os
import struct
import sys
import time

from slabmalloc_lib.library import Refused
from slabmalloc_lib.paint import paint, size

MAGIC = b"SLMLOG1\n"
HEADER = struct.Struct("<8sIIIIQQQQIIQIIIIQIIQQ")
FIELDS = ("magic version header_bytes record_bytes page_bytes capacity next start_monotonic_ns "
          "start_realtime_ns pid parent process_start stopped tiny_classes classes calls dropped "
          "kinds thread least most").split()
RECORD = struct.Struct("<QQQIBBBB")
RECORD_BYTES = 32
ALLOCATE, FREE, REALLOC_OLD, REALLOC, MAP, UNMAP, PURGE, SLAB = range(1, 9)
NAMES = {ALLOCATE: "allocate", FREE: "free", REALLOC: "realloc", MAP: "map", UNMAP: "unmap",
         PURGE: "purge", SLAB: "slab"}
HOWS = {MAP: ["memory", "reserve", "commit", "remap"], UNMAP: ["memory", "?", "decommit", "remap"],
        PURGE: ["pages", "discard"], SLAB: ["taken", "released"]}
COLOURS = {"allocate": "green", "free": "yellow", "realloc": "cyan"}
PIECE_RECORDS = 32768
PASSED_OVER = 2 # a bit of `how`, where there is no record
PATIENCE_S = 5 # with a record that is being written

Event = collections.namedtuple(
    "Event", "ns thread kind old_address old_bytes address bytes where how")


def _number(text):
    return int(text, 0)


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE", help="the log")
    parser.add_argument("--kind", metavar="KIND[,KIND]", help="only these: " + ", ".join(
        NAMES.values()))
    parser.add_argument("--size", metavar="MIN..MAX", help="only events of so many bytes; one of "
                        "both may be left out")
    parser.add_argument("--thread", metavar="ID", type=_number, help="only this thread's")
    parser.add_argument("--address", metavar="ADDRESS", type=_number,
                        help="only what concerns this address: blocks and mappings around it")
    parser.add_argument("--since", metavar="SECONDS", type=float, help="only from then on")
    parser.add_argument("--until", metavar="SECONDS", type=float, help="only up to then")
    parser.add_argument("--summary", action="store_true",
                        help="what it comes to: counts, sizes, what still lives")
    parser.add_argument("--follow", action="store_true",
                        help="go on as the program does, until it ends")


class Log:
    def __init__(self, path):
        self.path = path
        try:
            self.file = open(path, "rb")
            self._read_header()
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from None
        if self.magic != MAGIC:
            raise Refused(f"{path} is no event log of slabmalloc")
        if self.version != 2 or self.record_bytes != RECORD_BYTES:
            raise Refused(f"{path}: version {self.version} of the format is not known here")
        if self.header_bytes < 1664 or not self.capacity or self.capacity & (self.capacity - 1):
            raise Refused(f"{path} is damaged: its header can't be right")
        self.unfinished = 0
        self.done = self.lost
        self._waits = None, 0 # for this position, since then
        self._old = None

    def _read_header(self):
        self.file.seek(0)
        head = self.file.read(1664)
        head += bytes(1664 - len(head))
        for name, value in zip(FIELDS, HEADER.unpack_from(head)):
            setattr(self, name, value)
        self.program = head[128:256].split(b"\0")[0].decode(errors="replace")
        self.slot_bytes = struct.unpack_from("<96I", head, 256)
        self.call_names = [head[640 + 32 * i:672 + 32 * i].split(b"\0")[0].decode(errors="replace")
                           for i in range(32)]

    def refresh(self):
        self._read_header()

    @property
    def lost(self):
        return max(0, self.next - self.capacity)

    def _where(self, cls):
        if cls < self.classes and cls < 96:
            zone = "TINY" if cls < self.tiny_classes else "SMALL"
            return f"{zone}/{self.slot_bytes[cls]}"
        return {253: "EMPTY", 254: "LARGE"}.get(cls, "-")

    def _how(self, kind, how):
        if kind in HOWS:
            return HOWS[kind][how] if how < len(HOWS[kind]) else f"how-{how}"
        name = self.call_names[how] if how < 32 else ""
        return name.replace(" ", "_") or f"call-{how}"

    def _records(self, waits):
        """(position, record) of what is intact from `done` on."""
        self.done = max(self.done, self.lost)
        while self.done < self.next:
            at = self.done % self.capacity
            count = min(self.next - self.done, self.capacity - at, PIECE_RECORDS)
            self.file.seek(self.header_bytes + at * RECORD_BYTES)
            data = self.file.read(count * RECORD_BYTES)
            whole = len(data) // RECORD_BYTES
            for record in RECORD.iter_unpack(data[:whole * RECORD_BYTES]):
                *_, kind, how, _, lap = record
                is_of_lap = lap == self.done // self.capacity & 0xff
                if kind != 0 and is_of_lap:
                    yield self.done, record
                elif not (how & PASSED_OVER and is_of_lap):
                    if waits and self._may_come():
                        return
                    self.unfinished += 1
                self.done += 1
            if whole < count: # cut off
                self.unfinished += count - whole
                self.done += count - whole

    def _may_come(self):
        """Whether the record at `done` is still waited for."""
        now = time.monotonic()
        if self._waits[0] != self.done:
            self._waits = self.done, now
        return now - self._waits[1] < PATIENCE_S

    def events(self, waits):
        """What is new since the last time. `waits`: up to a record that may be being written."""
        for position, record in self._records(waits):
            ns, address, count, thread, kind, how, cls, _ = record
            if kind == REALLOC_OLD:
                self._old = position, address, count
                continue
            old_address = old_bytes = None
            if kind == REALLOC and self._old and self._old[0] == position - 1:
                _, old_address, old_bytes = self._old
            yield Event(ns - self.start_monotonic_ns, thread, NAMES.get(kind, f"kind-{kind}"),
                        old_address, old_bytes, address, count, self._where(cls),
                        self._how(kind, how))


def _filter(arguments):
    kinds = set(arguments.kind.split(",")) if arguments.kind else None
    if kinds and kinds - set(NAMES.values()):
        raise Refused(f"no kind of event is called {sorted(kinds - set(NAMES.values()))[0]}; there "
                      f"are {', '.join(NAMES.values())}")
    least, most = 0, 1 << 64
    if arguments.size:
        try:
            low, dots, high = arguments.size.partition("..")
            least = int(low or 0)
            most = int(high or 1 << 64) if dots else least
        except ValueError:
            raise Refused(f"--size {arguments.size}: two numbers, as 100..200") from None

    def concerns(event, address):
        return (0 < event.address <= address < event.address + max(event.bytes, 1) or
                (event.old_address is not None and
                 event.old_address <= address < event.old_address + max(event.old_bytes, 1)))

    def keep(event):
        return ((kinds is None or event.kind in kinds) and
                (least <= event.bytes <= most or
                 (event.old_bytes is not None and least <= event.old_bytes <= most)) and
                arguments.thread in (None, event.thread) and
                (arguments.address is None or concerns(event, arguments.address)) and
                (arguments.since is None or event.ns >= arguments.since * 1e9) and
                (arguments.until is None or event.ns <= arguments.until * 1e9))
    return keep


def format_event(event):
    """The line that log=stderr writes."""
    seconds, rest = divmod(event.ns, 10 ** 9)
    kind = paint(event.kind, COLOURS[event.kind]) if event.kind in COLOURS else event.kind
    old = ""
    if event.kind == "realloc":
        old = ("? ? -> " if event.old_address is None else
               f"{event.old_address:#x} {event.old_bytes} -> ")
    return (f"{seconds}.{rest:09d} {event.thread} {kind} {old}{event.address:#x} {event.bytes} "
            f"{event.where} {event.how}")


def _print_event(event, as_json):
    if as_json:
        print(json.dumps({name: value for name, value in event._asdict().items()
                          if value is not None}))
    else:
        print(format_event(event))


class Summary:
    def __init__(self):
        self.counts = collections.Counter()
        self.asked = collections.Counter() # bytes asked for -> allocations
        self.live = {}
        self.live_bytes = self.peak_bytes = self.peak_ns = self.failed = self.last_ns = 0
        self.unknown = 0

    def _born(self, event):
        if event.address == 0:
            self.failed += 1
            return
        self.asked[event.bytes] += 1
        self.live_bytes += event.bytes - self.live.get(event.address, 0)
        self.live[event.address] = event.bytes
        if self.live_bytes > self.peak_bytes:
            self.peak_bytes, self.peak_ns = self.live_bytes, event.ns

    def _died(self, address):
        size_was = self.live.pop(address, None)
        if size_was is None:
            self.unknown += 1
        else:
            self.live_bytes -= size_was

    def add(self, event):
        self.counts[event.kind] += 1
        self.last_ns = max(self.last_ns, event.ns)
        if event.kind == "allocate":
            self._born(event)
        elif event.kind == "free":
            self._died(event.address)
        elif event.kind == "realloc":
            if event.old_address is not None and (event.address or not event.bytes):
                self._died(event.old_address)
            self._born(event)

    def as_dictionary(self):
        return {"events": dict(self.counts), "seconds": self.last_ns / 1e9,
                "live_blocks": len(self.live), "live_bytes": self.live_bytes,
                "peak_live_bytes": self.peak_bytes, "peak_at_seconds": self.peak_ns / 1e9,
                "failed": self.failed, "freed_from_before": self.unknown,
                "sizes": [{"bytes": count, "allocations": times}
                          for count, times in self.asked.most_common(10)]}

    def print(self):
        print(paint("events", "bold"))
        for kind, count in self.counts.most_common():
            print(f"  {kind:10}{count:14,}")
        print(f"{paint('over', 'bold')} {self.last_ns / 1e9:.3f} s")
        print(f"{paint('live at the end', 'bold')}: {size(self.live_bytes)} in {len(self.live):,} "
              f"blocks; most: {size(self.peak_bytes)}, after {self.peak_ns / 1e9:.3f} s")
        if self.failed:
            print(f"allocations that failed: {self.failed:,}")
        if self.unknown:
            print(f"freed, but allocated before this log: {self.unknown:,}")
        if self.asked:
            print(f"{paint('most asked for', 'bold')}\n  {'bytes':>12}{'allocations':>14}")
        for count, times in self.asked.most_common(10):
            print(f"  {count:12,}{times:14,}")


def _runs(log):
    """Whether the process that writes the log still does."""
    try:
        with open(f"/proc/{log.pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return fields[0] not in "ZX" and log.process_start in (0, int(fields[19]))
    except (OSError, IndexError, ValueError):
        return False


def _events(log, follow):
    """All events, as they come. A record that is being written is waited for."""
    while True:
        ends = not follow or not _runs(log) # looked at before what it may still have written
        log.refresh()
        yield from log.events(waits=not ends)
        if ends:
            return
        time.sleep(0.2)


def _tell_end(log):
    notes = []
    if log.lost:
        notes.append(f"{log.lost:,} older events were overwritten (log_size)")
    if log.unfinished:
        notes.append(f"{log.unfinished:,} events were not finished")
    if log.dropped:
        notes.append(f"{log.dropped:,} events could not be recorded")
    if log.stopped:
        notes.append(f"logging stopped: {os.strerror(log.stopped)}")
    for note in notes:
        print(f"slabmalloc: {note}", file=sys.stderr)


def print_log(arguments):
    log = Log(arguments.file)
    keep = _filter(arguments)
    summary = Summary() if arguments.summary else None
    for event in _events(log, arguments.follow):
        if keep(event):
            summary.add(event) if summary else _print_event(event, arguments.json)
    if summary and arguments.json:
        figures = summary.as_dictionary()
        figures.update(program=log.program, process=log.pid, lost=log.lost, dropped=log.dropped,
                       unfinished=log.unfinished)
        print(json.dumps(figures, indent=2))
    elif summary:
        print(f"{paint(log.program or '?', 'bold')} (process {log.pid})")
        summary.print()
    _tell_end(log)
    return 0
