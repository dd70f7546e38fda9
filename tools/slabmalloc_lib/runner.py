"""Runs a program on the library."""

import os
import shutil
import signal
import stat
import struct
import subprocess
import sys

from slabmalloc_lib import library
from slabmalloc_lib.library import Refused
from slabmalloc_lib.symbols import Symbolizer

MARK = b"slabmalloc: "


def _interpreter_of(path, depth=0):
    """The binary that is executed in the end: a script's interpreter, or `path` itself."""
    with open(path, "rb") as file:
        head = file.read(256)
    if head[:2] != b"#!" or depth == 4:
        return path
    words = head[2:].split(b"\n")[0].split()
    return _interpreter_of(words[0].decode(), depth + 1) if words else path


def _takes_preload(path):
    """Why the loader will not put the library before the program; None: it will."""
    mode = os.stat(path).st_mode
    if mode & (stat.S_ISUID | stat.S_ISGID):
        return "it is setuid or setgid"
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            return None if head[:4] != b"\x7fELF" else "it is no program of 64 bits"
        offset, = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
    kinds = [struct.unpack_from("<I", table, at)[0] for at in range(0, len(table), size)]
    return None if 3 in kinds else "it is statically linked"  # PT_INTERP


def _resolve(program):
    path = program if "/" in program else shutil.which(program)
    if not path or not os.path.isfile(path):
        raise Refused(f"{program}: no such program")
    try:
        real = _interpreter_of(path)
        why_not = _takes_preload(real)
    except OSError as error:
        raise Refused(f"{error.filename}: {error.strerror}") from None
    if why_not:
        raise Refused(f"{real} does not take LD_PRELOAD: {why_not}")
    return path


def _settings(arguments, path):
    """The options to set, in order; those that the library does not know are refused."""
    options, presets = library.parse_help(library.ask_help(path))
    names = [option["name"] for option in options]
    chosen = []
    if arguments.preset:
        if arguments.preset not in [preset["name"] for preset in presets]:
            raise Refused(f"no preset is called {arguments.preset}; there are "
                          f"{', '.join(preset['name'] for preset in presets)}")
        chosen.append(f"preset={arguments.preset}")
    if arguments.stats:
        chosen.append("stats=exit")
    if arguments.history:
        chosen.append("history=on")
    if arguments.leaks:
        chosen += ["leaks=exit", f"leak_check={arguments.leaks}"]
    if arguments.log:
        to = arguments.log if arguments.log == "stderr" else os.path.abspath(arguments.log)
        chosen.append(f"log={to}")
    if arguments.profile:
        chosen.append(f"profile={os.path.abspath(arguments.profile)}")
    chosen += arguments.option
    for setting in chosen:
        name, equals, _ = setting.partition("=")
        if not equals:
            raise Refused(f"{setting}: an option is NAME=VALUE")
        if name not in names:
            raise Refused(f"the library has no option {name}; slabmalloc options lists them")
        if "," in setting:
            raise Refused(f"{setting}: a value can't have a comma")
    complaints = _complaints(path, chosen)
    if complaints:
        raise Refused(complaints)
    return chosen


def _complaints(path, chosen):
    """What the library itself says against the values. Those that would make it write a file are
    left out."""
    tried = [setting for setting in chosen
             if not setting.startswith(("log=", "profile=", "stats=", "leaks="))]
    said = library.say(path, ",".join(tried)).strip()
    return said.removeprefix("slabmalloc: ").splitlines()[0] if said else ""


def _environment(path, chosen):
    environment = dict(os.environ)
    preload = environment.get("LD_PRELOAD")
    environment["LD_PRELOAD"] = f"{path}:{preload}" if preload else path
    before = environment.get("SLABMALLOC_OPTIONS")
    environment["SLABMALLOC_OPTIONS"] = ",".join(([before] if before else []) + chosen)
    return environment


def _copy_symbolized(stream, symbolizer):
    """The library's lines with symbols, all other bytes as they come."""
    out = sys.stderr.buffer
    rest = b""
    while True:
        piece = os.read(stream.fileno(), 65536)
        rest += piece
        lines = rest.split(b"\n")
        rest = lines.pop()
        for line in lines:
            if line.startswith(MARK):
                line = symbolizer.add_to(line.decode(errors="replace")).encode()
            out.write(line + b"\n")
        if not piece or not MARK.startswith(rest[:len(MARK)]):
            out.write(rest) # the program's: a prompt, perhaps
            rest = b""
        out.flush()
        if not piece:
            return


def _run_symbolized(program, arguments, environment):
    symbolizer = Symbolizer(arguments.search, [program])
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN) # they are for the program
    with subprocess.Popen(arguments.program, executable=program, env=environment,
                          stderr=subprocess.PIPE,
                          preexec_fn=lambda: [signal.signal(number, signal.SIG_DFL) for number in
                                              (signal.SIGINT, signal.SIGQUIT)]) as child:
        _copy_symbolized(child.stderr, symbolizer)
        code = child.wait()
    symbolizer.close()
    if code < 0: # as the program has ended, so does this one
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def run(arguments):
    if arguments.program[:1] == ["--"]:
        arguments.program.pop(0)
    if not arguments.program:
        raise Refused("run: which program?")
    path = library.find(arguments.library)
    if " " in path or ":" in path:
        raise Refused(f"{path}: LD_PRELOAD takes no path with a space or a colon")
    program = _resolve(arguments.program[0])
    environment = _environment(path, _settings(arguments, path))
    if arguments.symbolize:
        return _run_symbolized(program, arguments, environment)
    try:
        os.execve(program, arguments.program, environment)
    except OSError as error:
        raise Refused(f"{program}: {error.strerror}") from None
