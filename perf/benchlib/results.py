"""A result: all samples and all that is needed to judge them later, as JSON."""

import datetime
import json
import os
import platform
import re

from benchlib import allocators

FORMAT = 1


def first_line(path, pattern="(.*)"):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = re.search(pattern, file.read(), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else "unknown"


def machine():
    memory = first_line("/proc/meminfo", r"^MemTotal:\s+(\d+)")
    return {"cpu": first_line("/proc/cpuinfo", r"^model name\s*:\s*(.*)"),
            "cpus": os.cpu_count(),
            "memory_mib": int(memory) // 1024 if memory.isdigit() else None,
            "kernel": platform.release(),
            "system": first_line("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)'),
            "libc": " ".join(platform.libc_ver()),
            "transparent_huge_pages": first_line(
                "/sys/kernel/mm/transparent_hugepage/enabled", r"\[(\w+)\]"),
            "compiler": allocators.output_of("cc", "--version").split("\n")[0]}


def new(kind, size, wanted):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return {"format": FORMAT, "kind": kind, "size": size, "date": now.isoformat(),
            "commit": allocators.commit(), "machine": machine(),
            "allocators": [{"name": a.name, "role": a.role, "version": a.version,
                            "library": a.path.rsplit("/", 1)[-1]} for a in wanted]}


def write(result, path):
    """Written beside and renamed: a reader never sees half of it. A sample has its own line."""
    text = json.dumps(result, indent=1)
    text = re.sub(r"\{\s+(\"wall_s\"[^{}]*?)\s+\}",
                  lambda m: "{" + re.sub(r"\s+", " ", m[1]) + "}", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(text + "\n")
    beside.replace(path)


def write_compactly(result, path):
    """The same for results of many numbers: all of an allocator's on one line."""
    write(result, path)
    text = json.dumps(json.loads(path.read_text()), separators=(",", ":"))
    path.write_text(text.replace('},"', '},\n"').replace(':{"', ':{\n"') + "\n")


def read(path):
    result = json.loads(path.read_text())
    if result.get("format") != FORMAT or result.get("kind") != "bench":
        raise ValueError(f"{path} is not a result of perf/bench, or of another version of it")
    return result


def describe(result):
    """What, where and when, in two lines."""
    m = result["machine"]
    names = ", ".join(f"{a['name']} {a['version']}" for a in result["allocators"])
    return (f"{m['cpu']}, {m['cpus']} CPUs, {m['system']}, Linux {m['kernel']}, "
            f"{result['date'][:10]}", names)
