"""Addresses that the library tells as (FILE+OFFSET), to function, file and line by addr2line."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys

from slabmalloc_lib.library import Refused
from slabmalloc_lib.paint import paint

ADDRESS = re.compile(r"(0x[0-9a-f]+) \(([^()\s]+)\+(0x[0-9a-f]+)\)")


def open_input(name):
    if name is None or name == "-":
        return sys.stdin
    try:
        return open(name, encoding="utf-8", errors="replace")
    except OSError as error:
        raise Refused(f"{name}: {error.strerror}") from None


@functools.lru_cache(maxsize=None)
def _loader_cache():
    """Name -> path, of what the dynamic loader knows."""
    program = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
    known = {}
    if program:
        shown = subprocess.run([program, "-p"], capture_output=True, text=True, check=False).stdout
        for name, path in re.findall(r"^\s+(\S+) \(.*\) => (\S+)$", shown, re.M):
            known.setdefault(name, path)
    return known


class Symbolizer:
    """Keeps one addr2line for each file."""

    def __init__(self, directories=(), files=()):
        self.directories = [*directories, "."]
        self.files = {os.path.basename(path): path for path in files}
        self.programs = {}
        self.addr2line = shutil.which("addr2line") or shutil.which("llvm-addr2line")

    def _find(self, name):
        if os.path.isabs(name):
            return name if os.path.isfile(name) else None
        candidates = [self.files.get(name, "")]
        candidates += [os.path.join(directory, name) for directory in self.directories]
        candidates += [_loader_cache().get(name, ""), shutil.which(name) or ""]
        return next((path for path in candidates if path and os.path.isfile(path)), None)

    def _program(self, name):
        if name not in self.programs:
            path = self._find(name) if self.addr2line else None
            self.programs[name] = path and subprocess.Popen(
                [self.addr2line, "-C", "-f", "-e", path], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        return self.programs[name]

    def look_up(self, name, offset):
        """(function, "file:line"), "" for what is not known."""
        program = self._program(name)
        if not program:
            return "", ""
        try:
            program.stdin.write(f"{offset}\n")
            program.stdin.flush()
            function = program.stdout.readline().strip()
            line = program.stdout.readline().strip()
        except OSError:
            return "", ""
        line = re.sub(r" \(discriminator \d+\)$", "", line)
        return ("" if function == "??" else function,
                "" if line.startswith("??") or line.endswith(":?") or line.endswith(":0") else line)

    def name(self, frame):
        """Adds function and line, or None, to a dictionary with file and offset."""
        function, line = self.look_up(frame["file"], frame["offset"])
        frame.update(function=function or None, line=line or None)

    def add_to(self, line):
        def replace(match):
            function, place = self.look_up(match[2], match[3])
            words = [paint(function, "bold"), paint(place, "cyan")]
            found = " ".join(word for word in words if word)
            return match[0] + (f" {found}" if found else "")
        return ADDRESS.sub(replace, line)

    def close(self):
        for program in self.programs.values():
            if program:
                program.stdin.close()
                program.stdout.close()
                program.wait()


def print_frame(frame, place):
    """One that was named: function, line, and `place`, where it is."""
    words = [frame["function"] and paint(frame["function"], "bold"),
             frame["line"] and paint(frame["line"], "cyan")]
    known = " ".join(word for word in words if word)
    print(f"    {known + '  ' if known else ''}{paint(place, 'dim')}")


def print_symbolized(arguments):
    symbolizer = Symbolizer(arguments.search)
    with open_input(arguments.file) as lines:
        for line in lines:
            if not arguments.json:
                sys.stdout.write(symbolizer.add_to(line))
                sys.stdout.flush()
                continue
            for address, name, offset in ADDRESS.findall(line):
                function, place = symbolizer.look_up(name, offset)
                print(json.dumps({"address": address, "file": name, "offset": offset,
                                  "function": function or None, "line": place or None}))
    symbolizer.close()
    return 0
